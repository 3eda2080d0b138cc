"""Lawful strangeness of the verification itself: other laws, mixed laws, shaped distributions, lengths that vary."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from sdtrace.simulate.engine import Outcome, first_rejection, outcome_of, play
from sdtrace.simulate.fault import Fault
from sdtrace.simulate.trees import coin, in_turn
from sdtrace.simulate.variant import Row, Variant
from sdtrace.simulate.world import Rows, World, at, draft, draw, hot, softmax, tempered, top

HONEST = Fault("", "")
_CHAIN = ("ratio", "one-hot", "match", "greedy", "block", "tree-coin")
_SAMPLED = ("ratio", "match", "block")

Frame = Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame]


def ran(**values: Any) -> Callable[[Row], Row]:
    return lambda row: row | values


def asked(**values: Any) -> Frame:
    """The same value in a column of every request."""
    return lambda frame, rng: frame.with_columns(pl.lit(value).alias(name) for name, value in values.items())


def cold_half(world: World) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Every other request is at temperature 0."""
    return np.asarray(world.request % 2 == 1)


def half_greedy(world: World) -> Outcome:
    """Every other request is verified greedily, whatever the run says."""
    draft(world, "ratio")
    warm, cold = play(world, "ratio", HONEST, 1.0), play(world, "greedy", HONEST, 1.0)
    here = cold_half(world)
    return Outcome(
        np.where(here, cold.n_a, warm.n_a),
        np.where(here, cold.y, warm.y),
        np.where(here, cold.recovered, warm.recovered),
        np.where(here[:, None], cold.tested, warm.tested),
    )


def _certain(world: World) -> Outcome:
    """The draft is a point and tested as one, though the record shows what its softmax gave (vllm#16899)."""
    world.x = np.argmax(world.q, axis=-1)
    n_a = first_rejection(world.r <= at(world.p[:, :-1], world.x), world.verified)
    every, last = np.arange(len(n_a)), np.minimum(n_a, world.x.shape[1] - 1)
    left = world.p[every, last].copy()
    left[every, world.x[every, last]] = 0
    row = np.where((n_a < world.verified)[:, None], left, world.p[every, n_a])
    return outcome_of(world, n_a, draw(row, world.rng))


_IS_COLD = pl.col("request_id").str.slice(1).cast(pl.Int64) % 2 == 1


def greedy_columns(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """What an engine knows of greedy steps: no uniform, no draft probability; p is that of temperature 1, or not there."""
    names = [
        n
        for n in ("uniforms", "draft_probs", "target_probs", "last_target_prob", "last_draft_prob")
        if n in frame.columns
    ]
    return frame.with_columns(pl.when(~_IS_COLD).then(pl.col(name)).alias(name) for name in names)


def temperatures(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    return frame.with_columns(temperature=pl.when(_IS_COLD).then(0.0).otherwise(1.0))


def _cut(shape: Callable[[Rows], Rows], draft_too: bool = True) -> Callable[[World], None]:
    """p, and q if the drafter is given the same parameters, cut and renormalised; what is logged is what is compared."""

    def remake(world: World) -> None:
        world.p = shape(world.p)
        if draft_too:
            world.q = world.source = shape(world.q)

    return remake


def nucleus(rows: Rows, mass: float) -> Rows:
    """top-p: the fewest most probable tokens whose sum reaches `mass`, renormalised."""
    order = np.argsort(-rows, axis=-1, kind="stable")
    ranked = np.take_along_axis(rows, order, axis=-1)
    kept = np.cumsum(ranked, axis=-1) - ranked < mass
    out = np.zeros_like(rows)
    np.put_along_axis(out, order, np.where(kept, ranked, np.float32(0)), axis=-1)
    return np.asarray(out / out.sum(axis=-1, keepdims=True), dtype=np.float32)


def floor(rows: Rows, share: float) -> Rows:
    """min-p: tokens with at least that share of the greatest probability, renormalised."""
    kept = np.where(rows >= share * rows.max(axis=-1, keepdims=True), rows, np.float32(0))
    return np.asarray(kept / kept.sum(axis=-1, keepdims=True), dtype=np.float32)


def lengths_from(low: int) -> Callable[[World], None]:
    """Draft lengths that change from step to step, decided before anything is drawn."""

    def remake(world: World) -> None:
        world.verified = world.rng.integers(low, world.r.shape[1] + 1, len(world.verified))

    return remake


def short_drafts(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """What was not drafted is not in the record; the position after the last draft keeps its entry."""
    n = pl.col("verified_len")
    one_more = ("target_sq", "target_entropy", "target_argmax_ids", "target_top2_gap")
    names = [c for c, kind in frame.schema.items() if isinstance(kind, pl.List) and c != "output_token_ids"]
    frame = frame.with_columns(pl.col(c).list.head(n + (1 if c in one_more else 0)) for c in names)
    return frame.with_columns(
        last_kind=pl.when(n == 0).then(pl.lit("plain")).otherwise("last_kind"),
        batch_size=pl.when(n > 2).then(4).otherwise(32).cast(pl.Int64),
    )


def _forced(world: World) -> None:
    """A grammar leaves one token at a quarter of the positions."""
    forced = world.rng.random(world.p.shape[:2]) < 0.25
    world.p[forced] = hot(np.argmax(world.p[forced], axis=-1), world.p.shape[-1])


def _spans(world: World) -> None:
    """A schema forces every token of a third of the requests, and of the others whole stretches; no tag says so."""
    forced = (world.request % 3 == 0) | (world.step // 3 % 2 == 1)
    world.p[forced] = hot(np.argmax(world.p[forced], axis=-1), world.p.shape[-1])


def _sharpened(exponent: float) -> Callable[[World], None]:
    def remake(world: World) -> None:
        world.p, world.q = tempered(world.p, exponent), tempered(world.q, exponent)
        world.source = world.q

    return remake


def _colder_draft(world: World) -> None:
    """The drafter has a temperature of its own; q is what the draft was drawn from (transformers does so)."""
    world.q = world.source = tempered(world.q, 0.6)


def _small_draft(world: World) -> None:
    """The drafter knows a third of the vocabulary."""
    kept = np.arange(world.q.shape[-1]) % 3 == 0
    q = np.where(kept, world.q, np.float32(0))
    world.q = world.source = np.asarray(q / q.sum(axis=-1, keepdims=True), dtype=np.float32)


def _adapters(world: World) -> None:
    """Requests of five adapters, whose drafts are good to nearly useless."""
    noise = np.asarray([0.0, 0.3, 0.8, 1.5, 3.0], np.float32)[world.request % 5]
    logits = np.log(np.maximum(world.q, np.float32(1e-30)))
    logits += noise[:, None, None] * world.rng.standard_normal(world.q.shape, dtype=np.float32)
    world.q = world.source = softmax(logits)


def _number() -> pl.Expr:
    return pl.col("request_id").str.slice(1).cast(pl.Int64)


def _tags(**numbers: int) -> Frame:
    """Tags that name a request's number, modulo each of `numbers`."""

    def requests(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
        pairs = [pl.format('"{}":"{}{}"', pl.lit(k), pl.lit(k[0]), _number() % n) for k, n in numbers.items()]
        return frame.with_columns(tags=pl.concat_str(pl.lit("{"), pl.concat_str(pairs, separator=","), pl.lit("}")))

    return requests


def _sessions(world: World) -> None:
    """Six requests in a row belong to one user, whose texts are easy or hard alike."""
    hard = np.random.default_rng(77).uniform(0.0, 2.5, 4096).astype(np.float32)[(world.request // 6) % 4096]
    logits = np.log(np.maximum(world.q, np.float32(1e-30)))
    logits += hard[:, None, None] * world.rng.standard_normal(world.q.shape, dtype=np.float32)
    world.q = world.source = softmax(logits)


def _users(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    return frame.with_columns(tags=pl.concat_str(pl.lit('{"session":"s'), _number() // 6, pl.lit('"}')))


def _weather(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Step times that wander by a tenth, slowly: AR(0.98)."""
    noise, level = rng.standard_normal(frame.height), np.empty(frame.height)
    last = 0.0
    for i in range(frame.height):
        last = 0.98 * last + 0.199 * noise[i]
        level[i] = last
    step = 20.0 * np.exp(0.1 * level)
    return frame.with_columns(step_ms=pl.Series(step), draft_ms=pl.Series(0.2 * step), verify_ms=pl.Series(0.7 * step))


def _hours(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Requests spread over two days."""
    return frame.with_columns(at=pl.col("at") + 3600.0 * (_number() % 48))


def _batches(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Rows of a batch share an engine step, its time and size; two ranks of a replica run side by side."""
    batch = _number() // 8
    return frame.with_columns(
        engine_step=1000 * batch + pl.col("step"),
        at=1.8e9 + 40.0 * batch + 0.03 * pl.col("step"),
        batch_size=pl.lit(8, pl.Int64),
        rank=_number() % 2,
        slot=_number() % 8,
        context_len=40 + 4 * pl.col("step"),
    )


def _seed_pairs(world: World) -> None:
    """Requests 2i and 2i + 1 have one user seed: the same uniforms, keyed by (seed, position)."""
    rng = np.random.default_rng(9)
    table = rng.random((4096, 64, world.r.shape[1]), dtype=np.float32)
    world.r = table[(world.request // 2) % 4096, world.step % 64]


def _name_seeds(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    return frame.with_columns(seed=700 + _number() // 2)


LAWFUL_LAWS: dict[str, Variant] = {
    "tree-of-4": Variant(
        "a draft tree of four children a node, one of them recorded", ("tree-coin",), play=coin(4), run=ran(config='{"eagle_topk":4}')
    ),
    "tree-unsaid": Variant("a draft tree whose width nobody names", ("tree-coin",), play=coin(2), run=ran(config=None)),
    "tree-rule-null": Variant("a draft tree, no law declared", ("tree-coin",), play=coin(3), run=ran(rule=None, config=None)),
    "specinfer-2": Variant(
        "two drafted tokens a node, tried in turn", ("multi-draft",), play=in_turn(2), run=ran(config='{"num_drafts":2}')
    ),
    "specinfer-4": Variant(
        "four drafted tokens a node, by another name", ("multi-draft",), play=in_turn(4), run=ran(rule="specinfer", config=None)
    ),
    "specinfer-unknown-word": Variant(
        "the rule has a name that is not known", ("multi-draft",), play=in_turn(3), run=ran(rule="in-house-v7", config=None)
    ),
    "specinfer-rule-null": Variant(
        "several drafted tokens a node, no law declared", ("multi-draft",), play=in_turn(3), run=ran(rule=None, config=None)
    ),
    "unknown-word": Variant("a known law by a name that is not known", _CHAIN, run=ran(rule="acme-verify")),
    "rule-null": Variant("no law is declared", _CHAIN, run=ran(rule=None)),
    "one-hot-said-ratio": Variant(
        "a point draft, tested as one, in a run that declares the ratio law and logs the softmax q", play=_certain,
        run=ran(draft_sampling="argmax"),
    ),
    "half-greedy": Variant(
        "every other request is at temperature 0", play=half_greedy, steps=greedy_columns, requests=temperatures
    ),
    "half-greedy-rule-null": Variant(
        "every other request is at temperature 0, no law declared", play=half_greedy, steps=greedy_columns,
        requests=temperatures, run=ran(rule=None, draft_sampling=None),
    ),
    "top-k": Variant("both sides cut to their top 20", _SAMPLED, remake=_cut(lambda rows: top(rows, 20)), requests=asked(top_k=20)),
    "top-k-target": Variant(
        "the target cut to its top 20, the drafter not", _CHAIN, remake=_cut(lambda rows: top(rows, 20), draft_too=False),
        requests=asked(top_k=20),
    ),
    "top-k-1": Variant(
        "top-k 1 at temperature 1", _CHAIN, remake=_cut(lambda rows: top(rows, 1), draft_too=False), requests=asked(top_k=1)
    ),
    "top-p": Variant("both sides cut to nine tenths", _SAMPLED, remake=_cut(lambda rows: nucleus(rows, 0.9)), requests=asked(top_p=0.9)),
    "top-p-tight": Variant(
        "top-p 0.5 leaves one token at most positions", _CHAIN, remake=_cut(lambda rows: nucleus(rows, 0.5), draft_too=False),
        requests=asked(top_p=0.5),
    ),
    "min-p": Variant("both sides cut by min-p", _SAMPLED, remake=_cut(lambda rows: floor(rows, 0.05)), requests=asked(min_p=0.05)),
    "lengths-vary": Variant("draft lengths of 1 to k, by the step", _CHAIN, remake=lengths_from(1), steps=short_drafts),
    "lengths-from-0": Variant("draft lengths of 0 to k, by the step", _CHAIN, remake=lengths_from(0), steps=short_drafts),
    "trimmed": Variant("fewer tokens are verified than drafted, decided beforehand", _CHAIN, remake=lengths_from(1)),
    "forced-tokens": Variant("a grammar forces a quarter of the tokens", _CHAIN, remake=_forced, requests=_tags(grammar=1)),
    "forced-spans": Variant("a schema forces stretches and whole requests, untagged", _CHAIN, remake=_spans),
    "cold": Variant("temperature 0.3 on both sides: next to certain", _CHAIN, remake=_sharpened(0.3), requests=asked(temperature=0.3)),
    "hot": Variant("temperature 2 on both sides: wide open", _CHAIN, remake=_sharpened(2.0), requests=asked(temperature=2.0)),
    "drafter-temperature": Variant("the drafter has a temperature of its own, and q says so", _SAMPLED, remake=_colder_draft),
    "small-draft-vocabulary": Variant("the drafter knows a third of the tokens", _SAMPLED, remake=_small_draft),
    "adapters": Variant("five adapters, drafts good to useless", _CHAIN, remake=_adapters, requests=_tags(adapter=5, tenant=3)),
    "sessions": Variant("six requests a session, alike in acceptance", _CHAIN, remake=_sessions, requests=_users),
    "weather": Variant("step times wander slowly", _CHAIN, steps=_weather),
    "hours": Variant("two days of traffic", _CHAIN, steps=_hours),
    "batches": Variant("rows share engine steps, on two ranks", _CHAIN, steps=_batches),
    "seed-pairs": Variant(
        "pairs of requests share a user seed", ("ratio", "one-hot", "tree-coin"), remake=_seed_pairs, requests=_name_seeds
    ),
}  # fmt: skip
