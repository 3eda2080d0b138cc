"""How far decisions that contradict their law are from it: |ln r - ln p/q|, by side.

A recorded p that is not quite the compared one makes few contradictions, all of them near the boundary and on both sides
of it, among many decisions there that agree. A wrong rule makes them on one side, or far from it. Only batches that hold a
contradiction pay for this.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from sdtrace.results.check import Check
from sdtrace.schema.arrays import Flags, Floats, Ints
from sdtrace.verify.band import EXACT, ratio_interval
from sdtrace.verify.positions import positions
from sdtrace.verify.scope import Scope

#: Cells of an octave of the margin.
FINE = 8
#: Margins are told from 2^-24 to 2^6; what p = 0 or q = 0 makes is the largest.
_LEAST, _MOST = -24 * FINE, 6 * FINE
SCHEMA = {
    "run_id": pl.String(),
    "law": pl.String(),
    "side": pl.String(),
    "cell": pl.Int64(),
    "wrong": pl.Int64(),
    "near": pl.Int64(),
}


def margins(scope: Scope, rows: pl.DataFrame, checks: Sequence[Check]) -> pl.DataFrame | None:
    """One row a side (accepted, rejected, recovered) and cell of the margin: contradictions (`wrong`), and decisions with a
    uniform that could be told (`near`). None where nothing contradicts. `rows`: the enriched steps; `checks`: those that
    found a fault in them."""
    wrong = np.flatnonzero(scope.judged.decision == -1)
    impossible = _impossible(scope, rows, checks)
    if not len(wrong) and impossible is None:
        return None
    made: list[pl.DataFrame] = []
    if len(wrong) and scope.law.quotient:
        margin = cell(_of_decisions(scope))
        drawn = np.isfinite(scope.pos.r)
        for side, accepted in (("accepted", True), ("rejected", False)):
            mine = scope.judged.tested & (scope.pos.accepted == accepted)
            bad, told = mine & (scope.judged.decision == -1), mine & (scope.judged.decision != 0) & drawn
            made.append(_table(scope, side, margin[bad], margin[told]))
    elif len(wrong) and scope.law.decides == "block":
        made += _widening(scope, wrong)
    if impossible is not None:
        made.append(_table(scope, "recovered", cell(impossible), np.zeros(0, np.int64)))
    return pl.concat(made) if made else None


def cell(margin: Floats) -> Ints:
    """The cell of each margin."""
    with np.errstate(divide="ignore"):
        found = np.floor(FINE * np.log2(margin))
    return np.asarray(np.clip(np.nan_to_num(found, nan=_MOST, posinf=_MOST, neginf=_LEAST), _LEAST, _MOST), np.int64)


def upper(number: int) -> float:
    """The margin at the upper end of a cell."""
    return float(2.0 ** ((number + 1) / FINE))


def _of_decisions(scope: Scope) -> Floats:
    """|ln r - ln p/q| at every position, beyond what rounding leaves of p/q; without a uniform r is 1: only p > q tells."""
    pos, bands = scope.pos, scope.bands
    drawn = scope.law.draft == "sampled"
    low, high = ratio_interval(pos.p, pos.q if drawn else np.ones_like(pos.p), bands.p, bands.q if drawn else EXACT)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        r = np.log(np.where(np.isfinite(pos.r), pos.r, 1.0))
        return np.asarray(np.maximum(np.maximum(r - np.log(high), np.log(low) - r), 0.0))


def _impossible(scope: Scope, rows: pl.DataFrame, checks: Sequence[Check]) -> Floats | None:
    """ln q/p of recovered tokens that the residual cannot give (q/(P p) under block verification); None where there is none."""
    check = next((c for c in checks if c.code == "SD111"), None)
    if check is None or scope.law.name not in (check.laws or ()) or any(scope.absent(name) for name in check.needs):
        return None
    faulty = rows.filter((check.judged & check.fault).fill_null(value=False))
    if faulty.is_empty():
        return None
    names = (
        ("p_band_high_y", "q_band_low_y") if scope.law.decides == "block" else ("last_target_prob", "last_draft_prob")
    )
    p, q = (faulty[name].fill_null(np.nan).to_numpy().astype(np.float64) for name in names)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(q / p))


def _table(scope: Scope, side: str, wrong: Ints, near: Ints) -> pl.DataFrame:
    cells = np.unique(np.concatenate((wrong, near)))
    count = {name: np.searchsorted(cells, values) for name, values in (("wrong", wrong), ("near", near))}
    size = len(cells)
    return pl.DataFrame(
        {
            "run_id": [str(scope.steps["run_id"][0])] * size,
            "law": [scope.law.name] * size,
            "side": [side] * size,
            "cell": cells,
            "wrong": np.bincount(count["wrong"], minlength=size),
            "near": np.bincount(count["near"], minlength=size),
        },
        schema=SCHEMA,
    )


#: Widths of p that are tried for a law whose level is no quotient, in octaves from the least.
_TRIED = range(-14, 1)


def _widening(scope: Scope, wrong: Ints) -> list[pl.DataFrame]:
    """The least width of p under which each contradiction would be none, steps with one looked at alone."""
    rows = np.unique(scope.pos.row[wrong])
    part = scope.steps[rows]
    pos = positions(part)
    cells: dict[str, list[int]] = {"accepted": [], "rejected": []}
    before: Flags | None = None
    for octave in _TRIED:
        run = replace(scope.run, imprecise=2.0**octave)
        still = replace(scope, run=run, pos=pos).judged.decision == -1
        gone = ~still if before is None else before & ~still
        if before is None:
            gone &= replace(scope, pos=pos).judged.decision == -1
        for side, accepted in (("accepted", True), ("rejected", False)):
            cells[side] += [octave * FINE] * int((gone & (pos.accepted == accepted)).sum())
        before = still
    for side, accepted in (("accepted", True), ("rejected", False)):
        cells[side] += [_MOST] * int((before & (pos.accepted == accepted)).sum()) if before is not None else []
    nothing = np.zeros(0, np.int64)
    return [_table(scope, side, np.array(found, np.int64), nothing) for side, found in cells.items()]
