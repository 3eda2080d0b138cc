"""What the trial of a record decided, written into the run that it concerns, where every later stage reads it."""

from collections.abc import Mapping
from typing import Literal, TypedDict

import numpy as np
import polars as pl

from sdtrace.schema.arrays import Flags
from sdtrace.schema.run import Run
from sdtrace.verify.positions import Positions, positions


class Ruling(TypedDict, total=False):
    """Fields that a run line is amended by; `rule` and `prob_basis` are those of the format.

    `imprecise`: how far, relative to itself, a recorded p may be from the compared one. `cut_digits`: decimals were cut off, not
    rounded. `over_counted`: num_accepted of every
    step is that many too high. `apart`: steps of requests of unknown temperature may be greedy ("draws": those that drew are not)
    and are judged only where they show that they are not; `mask_unknown`: they count in no statistic.
    `draft_unsaid`: some steps have no q and others do; whether those used none or theirs was lost is open, and they are not judged.
    `mute_draws`, `mute_statistics`: what is recorded depends on the outcome. `basis_doubted`: prob_basis "raw" is no declaration.
    """

    rule: str
    prob_basis: str
    imprecise: float
    cut_digits: bool
    over_counted: int
    apart: str
    draft_unsaid: bool
    mask_unknown: bool
    mute_draws: bool
    mute_statistics: bool
    basis_doubted: bool


#: By run_id.
Rulings = Mapping[str, Ruling]


def merged(one: Rulings, other: Rulings) -> dict[str, Ruling]:
    """Both, `other` before `one` where they differ."""
    found = dict(one)
    for run, ruling in other.items():
        found[run] = {**found.get(run, {}), **ruling}
    return found


def ruled(runs: Mapping[str, Run], ids: pl.Series, name: Literal["over_counted", "apart", "draft_unsaid"]) -> list[str]:
    """The runs among `ids` (one a step) that a ruling of that name concerns; cheap where there is none."""
    concerned = [run for run, line in runs.items() if getattr(line, name)]
    return [run for run in ids.unique() if run in concerned] if concerned else []


def corrected(steps: pl.DataFrame, runs: Mapping[str, Run]) -> pl.DataFrame:
    """Steps whose num_accepted is what the run means by it; decisions that were derived from it are left out with it."""
    for run in ruled(runs, steps["run_id"], "over_counted"):
        mine, less = pl.col("run_id") == run, runs[run].over_counted or 0
        block = pl.col("output_token_ids").list.len().cast(pl.Int64) - 1
        # a full block may be clipped, and a cut one does not tell: then what was appended is looked at
        off = (pl.col("num_accepted") > block) if less > 0 else (pl.col("num_accepted") < block)
        meant = pl.when(pl.col("num_accepted") - less == block).then(block)
        counted = pl.when(mine & off).then(meant).otherwise("num_accepted")
        steps = steps.with_columns(num_accepted=counted, accepted=pl.when(~mine).then("accepted"))
    return steps


def set_apart(steps: pl.DataFrame, runs: Mapping[str, Run]) -> pl.DataFrame:
    """Derived steps with `greedy` and `doubt`: of requests without a line, and of steps without q among others that have it, it is
    said, or left open, how they were verified."""
    for run in ruled(runs, steps["run_id"], "apart"):
        alone = (steps["run_id"] == run) & steps["temperature"].is_null()
        if not alone.any():
            continue
        drew = steps["uniforms"].list.len().fill_null(0) > 0
        if runs[run].apart == "draws":
            greedy = alone & ~drew & steps["target_argmax_ids"].is_not_null()
            doubt = alone & ~drew & ~greedy
        else:
            doubt = alone.clone()
            doubt[alone.arg_true()] = ~pl.Series(_sampled(steps.filter(alone)))
            greedy = alone & False
        steps = steps.with_columns(greedy=steps["greedy"] | greedy, doubt=steps["doubt"] | doubt)
    for run in ruled(runs, steps["run_id"], "draft_unsaid"):
        silent = (pl.col("run_id") == run) & (pl.col("tau") > 0) & pl.col("draft_probs").is_null() & ~pl.col("greedy")
        steps = steps.with_columns(doubt=pl.col("doubt") | silent)
    return steps


def _sampled(steps: pl.DataFrame) -> Flags:
    """Steps of requests that show in these steps that they were not verified greedily (n entries)."""
    shown = not_greedy(positions(steps))
    known = steps.select("hash", shown=pl.Series(shown)).group_by("hash").agg(pl.col("shown").any())
    return np.asarray(
        steps.select("hash").join(known, on="hash", how="left", maintain_order="left")["shown"].to_numpy()
    )


#: What a probability may be off before it proves anything here.
_SLACK = 0.02
#: Decisions that follow their uniforms, at least, and the share of them that does, in a request that is taken to be sampled.
_FOLLOWED, _SHARE = 40, 0.95


def not_greedy(pos: Positions) -> Flags:
    """Steps (n entries) with something that a greedy request cannot do: a rejection of a token with most of the probability,
    a token kept or recovered that is not the most probable one; or whose request decides as its uniforms say."""
    steps = pos.steps
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        rejected = pos.tested & ~pos.accepted & (pos.p > 0.5 + _SLACK)
        shown = rejected.copy()
        if steps["target_sq"].null_count() < steps.height:
            square = pos.column("target_sq").astype(np.float64)
            shown |= pos.tested & pos.accepted & (pos.p < square * (1 - _SLACK))
        found = pos.counts(shown) > 0
        p_x = steps.select(pl.col("target_probs").list.get(pl.col("n_a").clip(0), null_on_oob=True)).to_series()
        n_a, p_y = steps["n_a"], steps["last_target_prob"]
        less = (n_a >= 0) & (n_a < steps["verified"]) & (steps["last_kind"].fill_null("") != "bonus")
        less = less & (p_y < p_x * (1 - _SLACK)) & (steps["appended"] == n_a + 1)
        found |= less.fill_null(value=False).to_numpy()
        ratio = pos.p / pos.q
        telling = pos.tested & (ratio > 0.05) & (ratio < 0.95) & np.isfinite(pos.r)
        follows = telling & ((pos.r <= ratio) == pos.accepted)
    sums = steps.select("hash", told=pl.Series(pos.counts(telling)), follows=pl.Series(pos.counts(follows)))
    by = sums.group_by("hash").agg(pl.all().sum())
    good = by.filter((pl.col("told") >= _FOLLOWED) & (pl.col("follows") >= _SHARE * pl.col("told")))["hash"]
    return np.asarray(found | steps["hash"].is_in(good.implode()).to_numpy())
