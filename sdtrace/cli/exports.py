"""Files that `convert` writes for other tools: a profile for simulators, Chrome trace events, OpenMetrics."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sdtrace.cli import options, outputs, progress
from sdtrace.errors import NoInputError, UsageError

if TYPE_CHECKING:
    from sdtrace.audit.audit import Audit
    from sdtrace.diagnosis.diagnose import Diagnosis
    from sdtrace.readers import Opened

F = TypeVar("F", bound=Callable[..., Any])

#: option -> what it writes
KINDS = {
    "profile": "Write acceptance by position for simulators there (speculation_profile.json).",
    "chrome": "Write the viewer's steps there as Chrome trace events, for Perfetto.",
    "openmetrics": "Write running totals there as OpenMetrics text.",
}


def asked(function: F) -> F:
    """--profile, --chrome, --openmetrics, and --content for the names in them."""
    what = click.Choice(["none", "ids"])
    says = "Names of requests in --chrome: others (none) or as recorded (ids)."
    function = click.option("--content", type=what, default="none", show_default=True, help=says)(function)
    for name, text in reversed(KINDS.items()):
        function = click.option(f"--{name}", type=outputs.FILE, metavar="FILE", help=text)(function)
    return function


def write(paths: Sequence[str], format_: str | None, given: Mapping[str, Any], *, quiet: bool = False) -> None:
    """Write what is asked for, from one audit. Raises UsageError for standard input, NoInputError where nothing is to be written."""
    from sdtrace.pipeline import OVERFLOW_ALLOWED

    if "-" in paths:
        raise UsageError("exports read their input twice", "write standard input to a file first")
    files = {name: given[name] for name in KINDS if given[name]}
    outputs.apart(paths, files.values())
    with progress.reading(quiet=quiet):
        OVERFLOW_ALLOWED(_written)(paths, format_, files, ids=given["content"] == "ids")
    for name, file in files.items() if not quiet else ():
        click.echo(f"{name}: {file}", err=True)


def _written(paths: Sequence[str], format_: str | None, files: Mapping[str, str], *, ids: bool) -> None:
    from sdtrace.pipeline import audit_and_diagnose, read
    from sdtrace.render import openmetrics

    opened = read(list(paths), format=format_)
    audit, found = audit_and_diagnose(opened, None, (None, None), ())
    if "profile" in files:
        options.write(files["profile"], _profile(audit, found, opened, paths[0]))
        if found.state == "wrong":
            click.echo("note: the verdict is wrong: a simulator with this profile models the fault too", err=True)
    if "openmetrics" in files:
        options.write(files["openmetrics"], openmetrics.dumps(audit, found))
    if "chrome" in files:
        options.write(files["chrome"], _chrome(opened, audit, found, paths[0], ids=ids))


def _profile(audit: "Audit", diagnosis: "Diagnosis", opened: "Sequence[Opened]", path: str) -> bytes:
    import orjson

    from sdtrace.tuning.profile import profile

    made = profile(audit, diagnosis, opened)
    if made is None:
        raise NoInputError(
            f"{path}: nothing tells which positions of a draft were accepted",
            "a trace of steps does, and so do logs and metrics of vLLM; sdtrace detect says what to log",
        )
    return orjson.dumps(made, option=orjson.OPT_INDENT_2) + b"\n"


def _chrome(opened: "Sequence[Opened]", audit: "Audit", diagnosis: "Diagnosis", path: str, *, ids: bool) -> bytes:
    """The requests of the viewer and of the evidence, under other names unless `ids`."""
    from sdtrace.checks import CHECKS
    from sdtrace.document.document import compose
    from sdtrace.writers.bundle import Piece, concerned, piece
    from sdtrace.writers.chrome import dumps
    from sdtrace.writers.disguise import Disguise, key_of

    part = piece(opened, concerned(compose(audit, diagnosis, CHECKS)), ids=True)
    if not ids:
        named = Disguise(key_of(one.source for one in opened)).named
        part = Piece(part.runs, named(part.requests), named(part.steps))
    made = None if part.steps.is_empty() else dumps(part)
    if made is None:
        raise NoInputError(
            f"{path}: no step has a time or a duration: nothing can be drawn",
            "record `at`, `step_ms` and the times of its parts; sdtrace help recording",
        )
    return made
