"""`sdtrace nightly`: one night added to the history."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sdtrace import atomic
from sdtrace.cli import notices, options, outputs, progress, results

if TYPE_CHECKING:
    from sdtrace.history.alarm import Alarm
    from sdtrace.history.nightly import Addition
    from sdtrace.history.state import State
    from sdtrace.results.report import Report

_PAGES = ".pages.json"
_NIGHT = re.compile(r"\d{4}-\d\d-\d\d")


@click.command("nightly", cls=outputs.Verb)
@click.argument("paths", metavar="[INPUT]...", nargs=-1)
@options.reading
@click.option(
    "--state",
    type=outputs.FOLDER,
    metavar="DIR",
    required=True,
    help="The folder of the history; made if it is not there.",
)
@click.option(
    "-o",
    "--output",
    type=outputs.FOLDER,
    metavar="DIR",
    help="Write pages there: one a night, index.html, latest.html.",
)
@click.option(
    "--night", metavar="DATE", help="Which night the inputs belong to; else the day (UTC) of their last step."
)
@click.option(
    "--retention", type=click.IntRange(1, 36_500), metavar="DAYS", help="Keep this many days, forget older nights."
)
@click.option("--recover", is_flag=True, help="Go on from a damaged state: what is damaged is put into DIR/set-aside.")
@click.option("--rebuild", is_flag=True, help="Write the pages of all nights again, from the state alone.")
@click.option("--acknowledge", multiple=True, metavar="ALARM", help="This alarm is known (needs --until). Repeatable.")
@click.option("--until", metavar="DATE", help="With --acknowledge: the last day on which it is not to alarm.")
@click.option("--why", default="", metavar="TEXT", help="With --acknowledge: shown beside the alarm.")
@notices.options
@results.machines
@results.judgement
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but what was not counted.")
def command(paths: tuple[str, ...], **given: Any) -> int:
    """Add a night to the history: its report, the trend, alarms that stay valid over months.

    Inputs are known by content: a file that was counted is not counted again, whatever it is called, nor are the lines
    of a log that was counted before it grew. Data of an earlier night amends that night while it is among the last five.
    Exit 6 where another run holds the state.
    """
    from sdtrace.errors import UsageError
    from sdtrace.history import nightly
    from sdtrace.history.notice import notice
    from sdtrace.history.recover import recovered
    from sdtrace.history.state import opened

    results.understood(given)
    notices.checked(given)
    if bool(given["acknowledge"]) != bool(given["until"]):
        raise UsageError("--acknowledge and --until go together", "--acknowledge ALARM --until 2026-12-24 --why TEXT")
    if given["night"] is not None:
        nightly.checked(given["night"])
    if not (paths or any(given[name] for name in ("rebuild", "acknowledge", "retention", "recover"))):
        raise UsageError("no INPUT", "name the logs of the night, or --rebuild to write the pages again")
    if given["recover"]:
        for said in recovered(given["state"]):
            _say(said)
    with opened(given["state"], create=bool(paths)) as state:
        told = nightly.Addition()
        if paths:
            with progress.reading(quiet=given["quiet"]):
                told = nightly.add(state, paths, night=given["night"], format=given["format_"])
        if given["retention"]:
            told.forgotten = state.retain(given["retention"])
        if given["acknowledge"]:
            nightly.acknowledge(state, given["acknowledge"], given["until"], given["why"])
        _tell(told, state.ahead(), given["quiet"])
        if not state.nights():
            raise UsageError("the state holds no night up to today", "give INPUT")
        found = nightly.report_of(state, state.nights()[-1], told.faults)
        if given["output"]:
            _pages(state, Path(given["output"]), paths, given["rebuild"], told.faults)
            if not given["quiet"]:
                _say(f"pages: {Path(given['output']) / 'index.html'}")
        told_team = True
        if given["mail"] or given["webhook"]:
            news = notice(state.records(), found.document, state.manifest["acknowledged"], told.faults)
            told_team = notices.send(news, given)
    code = _finish(found, given, told)
    return code if told_team else code or 1


def _finish(report: "Report", given: dict[str, Any], addition: "Addition") -> int:
    from sdtrace.render import terminal

    taken = results.write(report, given)
    if not given["quiet"] and not given["mail"] and not taken:
        click.echo(terminal.night(report, options.width(), options.colour()), nl=False)
    return results.exit_code(report.document, given) or (0 if given["exit_zero"] or not addition.late else 1)


def _tell(addition: "Addition", ahead: list[str], quiet: bool) -> None:
    """What became of the inputs; where it is quiet, what was not counted alone."""
    for path in addition.known[:5] if not quiet else ():
        _say(f"counted already: {path}")
    if len(addition.known) > 5 and not quiet:
        _say(f"counted already: and {len(addition.known) - 5:,} more")
    for what, some in (
        ("too late or too early", addition.late),
        ("set aside", addition.unread),
        ("note", addition.notes),
    ):
        for one in some[:5]:
            _say(f"{one.why}: {one.path}" if some is addition.late else f"{what}: {one.path}: {one.why}", one.advice)
        if len(some) > 5:
            _say(f"{what}: and {len(some) - 5:,} more")
    for what, nights in (
        ("added", addition.added),
        ("amended", addition.amended),
        ("forgotten", addition.forgotten),
        ("ahead of the clock, kept and left out of the history", ahead),
    ):
        if nights and (nights is ahead or not quiet):
            _say(f"{what}: {', '.join(nights[:8])}{' ...' if len(nights) > 8 else ''}")


def _say(text: str, hint: str = "") -> None:
    from sdtrace.render.text import clean

    click.echo(clean(text, 600), err=True)
    if hint:
        click.echo(f"hint: {clean(hint, 400)}", err=True)


def _pages(state: "State", folder: Path, paths: Sequence[str], every: bool, faults: Sequence["Alarm"]) -> None:
    """Write the pages that are missing, older than their night, or affected by what is new; each whole or not at all."""
    import orjson

    from sdtrace.errors import OutputError
    from sdtrace.history import nightly
    from sdtrace.history.alarms import register
    from sdtrace.history.overview import overview
    from sdtrace.history.section import trends
    from sdtrace.render import html, index, json

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror or error}", "name a folder that may be written to") from error
    nights = state.nights()
    versions = {night: state.manifest["nights"][night]["folder"] for night in nights}
    written = _written(folder / _PAGES)
    outputs.apart(paths, [str(folder / f"{night}.{ending}") for night in nights for ending in ("html", "json")])
    first = min([n for n in nights if n not in written or written[n]["version"] != versions[n]], default=nights[-1])
    for night in nights:
        # a night that is amended moves the baseline of those after it
        if every or night >= first or night == nights[-1]:
            found = nightly.report_of(state, night, faults if night == nights[-1] else ())
            found = results.configured(found) if night == nights[-1] else found
            atomic.write(folder / f"{night}.html", html.page(found), inside=folder)
            atomic.write(folder / f"{night}.json", json.dumps(found), inside=folder)
            verdict = found.document["verdict"]
            written[night] = {"version": versions[night], "state": verdict["state"], "headline": verdict["headline"]}
    for old in written.keys() - {*versions, *state.ahead()}:
        for ending in ("html", "json"):
            if _ours(folder / f"{old}.{ending}"):
                (folder / f"{old}.{ending}").unlink()
    records = state.records()
    stays = register(records, state.manifest["acknowledged"]).stays
    rows = overview(records, found.document, stays)
    told = {night: one for night, one in written.items() if "state" in one}
    page = index.page(records, trends(records), found.document, rows, stays, told)
    atomic.write(folder / "index.html", page, inside=folder)
    _latest(folder / "latest.html", f"{nights[-1]}.html")
    atomic.write(folder / _PAGES, orjson.dumps({night: written[night] for night in nights}), inside=folder)


def _ours(page: Path) -> bool:
    """Whether a file is a page of ours, whatever the list of pages says: only such a one is removed."""
    try:
        with page.open("rb") as stream:
            return not page.is_symlink() and b"sdtrace" in stream.read(4096)
    except OSError:
        return False


def _latest(file: Path, page: str) -> None:
    """A symlink to the last page; where a file of the user has the name, the page is written into it."""
    if file.exists() and not file.is_symlink():
        atomic.write(file, (file.parent / page).read_bytes())
        return
    half = file.with_name(f".latest.{os.getpid()}")
    half.unlink(missing_ok=True)
    half.symlink_to(page)
    os.replace(half, file)


def _written(file: Path) -> dict[str, dict[str, str]]:
    """Of each night which version of it its page shows, and what that page says of it."""
    import orjson

    try:
        told = orjson.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    pages = {n: v for n, v in told.items() if _NIGHT.fullmatch(n)} if isinstance(told, dict) else {}
    # versions before this one kept the version of a night alone
    return {n: v if _is_told(v) else {"version": v if isinstance(v, str) else ""} for n, v in pages.items()}


def _is_told(value: object) -> bool:
    from sdtrace.results.words import TITLES

    names = ("version", "state", "headline")
    return isinstance(value, dict) and all(isinstance(value.get(n), str) for n in names) and value["state"] in TITLES
