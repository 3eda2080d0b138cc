"""Losses that look at the outcome: recorders that leave out steps, positions or probabilities by what was decided there."""

from collections.abc import Callable

import numpy as np
import polars as pl

from sdtrace.simulate.variant import Variant

_TOKENWISE = ("ratio", "one-hot", "tree-coin")
_RATIO = ("ratio", "block")
_CHAIN = ("ratio", "one-hot", "match", "greedy", "block", "tree-coin")

Frame = Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame]

_LENGTH = pl.col("output_token_ids").list.len().cast(pl.Int64)


def _kept(share: Callable[[pl.DataFrame], pl.Series], context: bool = False, renumbered: bool = False) -> Frame:
    """Steps are kept with a chance that depends on how many tokens they accepted."""

    def steps(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
        if context:
            frame = frame.with_columns(context_len=41 + _LENGTH.cum_sum().over("request_id") - _LENGTH)
        frame = frame.filter(pl.Series(rng.random(frame.height)) < share(frame))
        return frame.with_columns(step=pl.int_range(pl.len()).over("request_id")) if renumbered else frame

    return steps


def _not_full(frame: pl.DataFrame) -> pl.Series:
    return (frame["num_accepted"] < frame["verified_len"]).cast(pl.Float64)


def _not_empty(frame: pl.DataFrame) -> pl.Series:
    return (frame["num_accepted"] > 0).cast(pl.Float64)


def _by_length(frame: pl.DataFrame) -> pl.Series:
    return 0.4 + 0.6 * frame["num_accepted"] / frame["verified_len"]


def _half_of_empty(frame: pl.DataFrame) -> pl.Series:
    return 1.0 - 0.5 * (frame["num_accepted"] == 0).cast(pl.Float64)


def _listed(names: tuple[str, ...], rejected: bool) -> Frame:
    """Probabilities stand at accepted positions only, or at the rejection only; the others are null."""

    def steps(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
        made = {}
        for name in (n for n in names if n in frame.columns):
            rows = zip(frame[name], frame["num_accepted"], strict=True)
            kept = [[x if (j == n) == rejected else None for j, x in enumerate(values)] for values, n in rows]
            made[name] = pl.Series(kept, dtype=pl.List(pl.Float64))
        return frame.with_columns(**made)

    return steps


def _ends(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Lists end with the accepted block: of the token that was rejected nothing is written."""
    names = [n for n in ("target_probs", "draft_probs", "uniforms", "overlap", "draft_sq") if n in frame.columns]
    return frame.with_columns(pl.col(n).list.head(pl.col("num_accepted")) for n in names)


def _last(recovered: bool) -> Frame:
    """p and q of the last token stand where it was recovered, or where it was not, and nowhere else."""
    here = pl.col("num_accepted") < pl.col("verified_len")
    return lambda frame, rng: frame.with_columns(
        pl.when(here if recovered else ~here).then(name).alias(name) for name in ("last_target_prob", "last_draft_prob")
    )


def _full_without_sums(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Sums over the vocabulary are computed with the residual: a fully accepted step has none."""
    full = pl.col("num_accepted") == pl.col("verified_len")
    names = [n for n in ("target_sq", "target_entropy", "overlap", "draft_sq", "draft_entropy") if n in frame.columns]
    return frame.with_columns(pl.when(~full).then(name).alias(name) for name in names)


def _drafts_end(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Drafted tokens are written up to the one that was rejected, and so are all lists beside them."""
    tested = pl.min_horizontal(pl.col("num_accepted") + 1, pl.col("verified_len"))
    lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List) and name != "output_token_ids"]
    return frame.with_columns(*(pl.col(name).list.head(tested) for name in lists), verified_len=tested)


_PQ = ("target_probs", "draft_probs")

LAWFUL_LOSSES: dict[str, Variant] = {
    "lost-full-steps": Variant("fully accepted steps are not written", _CHAIN, lost=_kept(_not_full)),
    "lost-empty-steps": Variant("steps that accepted nothing are not written", _CHAIN, lost=_kept(_not_empty)),
    "lost-by-length": Variant("short blocks are written less often", _CHAIN, lost=_kept(_by_length)),
    "lost-half-of-empty": Variant("half of the steps that accepted nothing are lost", _CHAIN, lost=_kept(_half_of_empty)),
    "lost-by-length-context": Variant(
        "short blocks are written less often, contexts are recorded", _CHAIN, lost=_kept(_by_length, context=True)
    ),
    "lost-full-steps-renumbered": Variant(
        "fully accepted steps are not written, the others are numbered anew", _CHAIN, lost=_kept(_not_full, renumbered=True)
    ),
    "lost-by-length-renumbered": Variant(
        "short blocks are written less often and all numbered anew, contexts are recorded", _CHAIN,
        lost=_kept(_by_length, context=True, renumbered=True), record_fault=True,
    ),
    "lost-half-of-empty-renumbered": Variant(
        "half of the steps that accepted nothing are lost, the others are numbered anew", _CHAIN,
        lost=_kept(_half_of_empty, renumbered=True),
    ),
    "lists-end-with-the-block": Variant("nothing is written of the rejected token", _CHAIN, steps=_ends),
    "drafts-end-at-the-rejection": Variant("of a draft nothing is written behind the rejected token", _CHAIN[:4], steps=_drafts_end),
    "probabilities-of-accepted": Variant("p and q stand at accepted positions only", _TOKENWISE, steps=_listed(_PQ, rejected=False)),
    "probabilities-of-rejected": Variant("p and q stand at the rejection only", _TOKENWISE, steps=_listed(_PQ, rejected=True)),
    "target-of-accepted": Variant("p stands at accepted positions only", _TOKENWISE, steps=_listed(_PQ[:1], rejected=False)),
    "last-of-recovered": Variant("p and q of the last token stand where it was recovered", _RATIO, steps=_last(recovered=True)),
    "last-of-bonus": Variant("p of the last token stands where it was a bonus", _CHAIN, steps=_last(recovered=False)),
    "sums-without-full-steps": Variant("fully accepted steps have no sums over the vocabulary", _CHAIN, steps=_full_without_sums),
}  # fmt: skip
