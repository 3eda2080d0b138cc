"""What can be planted: each a small change to a correct engine, under the name of the cause that it should be given."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from sdtrace.schema.arrays import Flags, Ints
from sdtrace.simulate.engine import over, residual
from sdtrace.simulate.fault import Fault
from sdtrace.simulate.record import entropy
from sdtrace.simulate.world import Rows, World, at, draw, hot, tempered, top

_ALL = ("ratio", "one-hot", "match", "greedy", "block", "tree-coin", "multi-draft", "fly")


def _ratio(world: World, p: Rows | None = None, q: Rows | None = None) -> Rows:
    return over(
        at(world.p[:, :-1] if p is None else p, world.x),
        at(world.q if q is None else q, world.x),
    )


def _certainly(accept: Flags) -> Rows:
    """The level of a test that no draw takes part in."""
    return np.where(accept, np.float32(2), np.float32(-1))


def _next(rows: Rows) -> Rows:
    """Rows of the next place of the flat batch."""
    return np.roll(rows.reshape(-1, rows.shape[-1]), -1, axis=0).reshape(rows.shape)


def _draft_temperature(world: World, s: float) -> None:
    world.source = tempered(world.q, s)


def _draft_top(world: World, s: float) -> None:
    world.source = top(world.q, int(s))


def _both_top(world: World, s: float) -> None:
    world.source, world.p = top(world.q, int(s)), top(world.p, int(s))


def _uncut(world: World, s: float) -> None:
    world.uncut, world.p = world.p, top(world.p, int(s))


def _argmax(world: World, s: float) -> None:
    world.source = hot(np.argmax(world.q, axis=-1), world.q.shape[-1])


def _drop_unlikely(world: World, s: float) -> None:
    seen = at(world.q, world.x) >= s
    world.verified = np.cumprod(seen, axis=1).sum(axis=1).astype(np.int64)


def _one_draw(world: World, s: float) -> None:
    world.r = np.repeat(world.r[:, :1], world.r.shape[1], axis=1)


def _one_sequence(world: World, s: float) -> None:
    world.r = world.shared[world.step]


def _leaning(world: World, s: float) -> None:
    world.r = world.r ** np.float32(s)


def _force(world: World, s: float, accept: Flags) -> Flags:
    return accept | (world.rng.random(accept.shape) < s)


def _flip(world: World, s: float, accept: Flags) -> Flags:
    return accept ^ (world.rng.random(accept.shape) < s)


def _rows_at(rows: Rows, last: Ints) -> Rows:
    return rows[np.arange(len(last)), last]


def _without_x(world: World, s: float, last: Ints, weights: Rows) -> Rows:
    p = _rows_at(world.p, last).copy()
    p[np.arange(len(last)), world.x[np.arange(len(last)), last]] = 0
    return p


def _other_q(world: World, s: float, last: Ints, weights: Rows) -> Rows:
    return residual(_rows_at(world.p, last), tempered(_rows_at(world.q, last), s))


#: Ids that requests name as stops, and go on after (ignore_eos).
_STOPS = range(4)


def _leaning_to_stops(world: World, s: float, last: Ints, weights: Rows) -> Rows:
    leaning = weights.copy()
    leaning[:, : len(_STOPS)] *= np.float32(s)
    return leaning


def _reuse(world: World, s: float, last: Ints, weights: Rows) -> Rows:
    edge = np.cumsum(weights, axis=1, dtype=np.float64)
    u = world.r[np.arange(len(last)), last][:, None] * edge[:, -1:]
    return hot(np.minimum((edge < u).sum(axis=1), weights.shape[1] - 1), weights.shape[1])


def _greedy_flip(world: World, s: float, chosen: Ints) -> Ints:
    second = np.argsort(world.p, axis=-1)[..., -2]
    best = np.sort(world.p, axis=-1)[..., -2:]
    wide = best[..., 1] > 3 * best[..., 0]
    return np.where(wide & (world.rng.random(chosen.shape) < s), second, chosen)


def _greedy_sampled(world: World, s: float, chosen: Ints) -> Ints:
    return draw(world.p, world.rng)


def _bonus(times: int) -> Callable[[pl.DataFrame, float, np.random.Generator], pl.DataFrame]:
    def write(frame: pl.DataFrame, s: float, rng: np.random.Generator) -> pl.DataFrame:
        tokens = pl.col("output_token_ids")
        changed = tokens.list.head(tokens.list.len() - 1) if times == 0 else pl.concat_list(tokens, tokens.list.tail(1))
        here = pl.col("last_kind") == "bonus"
        columns: dict[str, Any] = {"output_token_ids": pl.when(here).then(changed).otherwise(tokens)}
        if times == 0:
            columns |= {n: pl.when(~here).then(pl.col(n)) for n in ("last_kind", "last_target_prob", "last_draft_prob")}
        return frame.with_columns(**columns)

    return write


FAULTS: dict[str, Fault] = {
    "healthy": Fault("", "nothing is wrong", laws=_ALL),
    "lenience": Fault(
        "lenient-acceptance", "accepted when r <= p / (l q)", 0.9, "l",
        laws=("ratio", "one-hot", "block"), level=lambda w, s: _ratio(w) / np.float32(s),
    ),
    "threshold": Fault(
        "lenient-acceptance", "also accepted when p(x) reaches a threshold", 0.3, "threshold",
        level=lambda w, s: np.where(at(w.p[:, :-1], w.x) >= s, np.float32(2), _ratio(w)),
    ),
    "force-accept": Fault(
        "decision-mismatch", "a share of decisions accepts whatever p and q say", 0.05, "share", forced=_force
    ),
    "flip": Fault("decision-mismatch", "a share of decisions is turned round", 0.05, "share", forced=_flip),
    "typical-test": Fault(
        "lenient-acceptance", "typical acceptance: p(x) above min(0.09, 0.3 exp(-entropy)), whatever q and r",
        level=lambda w, s: _certainly(at(w.p[:, :-1], w.x) > np.minimum(0.09, 0.3 * np.exp(-entropy(w.p[:, :-1])))),
    ),
    "greedy-test": Fault(
        "sampling-params-ignored", "a drafted token is kept if it is the best one of the target, as at temperature 0",
        level=lambda w, s: _certainly(w.x == np.argmax(w.p[:, :-1], axis=-1)),
    ),
    "synthetic": Fault(
        "synthetic-acceptance", "accepted when r <= a rate, whatever p and q", 0.8, "rate",
        level=lambda w, s: np.full(w.x.shape, s, np.float32),
    ),
    "inverted-ratio": Fault(
        "inverted-ratio", "accepted when r <= q / p", laws=("ratio", "fly"), level=lambda w, s: over(at(w.q, w.x), at(w.p[:, :-1], w.x))
    ),
    "target-temperature": Fault(
        "one-sided-sampling-params", "the decision sees p at another temperature", 0.7, "temperature",
        level=lambda w, s: _ratio(w, p=tempered(w.p[:, :-1], s)),
    ),
    "uncut-target": Fault(
        "one-sided-sampling-params", "the decision sees p before top-k, the log after it", 10, "k", rows=_uncut,
        level=lambda w, s: _ratio(w, p=w.uncut[:, :-1]),
    ),
    "one-hot-test": Fault(
        "recovered-not-residual", "accepted when r <= p, as if q were one-hot, and recovered from p - q",
        level=lambda w, s: at(w.p[:, :-1], w.x),
    ),
    "target-row": Fault(
        "misaligned-target-probs", "the decision sees p of the next row", level=lambda w, s: _ratio(w, p=_next(w.p)[:, :-1])
    ),
    "draft-row": Fault(
        "misaligned-draft-probs", "the decision sees q of the next row", level=lambda w, s: _ratio(w, q=_next(w.q))
    ),
    "draft-temperature": Fault(
        "draft-not-from-q", "drafts are drawn at another temperature than q says", 0.8, "temperature",
        laws=("ratio", "block"), rows=_draft_temperature,
    ),
    "draft-top-k": Fault(
        "draft-not-from-q", "drafts are drawn from the top k of q", 20, "k", laws=("ratio", "block"), rows=_draft_top
    ),
    "raw-q": Fault(
        "draft-not-from-q", "p and drafts are cut to their top k, q is not (transformers#47932)", 20, "k", rows=_both_top
    ),
    "argmax-draft": Fault("draft-not-from-q", "the draft is argmax q, and q is used as if it were drawn", rows=_argmax),
    "peeking-trim": Fault(
        "draft-not-from-q", "drafted tokens with q(x) under a threshold are not verified", 0.3, "threshold", trim=_drop_unlikely
    ),
    "recovered-from-target": Fault(
        "recovered-from-target", "the recovered token is drawn from p", recover=lambda w, s, last, _: _rows_at(w.p, last)
    ),
    "recovered-minus-x": Fault(
        "recovered-not-residual", "the recovered token is drawn from p without x", recover=_without_x
    ),
    "recovered-other-q": Fault(
        "recovered-not-residual", "the residual subtracts q at another temperature", 1.5, "temperature", recover=_other_q
    ),
    "residual-squared": Fault(
        "recovered-not-residual", "the recovered token is drawn from a power of the residual", 2.0, "power",
        recover=lambda w, s, last, left: (left.astype(np.float64) ** s / (left.max(axis=-1, keepdims=True) ** s)).astype(np.float32),
    ),
    "residual-stops": Fault(
        "recovered-not-residual", "stop ids are recovered more often than the residual has them", 4.0, "times",
        recover=_leaning_to_stops, ask=lambda asked: asked.with_columns(stop_token_ids=pl.lit(list(_STOPS), dtype=pl.List(pl.Int64))),
    ),
    "block-recovered-from-target": Fault(
        "recovered-from-target", "block verification draws the recovered token from p", laws=("block",),
        recover=lambda w, s, last, _: _rows_at(w.p, last),
    ),
    "residual-argmax": Fault(
        "recovered-not-residual", "the recovered token is the likeliest of the residual",
        recover=lambda w, s, last, left: hot(np.argmax(left, axis=-1), left.shape[-1]),
    ),
    "shared-noise": Fault(
        "shared-noise", "the recovered token is drawn with the noise of the draft (vllm#47386)", same_noise=True
    ),
    "recovery-reuses-draw": Fault(
        "shared-noise", "the uniform that rejected the draft picks the recovered token (vllm-ascend#16920)", recover=_reuse
    ),
    "fly-gate-inverted": Fault(
        "decision-mismatch", "a rejection is deferred where the target is sure", laws=("fly",),
        defers=lambda w, gate, window: (~gate & (at(w.p[:, :-1], w.x) > 0), window),
    ),
    "fly-short-window": Fault(
        "decision-mismatch", "one accepted token behind it confirms a deferred rejection", laws=("fly",),
        defers=lambda w, gate, window: (gate, 1),
    ),
    "one-draw-a-step": Fault("uniforms-reused", "all positions of a step share one draw", rows=_one_draw),
    "one-sequence": Fault("uniforms-reused", "every request draws the same sequence", rows=_one_sequence),
    "leaning-draws": Fault("uniforms-reused", "draws are raised to a power: they lean", 1.2, "power", rows=_leaning),
    "greedy-flip": Fault(
        "greedy-mismatch", "a share of greedy choices takes the second best", 0.05, "share", laws=("greedy",), chosen=_greedy_flip
    ),
    "greedy-sampled": Fault(
        "greedy-mismatch", "the target is sampled though the temperature is 0", laws=("greedy",), chosen=_greedy_sampled
    ),
    "bonus-row": Fault(
        "misaligned-target-probs", "the bonus token is drawn from the row before its own", laws=("ratio", "one-hot"), bonus_row=-1
    ),
    "bonus-missing": Fault("bonus-missing", "the bonus token is not appended", laws=("ratio", "one-hot", "block"), write=_bonus(0)),
    "bonus-duplicated": Fault(
        "bonus-duplicated", "the bonus token is appended twice", laws=("ratio", "one-hot", "block"), write=_bonus(2)
    ),
}  # fmt: skip
