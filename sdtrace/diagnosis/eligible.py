"""Which rows of evidence a check may read, and the level that each is held to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from sdtrace.diagnosis.chosen import Chosen
from sdtrace.diagnosis.law_choice import Choice
from sdtrace.diagnosis.recovered_rank import order
from sdtrace.results.check import Check, Counts
from sdtrace.stats.significance import FAMILY, overdispersion
from sdtrace.tally.tally import Tally
from sdtrace.verify.laws import LAWS

#: Tables of lanes: by place within the request, by engine step.
LANES = ("lanes", "step_lanes")
#: Chance below which lanes are taken to share their draws, so that variances are scaled by what they show.
_SHARED = 1e-3


def level(tally: Tally, checks: Sequence[Check], choices: Mapping[str, Choice]) -> float:
    """The level of one statistic: what FAMILY leaves to each of those that the log allows, in each run (Bonferroni)."""
    rows, steps = tally.frame("evidence"), tally.steps
    seen = set() if rows.is_empty() else {code.partition(":")[0] for code in rows["code"].unique()}
    for name in LANES:
        if not tally.frame(name).is_empty():
            seen |= {check.code for check in checks if check.table == name}
    if steps is not None and not steps.is_empty():
        seen |= {check.code for check in checks if check.table == "rows" and not _absent(check, tally)}
    tests = sum(check.tests for check in checks if check.code in seen)
    return FAMILY / max(tests, 1) / max(len(choices), 1)


@dataclass(frozen=True)
class Rows:
    """What all checks over sums read, made once: evidence of the chosen laws, of any law, and lanes, as dicts."""

    of_law: list[dict[str, Any]]
    agnostic: list[dict[str, Any]]
    lanes: dict[str, list[dict[str, Any]]]
    any: bool  #: something was added up at all


def rows(chosen: Chosen) -> Rows:
    """The rows of runs whose law is known well enough."""
    found, choices = chosen.tally.frame("evidence"), chosen.choices
    if found.is_empty():
        return Rows([], [], {}, any=False)
    lanes = {name: _lanes(chosen.frame(name), choices) for name in LANES}
    # draws that requests share make sums wider than their variances say, lawfully or not
    scales = {(row["run_id"], row["law"]): max(1.0, row["scale"]) for row in lanes["lanes"] if row["p"] < _SHARED}

    def widened(mine: pl.DataFrame) -> list[dict[str, Any]]:
        return [row | {"inflation": scales.get((row["run_id"], row["law"]), 1.0)} for row in mine.to_dicts()]

    return Rows(
        widened(_of_law(chosen.frame("evidence"), choices)), widened(_agnostic(found, choices)), lanes, any=True
    )


def summed(
    check: Check, rows: Rows, tally: Tally, choices: Mapping[str, Choice], used: pl.Expr, level: float
) -> Counts:
    """The sums of one check, over runs whose law is known well enough; of any law where the check is valid for all.

    `used` chooses the rows of the law of each run; `level` is that of one statistic.
    """
    if not rows.any:
        return Counts(0, 0, 0, ())
    if check.table == "rows":
        doubted = [run for run, c in choices.items() if c.source != "declared"]
        placed = order(tally.steps, used & ~pl.col("run_id").is_in(doubted))
        n = int(sum(row["n"] for row in placed if row["code"] == check.code))
        return Counts(n, n, 0, () if placed else _absent(check, tally), sums=tuple(placed), level=level)
    if check.table in LANES:
        lanes = rows.lanes[check.table]
        n = int(sum(row["n"] for row in lanes))
        return Counts(n, n, 0, () if lanes else _absent(check, tally), sums=tuple(lanes), level=level)
    mine = rows.agnostic if check.laws is None else rows.of_law
    found = [row for row in mine if row["code"].partition(":")[0] == check.code]
    n = int(sum(row["n"] for row in found if row["code"] == check.code))
    return Counts(n, n, 0, () if found else _absent(check, tally), sums=tuple(found), level=level)


def _agnostic(rows: pl.DataFrame, choices: Mapping[str, Choice]) -> pl.DataFrame:
    """Runs under block verification or an unknown law, each once; the other laws have sharper tests.

    Of several drafted tokens a node the record holds the accepted one: such tokens do not follow q (SD213), and a run that
    declares nothing may be of that kind.
    """
    open_ = [run for run, c in choices.items() if not c.accuses or LAWS[c.law].decides == "block" or c.rivals]
    told = [run for run in open_ if choices[run].source == "declared"]
    mine = pl.col("run_id").is_in(open_) & ((pl.col("code") != "SD213") | pl.col("run_id").is_in(told))
    return rows.filter(mine).unique(["run_id", "code"], keep="first", maintain_order=True)


def _of_law(rows: pl.DataFrame, choices: Mapping[str, Choice]) -> pl.DataFrame:
    """Rows of runs that declare their law.

    A law that was inferred and that a statistic contradicts is not the law: several drafted tokens a node, of which the record
    holds one, agree with the ratio law in every decision, and in no mean.
    """
    return rows.filter(pl.col("run_id").is_in([run for run, c in choices.items() if c.source == "declared"]))


def _lanes(lanes: pl.DataFrame, choices: Mapping[str, Choice]) -> list[dict[str, Any]]:
    """One row a run and law: n slots, lanes, p (chance of lanes this far apart), scale (squares over variances)."""
    if lanes.is_empty():
        return []
    doubted = [run for run, c in choices.items() if c.source != "declared"]
    lanes = lanes.filter(~pl.col("run_id").is_in(doubted))
    found: list[dict[str, Any]] = []
    for (run, law), part in lanes.group_by("run_id", "law", maintain_order=True):
        p, scale, n = overdispersion(part.to_dicts())
        sums = {"n": float(part["n"].sum()), "unknown": float(part["unknown"].sum())}
        found.append({"run_id": str(run), "law": str(law), "p": p, "scale": scale, "lanes": n, **sums})
    return found


def _absent(check: Check, tally: Tally) -> tuple[str, ...]:
    """Columns that the check needs and the sample of steps does not hold."""
    steps = tally.steps
    if steps is None or steps.is_empty():
        return check.needs
    return tuple(n for n in check.needs if n not in steps.columns or steps[n].null_count() == steps.height)
