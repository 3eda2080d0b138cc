"""Every rule on the whole of an engine's counts and on each of its series, with false discoveries held down over all of them."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Literal

import polars as pl

from sdtrace.counters.series import Tally, tallies
from sdtrace.counters.sources import CounterSource
from sdtrace.diagnosis.by_series.decay import Decay, decays
from sdtrace.diagnosis.by_series.idle import Idle, idle
from sdtrace.diagnosis.by_series.near_zero import Rare, behind, first
from sdtrace.diagnosis.by_series.outlier import Against, against
from sdtrace.diagnosis.by_series.pays import NOTHING, STEPS, UNSURE, Gain, gain
from sdtrace.results.words import VerdictState
from sdtrace.schema.trace import METHOD, Event
from sdtrace.speed.finding import looks_up
from sdtrace.stats.discovery import bh, e_bh

#: Share of false ones among the series that are accused.
LEVEL = 0.01

Rule = Literal["near-zero", "dead-position", "series-outlier", "cannot-pay"]


@dataclass(frozen=True)
class Judged:
    """A tally with the rules that it breaks and what was measured. `chosen`: acceptance is announced to be synthetic;
    `free`: steps without a draft cannot be told from those that accepted nothing;
    `lengths`: requests tell how long their prompts are."""

    tally: Tally
    first: Rare
    behind: Rare | None
    gain: Gain | None
    lookup: bool
    chosen: bool
    free: bool
    idle: Idle | None = None
    decay: Decay | None = None
    lengths: bool = False
    against: Against | None = None
    broken: tuple[Rule, ...] = ()

    @property
    def enough(self) -> bool:
        """Whether a drafter that is broken would have been seen."""
        return self.tally.steps >= STEPS

    @property
    def state(self) -> VerdictState:
        if self.broken:
            return "slow"
        return "healthy" if self.enough and not self.chosen and not self.unsure else "cannot-tell"

    @property
    def unsure(self) -> bool:
        """Whether so little is accepted that only times tell whether it pays."""
        drafted, accepted = self.tally.total("drafted"), self.tally.total("accepted")
        if self.gain is None:
            return not drafted or accepted is None or accepted < UNSURE * drafted
        return self.gain.value < UNSURE


def judged(windows: pl.DataFrame, sources: Sequence[CounterSource], events: Sequence[Event]) -> list[Judged]:
    """The whole of every engine in front of its series."""
    made: list[Judged] = []
    by_length = decays(windows, sources)
    configured = {path: _settings(events, path) for path in {e.path for e in events}}
    names = windows.filter(pl.col("surface") == "statistics")  # llama.cpp: totals by implementation
    drafters = set(names["series"].drop_nulls().to_list())
    for whole, series in tallies(windows, sources, configured):
        told = {e.settings[METHOD] for e in events if e.engine == whole.engine and METHOD in e.settings}
        told |= drafters if whole.engine == "llama.cpp" else set()
        head, *rest = _ruled([_measured(t, events, sources, told) for t in (whole, *series)])
        falls = None if head.broken or head.chosen else by_length.get(whole.engine)
        made += [replace(head, decay=falls, lengths=whole.engine in by_length), *rest]
    return made


def _settings(events: Sequence[Event], path: str) -> str:
    """What the events of an input set, as one text: inputs are alike where it is the same."""
    mine = [e.settings for e in events if e.kind == "config" and e.path == path]
    return " ".join(sorted({f"{name}={value}" for settings in mine for name, value in settings.items()}))


def _measured(t: Tally, events: Sequence[Event], sources: Sequence[CounterSource], methods: Set[str]) -> Judged:
    """`methods`: every drafter that is told. TGI counts every step, so what its lookups do not find stands in the steps."""
    mine = [e for e in events if e.engine == t.engine]
    names = {t.name} if t.by == "drafter" else methods
    lookup = t.engine == "tgi" or any(map(looks_up, names))
    # steps whose draft length was set to none print a mean of 1.00
    free = not t.counted and any(e.kind in ("k", "schedule") for e in mine)
    chosen = any(e.kind == "synthetic" for e in mine)
    still = idle(t, sources, methods, mine) if t.by == "all" and not lookup else None
    return Judged(t, first(t), behind(t), gain(t), lookup, chosen, free, still)


def _ruled(here: Sequence[Judged]) -> list[Judged]:
    """The same with the rules that each breaks; the whole of an engine is a test like its series, and a lone series is the whole."""
    alone = [j for j in here if j.tally.by != "all" and sum(o.tally.by == j.tally.by for o in here) == 1]
    if alone:
        ruled = _ruled([j for j in here if all(j is not one for one in alone)])
        same = [replace(j, broken=ruled[0].broken if j.tally.steps == ruled[0].tally.steps else ()) for j in alone]
        return [*ruled, *same]
    able = [not j.chosen and not j.free for j in here]
    zero = e_bh([j.first.log_e if ok and j.first.near_zero else 0.0 for j, ok in zip(here, able, strict=True)], LEVEL)
    dead = e_bh([j.behind.log_e if ok and j.behind else 0.0 for j, ok in zip(here, able, strict=True)], LEVEL)
    compared = against([j.tally for j, ok in zip(here, able, strict=True) if ok and j.tally.by != "all"])
    far = {id(a.series): a for a, ok in zip(compared, bh([a.p for a in compared], LEVEL), strict=True) if ok and a.far}
    made = []
    for j, none, later in zip(here, zero, dead, strict=True):
        one = far.get(id(j.tally))
        poor = j.enough and not j.chosen and not j.free and j.gain is not None and j.gain.high < NOTHING
        rules: dict[Rule, bool] = {
            "near-zero": none,
            "dead-position": later and not none,
            "series-outlier": one is not None,
            "cannot-pay": poor and not none,
        }
        made.append(replace(j, against=one, broken=tuple(rule for rule, holds in rules.items() if holds)))
    return made


_TABLE = {
    "first_path": pl.String(),
    "first_line": pl.Int64(),
    "run_id": pl.String(),
    "request_id": pl.String(),
    "engine": pl.String(),
    "surface": pl.String(),
    "series": pl.String(),
    "steps": pl.Float64(),
    "drafted": pl.Float64(),
    "accepted": pl.Float64(),
    "tokens_per_step": pl.Float64(),
    "siblings": pl.Int64(),
    "enough": pl.Boolean(),
    "near-zero": pl.Boolean(),
    "dead-position": pl.Boolean(),
    "series-outlier": pl.Boolean(),
    "cannot-pay": pl.Boolean(),
    "idle": pl.Boolean(),
    "decays": pl.Boolean(),
}


def table(rows: Sequence[Judged]) -> pl.DataFrame:
    """The table `series`, which checks read: a row a tally."""
    return pl.DataFrame([_row(j) for j in rows], schema=_TABLE)


def _row(j: Judged) -> dict[str, Any]:
    t = j.tally
    place = {"first_path": t.path, "first_line": t.line, "engine": t.engine, "surface": t.surface}
    counts: dict[str, Any] = {
        "series": t.label or None,
        "steps": t.total("drafts") if t.counted else None,
        "drafted": t.total("drafted"),
        "accepted": t.total("accepted") if t.counted else None,
        "tokens_per_step": t.length,
        "siblings": j.against.others if j.against else None,
        "enough": j.enough,
    }
    told = {"idle": j.idle is not None, "decays": j.decay is not None if j.lengths else None}
    names = ("near-zero", "dead-position", "series-outlier", "cannot-pay")
    return place | counts | {name: name in j.broken for name in names} | told


def section(rows: Sequence[Judged], fallen: Set[tuple[str, str]] = frozenset()) -> list[dict[str, Any]]:
    """`acceptance.series` of the document: one row a series that is named. `fallen`: (by, name) of those whose acceptance fell."""
    made = []
    for j in rows:
        t = j.tally
        if t.by == "all":
            continue
        counts = {name: _whole(t.total(name)) if t.counted else None for name in ("drafts", "drafted", "accepted")}
        row = {"by": t.by, "name": t.name, "steps": counts.pop("drafts"), **counts, "tokens_per_step": t.length}
        state = "slow" if (t.by, t.place) in fallen else j.state
        made.append(row | {"verdict": state, "state": state})
    return made


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
