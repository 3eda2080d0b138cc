"""Probabilities printed with a few decimals: whether contradictions are left if further digits were cut off, not rounded."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from sdtrace.results.check import Check
from sdtrace.tally.step_columns import enriched
from sdtrace.verify.positions import positions
from sdtrace.verify.precision import of_decimals
from sdtrace.verify.scope import Scope

#: What rests on the band of p and q, step by step, beside the decisions.
_ON_BANDS = ("SD111",)


def digits(scope: Scope, rows: pl.DataFrame, checks: Sequence[Check]) -> pl.DataFrame:
    """One row: contradictions, and those that are left; steps with one are looked at alone. No row where probabilities are not
    printed with decimals. `rows`: the enriched steps."""
    found = pl.DataFrame(schema={"run_id": pl.String(), "law": pl.String(), "wrong": pl.Int64(), "left": pl.Int64()})
    if scope.run.imprecise or scope.run.cut_digits or not (of_decimals(scope.bands.p) or of_decimals(scope.bands.q)):
        return found
    wrong = scope.judged.decision == -1
    hit = np.zeros(scope.steps.height, dtype=bool)
    hit[scope.pos.row[wrong]] = True
    impossible = _impossible(scope, rows, checks)
    concerned = np.flatnonzero(hit | impossible)
    cut = replace(scope, run=replace(scope.run, cut_digits=True), pos=positions(scope.steps[concerned]))
    left = int((cut.judged.decision == -1).sum()) + int(_impossible(cut, enriched(cut), checks).sum())
    row = {"run_id": str(scope.steps["run_id"][0]), "law": scope.law.name}
    return pl.DataFrame([row | {"wrong": int(wrong.sum() + impossible.sum()), "left": left}], schema=found.schema)


def _impossible(
    scope: Scope, rows: pl.DataFrame, checks: Sequence[Check]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Steps of which such a check says that they cannot be."""
    found = np.zeros(rows.height, dtype=bool)
    for check in checks:
        if check.code in _ON_BANDS and scope.law.name in (check.laws or ()) and not any(map(scope.absent, check.needs)):
            fault = rows.select((check.judged & check.fault).fill_null(value=False)).to_series()
            found |= fault.to_numpy()
    return found
