"""Since when: causes of acceptance that fell, with the moment on the clock and what the engine said around it.

What was healthy before disproves causes that were there from the start: the drafter's vocabulary and weights were accepted
until then. A fall that comes with another draft length is no fault of the drafter, unless the first position falls too.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from sdtrace.counters.changes import Change
from sdtrace.counters.places import ALIKE, By
from sdtrace.counters.places import named as names_in
from sdtrace.counters.restarted import PROCESS_ID
from sdtrace.results.cause import Cause, ranked
from sdtrace.results.cause_words import WORDS
from sdtrace.results.clock import clock
from sdtrace.results.words import CERTAINTIES
from sdtrace.schema.trace import METHOD, Event
from sdtrace.speed.finding import looks_up

#: A fall that accuses: to so much of the level before, and by so much.
SHARE, POINTS = 0.5, 0.1
#: Accepted share of drafted tokens at which a drafter is as good as dead, and the tokens that tell it.
DEAD, ENOUGH = 0.01, 100
#: Seconds, and lines where there is no clock, before an onset in which an event may have to do with it; before the first window.
NEAR_S, FIRST_S, NEAR_LINES = 120.0, 900.0, 200
#: Seconds behind an onset: a line is printed when its window ends.
_AFTER_S = 30.0
_BESIDE = ("error", "died", "version", "config", "k", "fallback", "off", "cache")
_OF_ACCEPTANCE = ("drafter-miswired", "low-acceptance", "series-outlier")
_DEAD_ADVICE = (
    "drafts were accepted until then, so vocabulary and wiring are not the cause. Look at what happened at that time (errors, a deploy, "
    "a cache transfer), then restart the engine and see whether acceptance comes back"
)
_FELL_ADVICE = (
    "drafts were accepted before, so vocabulary and wiring are not the cause. Compare the requests before and after (length, language, "
    "temperature, adapter), and the lines of the engine at that time"
)
_LOAD_ADVICE = (
    "time and load rose together here, so the log alone cannot tell them apart. Send the same requests one at a time: if acceptance stays "
    "high there, the engine mixes up what requests of a batch hold (hidden states, cache slots, padding of captured sizes); if not, the "
    "requests that come under load are other ones"
)
#: How many times more running requests make a rise of load.
_MORE = 2.0

_FALLS = {"first_path": pl.String(), "first_line": pl.Int64(), "run_id": pl.String(), "request_id": pl.String()}
_FALLS |= {"fell": pl.Boolean(), "what": pl.String()}


def falls(windows: pl.DataFrame, changes: Sequence[Change], events: Sequence[Event]) -> pl.DataFrame:
    """One row a series whose acceptance fell, one without for every input with figures: what the check reads."""
    fell = _fallen(changes, events, windows)
    rows: list[dict[str, object]] = [
        {"first_path": c.path, "first_line": c.line, "fell": True, "what": _words(c, named=True)} for c in fell
    ]
    known = windows.filter(pl.col("rate").is_not_null())["path"].unique(maintain_order=True).to_list()
    rows += [{"first_path": path, "fell": False} for path in known if path not in {c.path for c in fell}]
    return pl.DataFrame(rows, schema=_FALLS)


def since(
    rows: Sequence[Cause], changes: Sequence[Change], events: Sequence[Event], windows: pl.DataFrame
) -> list[Cause]:
    """The causes, with those of acceptance that fell: dated, with what stands beside the onset as evidence."""
    fell = _fallen(changes, events, windows)
    series = windows.filter(pl.col("rate").is_not_null())["series"]
    beside = series.n_unique() > 1 and any(re.search(PROCESS_ID, change.series) for change in fell)
    several = beside or series.str.replace(PROCESS_ID, "$1").n_unique() > 1
    by_cause: dict[str, list[Change]] = {}
    for change in fell:
        by_cause.setdefault("drafter-miswired" if _dead(change) else "low-acceptance", []).append(change)
    named = {row.cause for row in rows}
    made = [_cause(cause, mine, changes, events, named=several) for cause, mine in by_cause.items()]
    joined = [_merged(row, next((m for m in made if m.cause == row.cause), None), events, windows) for row in rows]
    return ranked([*joined, *(m for m in made if m.cause not in named)])


def fallen(changes: Sequence[Change], events: Sequence[Event], windows: pl.DataFrame) -> set[tuple[str, str]]:
    """(by, name) of the places whose acceptance fell and stayed low, where it was counted by place."""
    return {place for c in _fallen(changes, events, windows) if not c.few for place in _places(c).items()}


def _places(change: Change) -> dict[By, str]:
    """What the series of a change is a series of: engine 3, rank 1, ..."""
    return {by: name for by, name in names_in(change.named, "").items() if by in (*ALIKE, "adapter")}


def _fallen(changes: Sequence[Change], events: Sequence[Event], windows: pl.DataFrame) -> list[Change]:
    """Falls that are no matter of another draft length, nor of a lookup: what that finds is up to the text."""
    if any(looks_up(e.settings.get(METHOD)) for e in events):
        return []
    return [c for c in changes if _fell(c) and not _other_length(c, changes, windows)]


def _few(change: Change) -> bool:
    """Whether so little was drafted on one side that it may be no more than two requests."""
    if change.tokens is None or not change.tokens[0] or not change.tokens_before:
        return False  # shares without counts
    return min(change.tokens[0], change.tokens_before) < ENOUGH


def _fell(change: Change) -> bool:
    if _few(change):
        return False
    before, after = change.before or 0.0, change.after or 0.0
    if change.basis == "request" and not _dead(change):
        return False  # a benchmark goes through its tasks one after the other
    return change.what == "acceptance" and change.lasts and after <= SHARE * before and before - after >= POINTS


def _dead(change: Change) -> bool:
    """Whether nothing is accepted any more; shares without counts (SGLang's log) are printed, so only 0.00 throughout is nothing."""
    if change.tokens is None:
        return not change.slow and change.after == 0.0
    drafted, accepted = change.tokens
    return not change.slow and drafted >= ENOUGH and accepted <= DEAD * drafted


def _other_length(change: Change, changes: Sequence[Change], windows: pl.DataFrame) -> bool:
    """Whether the draft length changed with it and the first position, if it is counted, is accepted as before."""
    at = change.at
    switches = [c for c in changes if c.what == "draft_length" or c.of_length]
    near = [c for c in switches if at is not None and c.at is not None and abs(c.at - at) <= NEAR_S]
    if not near or at is None:
        return False
    known = windows.filter(
        pl.col("accepted_by_position").is_not_null() & (pl.col("drafts") > 0) & pl.col("at").is_not_null()
    )
    firsts = known.select("at", "drafts", first=pl.col("accepted_by_position").list.get(0, null_on_oob=True))
    old, new = firsts.filter(pl.col("at") < at), firsts.filter(pl.col("at") >= at)
    if old.is_empty() or new.is_empty():
        return True
    share = [float(part["first"].sum()) / float(part["drafts"].sum()) for part in (old, new)]
    return share[1] > SHARE * share[0]


def _cause(
    cause: str, mine: Sequence[Change], changes: Sequence[Change], events: Sequence[Event], *, named: bool
) -> Cause:
    worst = sorted(mine, key=lambda c: (c.after or 0.0) - (c.before or 0.0))
    words = WORDS[cause]
    told = [_words(change, named=named or len(mine) > 1) + _with(change, changes) for change in worst[:3]]
    loaded = [change for change in mine if _load(change, changes) is not None]
    more = f", and {len(mine) - 3} more series" if len(mine) > 3 else ""
    says = "acceptance fell, and stayed low" if cause == "low-acceptance" else "no drafted token is accepted any more"
    beside = _beside(worst[0], events, NEAR_S)
    evidence: list[dict[str, Any]] = [
        {
            "path": c.path,
            "line": c.line,
            "at": c.at,
            "series": c.series,
            "what": f"acceptance {c.before:.1%} before, {c.after:.1%} after",
        }
        for c in worst[:4]
    ]
    few = all(change.few for change in mine)
    doubt = ["so few windows may hold other requests"] if few else []
    advice = _DEAD_ADVICE if cause == "drafter-miswired" else _LOAD_ADVICE if loaded else _FELL_ADVICE
    blame = "scheduler" if cause == "drafter-miswired" else "traffic"
    return Cause(
        cause,
        words.side,
        "suspected" if few else "statistical",
        ("SD438",),
        f"{says}: {'; '.join(told)}{more}",
        (*evidence, *map(_event, beside))[:8],
        advice,
        blame,
        len(mine),
        beside=(*doubt, *([_named(beside)] if beside else [])),
    )


def _words(change: Change, *, named: bool) -> str:
    place = " of ".join(f"{by} {name}" for by, name in reversed(_places(change).items())) or change.series
    series = f"{place}: " if named and place else ""
    before = f"{change.before:.1%}"
    if change.slow:
        return f"{series}from {before} at {clock(change.at)} to {change.after:.1%} at {clock(change.until)}"
    after = f"{change.after:.1%}"
    if change.tokens is not None:
        drafted, accepted = change.tokens
        after = f"{accepted:,.0f} of {drafted:,.0f}"
    until = "" if change.last is None else f" until {clock(change.last)}"
    return f"{series}{before}{until}, {after} since {clock(change.at, change.line)}"


def _with(change: Change, changes: Sequence[Change]) -> str:
    """What else of the series changed at that time: its load, and its throughput for worse."""
    if (load := _load(change, changes)) is not None:
        return f", while running requests went from {load.before:,.0f} to {load.after:,.0f}"
    other = next((c for c in changes if c.what == "throughput" and c.series == change.series), None)
    if (
        other is None
        or change.at is None
        or other.at is None
        or abs(other.at - change.at) > NEAR_S * (10 if change.slow else 1)
    ):
        return ""
    if (other.after or 0.0) >= (other.before or 0.0):
        return ""
    return f" (throughput {other.before:,.1f} to {other.after:,.1f} tokens/s)"


def _load(change: Change, changes: Sequence[Change]) -> Change | None:
    """The rise of load that came with a fall: a ramp beside a ramp, a step within two minutes of a step."""
    for other in changes:
        if other.what != "load" or other.series != change.series or None in (other.at, change.at):
            continue
        if (other.after or 0.0) < _MORE * max(other.before or 0.0, 1.0):
            continue
        ends = [(c.at or 0.0, c.until or c.at or 0.0) for c in (other, change)]
        slack = 0.0 if other.slow or change.slow else NEAR_S
        if max(begin for begin, _ in ends) <= min(end for _, end in ends) + slack:
            return other
    return None


def _merged(row: Cause, dated: Cause | None, events: Sequence[Event], windows: pl.DataFrame) -> Cause:
    if dated is not None:
        certainty = min(row.certainty, dated.certainty, key=CERTAINTIES.index)
        checks = tuple(dict.fromkeys((*row.checks, *dated.checks)))
        evidence = (*dated.evidence, *row.evidence)[:8]
        if "SD440" in row.checks:  # what it falls with explains more than when it last fell
            return replace(row, certainty=certainty, checks=checks, evidence=(*row.evidence, *dated.evidence)[:8])
        return replace(
            dated, certainty=certainty, checks=checks, evidence=evidence, weight=max(row.weight, dated.weight)
        )
    if row.cause not in _OF_ACCEPTANCE or not (beside := _before_all(row, events, windows)):
        return row
    evidence = (*row.evidence[:5], *map(_event, beside))[:8]
    return replace(row, evidence=evidence, beside=(*row.beside, _named(beside)))


def _before_all(row: Cause, events: Sequence[Event], windows: pl.DataFrame) -> list[Event]:
    """Errors before the first window, where nothing tells when it began."""
    paths = {str(e["path"]) for e in row.evidence if e.get("path")} or set(windows["path"].to_list())
    mine = windows.filter(pl.col("path").is_in(list(paths)))
    if mine.is_empty():
        return []
    first = mine.sort("at", "line", nulls_last=True).row(0, named=True)
    onset = Change("acceptance", "", first["at"], None, None, first["path"], first["line"])
    return [e for e in _beside(onset, events, FIRST_S) if e.kind in ("error", "died")]


def _beside(onset: Change, events: Sequence[Event], before_s: float) -> list[Event]:
    """Events that stand near an onset, the nearest first; what is configured at the start is none."""
    found = []
    for event in events:
        if event.kind not in _BESIDE:
            continue
        if event.at is not None and onset.at is not None:
            ahead = onset.at - event.at
            near = -_AFTER_S <= ahead <= before_s
        else:
            ahead = (onset.line or 0) - (event.line or 0)
            near = event.path == onset.path and 0 <= ahead <= NEAR_LINES
        if near:
            found.append((event.kind not in ("error", "died"), abs(ahead), event))
    return [event for *_, event in sorted(found, key=lambda row: row[:2])][:4]


def _event(event: Event) -> dict[str, Any]:
    says = event.what if event.value is None else f"{event.what}: {event.value}"
    return {"path": event.path, "line": event.line, "at": event.at, "what": says}


def _named(beside: Sequence[Event]) -> str:
    """The events in the headline: errors by their place in the engine's source."""
    first = beside[0]
    where = first.path if first.line is None else f"{first.path}:{first.line}"
    says = first.what if first.value is None else f"{first.what}: {first.value}"
    more = f", and {len(beside) - 1} more" if len(beside) > 1 else ""
    return f"beside it {says} ({where}{more})"
