"""The incident: one root cause, its signs, when it began and ended, and how much of the traffic it touched."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.checks import CHECKS
from sdtrace.counters.changes import Change
from sdtrace.counters.sources import CounterSource
from sdtrace.diagnosis.chosen import Chosen
from sdtrace.diagnosis.outcomes import faulty_requests
from sdtrace.results.cause import Cause
from sdtrace.results.explains import Named, incident_of
from sdtrace.tally.tally import REQUESTS

#: Clean steps beside the faulty ones, in units of the steps that hold one fault, that tell a beginning or an end.
CLEAN = 5.0
#: Bases whose windows add up.
_ADDS = ("interval", "iteration", "request", "round")
_OF_COUNTS = ("acceptance", "tokens_per_step")


@dataclass(frozen=True)
class Affected:
    """How much the root touched; None where the record does not tell. `share` is of the steps."""

    requests: int | None = None
    steps: int | None = None
    tokens: int | None = None
    share: float | None = None

    def row(self) -> dict[str, int | float | None]:
        return {"requests": self.requests, "steps": self.steps, "tokens": self.tokens, "share": self.share}


@dataclass(frozen=True)
class Incident:
    """`since`: Unix s (or seconds of a log's own clock) of its onset, None where no clock tells it; `until`: of its end, None while it
    lasts. `before` and `after`: tokens per step, or acceptance (`what`), where a change is found. `of`: requests and steps in all.
    """

    root: str
    consequences: tuple[str, ...]
    since: float | None
    until: float | None
    affected: Affected
    from_start: bool
    of: tuple[int | None, int | None]
    change: Change | None = None

    def row(self) -> dict[str, Any]:
        """As the document has it."""
        return {
            "root": self.root,
            "since": self.since,
            "until": self.until,
            "affected": self.affected.row(),
            "consequences": list(self.consequences),
            "from_start": self.from_start,
            "of": {"requests": self.of[0], "steps": self.of[1]},
            "change": None if self.change is None else self.change.row(),
        }


def incident(
    rows: Sequence[Cause],
    audit: Audit,
    chosen: Chosen,
    changes: Sequence[Change],
    source: CounterSource | None = None,
) -> Incident | None:
    """The worst incident; None where no cause is more than suspected."""
    found = incident_of([Named(row.cause, row.side, row.certainty) for row in rows])
    if found is None:
        return None
    root = next(row for row in rows if row.cause == found[0])
    moved = _moved(root, changes)
    if chosen.choices and root.side != "metric" and root.checks and (hit := _hit(root, audit, chosen)) is not None:
        affected, since, until, start, of = hit
    elif chosen.choices:
        affected, since, until, start, of = _whole(chosen, root)
    else:
        affected, since, until, start, of = _counted(root, audit, source, moved)
    return Incident(found[0], tuple(found[1]), since, until, affected, start, of, moved)


_Hit = tuple[Affected, float | None, float | None, bool, tuple[int | None, int | None]]


def _hit(root: Cause, audit: Audit, chosen: Chosen) -> _Hit | None:
    """What the checks of the root saw, request by request; None where they weigh many tokens and point at none."""
    requests, rows = chosen.frame("requests"), audit.tally.frame("affected")
    mine = chosen.frame("affected").filter(pl.col("code").is_in(root.checks))
    known = ["hash", "steps", "appended", "first_at", "last_at"]
    # of several checks of one step the one with most is taken: what they have in common is not recorded
    most = [pl.col("steps", "appended", "last_at").max(), pl.col("first_at").min()]
    parts = []
    if mine.height:
        each = mine.group_by("hash").agg(most)
        of = [pl.col("steps", "appended").sum(), pl.col("first_at").min(), pl.col("last_at").max()]
        parts.append(each.with_columns(chosen.once(each["hash"])).group_by("hash").agg(of).select(known))
    for check in (c for c in CHECKS if c.code in root.checks and c.table == "requests"):
        parts.append(faulty_requests(check, audit, chosen).select(known))
    parts = [part for part in parts if part.height]
    if not parts:
        return None
    hit = pl.concat(parts).group_by("hash").agg(most)
    steps = int(hit["steps"].sum())
    whole = int(chosen.frame("laws")["steps"].sum())
    full = requests.height < REQUESTS and rows.height < REQUESTS
    affected = Affected(
        hit.height if full else None, steps, int(hit["appended"].sum()), steps / whole if whole else None
    )
    total = (chosen.once(requests["hash"]).n_unique() if full else None, whole)
    first, last = hit["first_at"].min(), hit["last_at"].max()
    if not isinstance(first, float) or not isinstance(last, float):
        return affected, None, None, True, total
    inside, before, behind = _around(audit, first, last)
    rate = steps / max(inside, steps, 1)
    start = before * rate < CLEAN
    return affected, first, None if behind * rate < CLEAN else last, start, total


def _around(audit: Audit, first: float, last: float) -> tuple[float, float, float]:
    """Steps between two moments, before and behind them, to a bucket of the timeline."""
    table, width = audit.tally.frame("timeline"), audit.tally.width
    if table.is_empty() or width is None:
        return 0.0, 0.0, 0.0
    steps = table.group_by("bucket").agg(pl.col("steps").max())
    low, high = int(first // width), int(last // width)
    sums = steps.select(
        inside=pl.col("steps").filter(pl.col("bucket").is_between(low, high)).sum(),
        before=pl.col("steps").filter(pl.col("bucket") < low).sum(),
        behind=pl.col("steps").filter(pl.col("bucket") > high).sum(),
    ).row(0)
    return float(sums[0]), float(sums[1]), float(sums[2])


def _whole(chosen: Chosen, root: Cause) -> _Hit:
    """A cause that many tokens show touches every step of its run that drafts; one of a slice, or of speed, is not counted."""
    laws, requests = chosen.frame("laws"), chosen.frame("requests")
    all_steps = int(laws["steps"].sum())
    full = requests.height < REQUESTS
    of = (chosen.once(requests["hash"]).n_unique() if full else None, all_steps)
    if root.side != "wrong" or any("where" in row for row in root.evidence):
        return Affected(), None, None, True, of
    run_id = root.evidence[0].get("run_id") if root.evidence else None
    if run_id is not None:
        laws, requests = laws.filter(pl.col("run_id") == run_id), requests.filter(pl.col("run_id") == run_id)
    mine = requests.filter(pl.col("drafting") > 0)
    steps = int(laws["drafting"].sum())
    first = laws["first_at"].min()
    affected = Affected(
        chosen.once(mine["hash"]).n_unique() if full else None,
        steps,
        int(laws["appended"].sum()) if laws["known_appended"].sum() else None,
        steps / all_steps if all_steps else None,
    )
    return affected, first if isinstance(first, float) else None, None, True, of


def _moved(root: Cause, changes: Sequence[Change]) -> Change | None:
    """The fall of acceptance or of tokens per step that the root is dated by, or the one change of them that lasts."""
    falls = [c for c in changes if c.what in _OF_COUNTS and c.lasts and (c.after or 0.0) < (c.before or 0.0)]
    if root.side == "metric":
        return None
    dated = [row.get("at") for row in root.evidence if row.get("at") is not None]
    near = [c for c in falls if c.at is not None and c.at in dated]
    if near:
        return near[0]
    return falls[0] if root.side == "wrong" and len(falls) == 1 and falls[0].at is not None else None


def _counted(root: Cause, audit: Audit, source: CounterSource | None, moved: Change | None) -> _Hit:
    """Of counts: the windows behind the onset, or the series that the root names."""
    since = moved.at if moved is not None else None
    if source is None or root.side == "metric":
        return Affected(), since, None, moved is None, (None, None)
    total = source.counts["drafts"]
    of = (source.requests or None, None if total is None else round(total))
    mine = [row for row in root.evidence if row.get("steps") is not None and row.get("series")]
    if mine and root.cause in ("series-outlier", "drafter-miswired", "low-acceptance") and moved is None:
        steps = sum(float(row["steps"]) for row in mine)
        return _share(steps, None, total), None, None, True, of
    if moved is None or source.basis not in _ADDS:
        whole = root.cause != "series-outlier" and moved is None
        begun = source.first_at if whole else since
        return _share(total if whole else None, source.counts["emitted"], total), begun, None, moved is None, of
    part = audit.windows.filter(
        (pl.col("surface") == source.surface) & (pl.col("engine") == source.engine) & (pl.col("at") >= (since or 0.0))
    )
    behind = None if part["drafts"].null_count() else float(part["drafts"].sum())
    return _share(behind, None, total), since, None, False, of


def _share(steps: float | None, tokens: float | None, total: float | None) -> Affected:
    share = steps / total if steps is not None and total else None
    return Affected(
        None,
        None if steps is None else round(steps),
        None if tokens is None or steps is None else round(tokens),
        None if share is None else min(share, 1.0),
    )
