"""Rows for fitting wrong rules: the bounded sample of steps, flattened with the neighbours of each position."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.diagnosis.chosen import Chosen
from sdtrace.schema.run import Run
from sdtrace.verify.law import Bands
from sdtrace.verify.positions import positions
from sdtrace.verify.scope import Scope, of_sample

_SCALARS = (
    "target_entropy",
    "target_varentropy",
    "target_sq",
    "overlap",
    "draft_entropy",
    "draft_varentropy",
    "draft_sq",
)


@dataclass(frozen=True)
class Sample:
    """Tested decisions of one run (see `sdtrace.diagnosis.wrong_rules.explain_decisions` for the columns), its law and its bands;
    `steps`: the sampled steps, which `step` of `rows` counts.
    """

    rows: pl.DataFrame
    law: str
    bands: Bands
    steps: pl.DataFrame


def decisions(audit: Audit, chosen: Chosen) -> Sample | None:
    """The sampled decisions of the run that has most wrong ones; None where the sample holds none of them."""
    laws = chosen.frame("laws").filter(~pl.col("law").is_in(["greedy", "greedy?"]))
    if laws.is_empty() or audit.tally.steps is None:
        return None
    worst = laws.sort("disagree", descending=True, maintain_order=True).row(0, named=True)
    return sampled(audit, worst["run_id"], worst["law"])


def sampled(audit: Audit, run_id: str, law: str) -> Sample | None:
    """The sampled decisions of one run under one law."""
    if audit.tally.steps is None:
        return None
    part = audit.tally.steps.filter((pl.col("run_id") == run_id) & (pl.col("law") == law))
    if part.is_empty():
        return None
    scope = of_sample(positions(part), audit.runs.get(run_id, Run()), law)
    return Sample(_flat(scope), law, scope.bands, part)


def _flat(scope: Scope) -> pl.DataFrame:
    pos, judged = scope.pos, scope.judged
    columns: dict[str, npt.NDArray[np.generic] | pl.Series] = {
        "request": scope.steps["hash"].rank("dense").cast(pl.Int64)[pos.row],
        "step": pos.row,
        "position": pos.position,
        "accepted": pos.accepted,
        "token": pos.token,
        "p": pos.p,
        "q": pos.q,
        "r": pos.r,
        "decision": judged.decision,
        "expected": judged.expected,
    }
    for name, lists in (("p", "target_probs"), ("q", "draft_probs")):
        for suffix, shift in (("next", 1), ("prev", -1)):
            columns[f"{name}_{suffix}"] = pos.lists(lists).at(pos.row, pos.position + shift, np.nan)
    columns |= {name: pos.column(name) for name in _SCALARS}
    best = pos.column("target_argmax_ids", absent=-1).astype(np.int64)
    columns["best"] = np.where(best >= 0, (best == pos.token).astype(np.float64), np.nan)
    frame = pl.DataFrame(columns).filter(pl.Series(judged.tested))
    floats = [name for name, dtype in frame.schema.items() if dtype == pl.Float64]
    return frame.with_columns(pl.col(floats).fill_nan(None))


def recovered(steps: pl.DataFrame | None) -> pl.DataFrame | None:
    """The steps that show a token recovered after a rejection; None where there is none."""
    if steps is None:
        return None
    part = steps.filter(
        (pl.col("n_a") >= 0)
        & (pl.col("n_a") < pl.col("verified"))
        & pl.col("y").is_not_null()
        & pl.col("last_target_prob").is_not_null()
    )
    return None if part.is_empty() else part


def recoveries(part: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Recovered tokens of `part` (see `recovered`), some of `steps`: p_y, q_y, same (y = x), p_x, q_x, overlap, and `free`.

    `free`, the same in every row: the share of tested slots that accepted a token with p < q, which is the mean chance that
    a token drawn from p is such a token.
    """
    at = pl.col("n_a")
    return part.select(
        p_y="last_target_prob",
        q_y="last_draft_prob",
        same=pl.col("y") == pl.col("x_rejected"),
        p_x=pl.col("target_probs").list.get(at, null_on_oob=True),
        q_x=pl.col("draft_probs").list.get(at, null_on_oob=True),
        overlap=pl.col("overlap").list.get(at, null_on_oob=True),
        target_sq=pl.col("target_sq").list.get(at, null_on_oob=True),
        free=pl.lit(_free(steps)),
    )


def _free(steps: pl.DataFrame) -> float | None:
    pos = positions(steps)
    tested = pos.tested & np.isfinite(pos.p) & np.isfinite(pos.q)
    return float((pos.accepted & (pos.p < pos.q))[tested].mean()) if tested.any() else None
