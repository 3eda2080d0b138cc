"""Requests without a line or a temperature: greedy or sampled, with draws of their own or not; and draws that are logged by outcome."""

import math

import numpy as np
import polars as pl

from sdtrace.stats.significance import chi_square
from sdtrace.tally.uniforms import values_of
from sdtrace.verify.positions import positions
from sdtrace.verify.rulings import not_greedy

#: Share of the steps without a request line that must show that they were sampled, so that the rest is no matter.
NEARLY_ALL = 0.95
#: Chance under which the presence of a uniform is taken to depend on the decision.
LUCK = 1e-6


def orphans(sample: pl.DataFrame) -> pl.DataFrame:
    """The steps whose request has no line, or one without a temperature."""
    return sample.filter(pl.col("temperature").is_null())


def some(sample: pl.DataFrame) -> bool:
    """Whether any step has uniforms."""
    return sample["uniforms"].null_count() < sample.height


def draws_tell(sample: pl.DataFrame) -> bool:
    """Whether in this run drawing tells a sampled step from a greedy one: those that are known do, and so may the others."""
    steps = sample.filter(pl.col("tau") > 0).select(
        drew=pl.col("uniforms").list.len().fill_null(0) > 0,
        argmax=pl.col("target_argmax_ids").is_not_null(),
        known=pl.col("temperature").is_not_null(),
        greedy=pl.col("temperature") == 0.0,
    )
    known, alone = steps.filter("known"), steps.filter(~pl.col("known"))
    cold, warm = (known.filter(pl.col("greedy").fill_null(value=False) == flag)["drew"] for flag in (True, False))
    if not steps["drew"].any() or cold.any() or not warm.all():
        return False
    return bool(len(cold) or alone.select((pl.col("drew") != pl.col("argmax")).all()).item())


def nearly_all_sampled(steps: pl.DataFrame) -> bool:
    """Whether nearly every step of these belongs to a request that cannot have been greedy."""
    shown = not_greedy(positions(steps))
    by = steps.select("hash", shown=pl.Series(shown)).group_by("hash").agg(pl.col("shown").any(), n=pl.len())
    long = by.filter(pl.col("n") >= 4)
    return bool(long.height) and float(long.filter("shown")["n"].sum()) >= NEARLY_ALL * float(long["n"].sum())


def alike(uniforms: pl.DataFrame | None, run: str, shift: int) -> bool:
    """Whether requests without a line draw the same numbers as others, more often than by chance."""
    if uniforms is None:
        return False
    mine = uniforms.filter(pl.col("run_id") == run)
    alone = mine.filter(~pl.col("known"))
    if alone.height < 2:
        return False
    values = max(values_of(mine["r"].to_numpy()) * 0.5**shift, 1.0)
    expected = alone.height * mine.height / values
    seen = alone.join(mine.select("mix", other="request"), on="mix").filter(pl.col("request") != pl.col("other")).height
    return seen > 2 * expected + 6 * math.sqrt(expected) + 6


#: Share of the steps that stand in another request as well, from which requests were run again.
_AGAIN = 0.01


def run_again(sample: pl.DataFrame) -> int:
    """How many sampled steps stand in another request too, with the same draft, the same p and the same tokens; 0 where few do.

    A benchmark that is repeated by an engine of one seed writes every step twice: that is one record of each, not two.
    """
    told = sample.filter((pl.col("tau") > 0) & pl.col("target_probs").is_not_null()).select(
        "hash", same=pl.struct("step", "draft_token_ids", "target_probs", "output_token_ids").hash()
    )
    twice = told.group_by("same").agg(pl.col("hash").n_unique(), n=pl.len()).filter(pl.col("hash") > 1)
    n = int(twice["n"].sum())
    return n if n >= max(20, _AGAIN * told.height) else 0


def by_outcome(sample: pl.DataFrame) -> bool:
    """Whether uniforms are logged at some tested positions and missing at others, by what was decided there."""
    pos = positions(sample)
    with np.errstate(invalid="ignore"):
        open_ = pos.tested & (pos.p < pos.q)  # where p >= q some recorders write none, which tells nothing
    there, accepted = np.isfinite(pos.r)[open_], pos.accepted[open_]
    if not len(there) or there.all() or not there.any():
        return False
    table = np.array(
        [[np.count_nonzero(there & a), np.count_nonzero(~there & a)] for a in (accepted, ~accepted)], float
    )
    return dependent(table)


def dependent(table: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> bool:
    """Whether the rows of a 2 x K table of counts differ beyond chance (chi-square, Pearson 1900)."""
    table = table[:, table.sum(axis=0) > 0]
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / max(table.sum(), 1.0)
    if table.shape[1] < 2 or (table.sum(axis=1) == 0).any():
        return False
    square, freedom = float(((table - expected) ** 2 / np.maximum(expected, 0.5)).sum()), table.shape[1] - 1
    return chi_square(square, freedom) < LUCK
