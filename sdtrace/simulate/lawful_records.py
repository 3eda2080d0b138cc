"""Lawful strangeness of the record: what writers, shippers and front ends make of the lines of a correct engine."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl

from sdtrace.simulate.lawful_laws import greedy_columns, half_greedy
from sdtrace.simulate.variant import Row, Variant
from sdtrace.simulate.world import Rows, World, tempered, top

_CHAIN = ("ratio", "one-hot", "match", "greedy", "block", "tree-coin")
_SAMPLED = ("ratio", "block")
_TOKENWISE = ("ratio", "one-hot", "tree-coin")
_PER_DRAFT = (
    *("draft_probs", "target_probs", "uniforms", "overlap", "draft_sq", "draft_entropy"),
    *("target_top_ids", "target_top_probs", "draft_top_ids", "draft_top_probs"),
)

Frame = Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame]


def _there(frame: pl.DataFrame, *names: str) -> list[str]:
    return [name for name in names if name in frame.columns]


def _only_tested(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    tested = pl.min_horizontal(pl.col("num_accepted") + 1, pl.col("verified_len"))
    return frame.with_columns(pl.col(name).list.head(tested) for name in _there(frame, *_PER_DRAFT))


def _padded(width: int, outputs: bool) -> Frame:
    """Rows of a batch are filled up with -1, and with 0 where probabilities stand."""

    def steps(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
        numbers = _there(frame, "draft_probs", "target_probs", "uniforms")
        rest = pl.lit([0.0] * width, dtype=pl.List(pl.Float64))
        frame = frame.with_columns(pl.concat_list(name, rest) for name in numbers)
        more = pl.lit([-1] * width, dtype=pl.List(pl.Int64))
        frame = frame.with_columns(
            draft_token_ids=pl.concat_list("draft_token_ids", more), verified_len=pl.col("verified_len") + width
        )
        return frame.with_columns(output_token_ids=pl.concat_list("output_token_ids", more)) if outputs else frame

    return steps


def _chunks(token: bool) -> Frame:
    """A long prompt comes in two chunks, each a step without a draft; the last of them may append the first token."""

    def steps(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
        heads = frame.unique("request_id", keep="first", maintain_order=True)
        lists = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List)]
        empty = heads.with_columns(
            *(pl.lit([], dtype=frame.schema[name]).alias(name) for name in lists),
            last_kind=pl.lit(None, pl.String),
            last_target_prob=pl.lit(None, pl.Float64),
            last_draft_prob=pl.lit(None, pl.Float64),
            num_accepted=pl.lit(0, pl.Int64),
            verified_len=pl.lit(0, pl.Int64),
            at=pl.col("at") - 0.01,
        )
        second = empty.with_columns(step=pl.lit(1, pl.Int64), at=pl.col("at") + 0.005)
        if token:
            second = second.with_columns(
                output_token_ids=pl.lit([3], dtype=pl.List(pl.Int64)), last_kind=pl.lit("plain")
            )
        return pl.concat([empty, second, frame.with_columns(step=pl.col("step") + 2)]).sort("request_id", "step")

    return steps


def _front_end(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """A stop string cuts up to eight tokens behind the engine."""
    cut = pl.Series(rng.integers(0, 9, frame.height))
    return frame.with_columns(output_len=(pl.col("output_len") - cut).clip(1), finish_reason=pl.lit("stop"))


def _ignored(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """ignore_eos: the stop id is a token like others."""
    return frame.with_columns(stop_token_ids=pl.lit([0, 1, 2, 3], dtype=pl.List(pl.Int64)))


def _added(row: Row) -> Row:
    """vocab_size is that of the tokenizer without its added tokens; stop ids are among those."""
    return row | {"vocab_size": row["vocab_size"] - 7}


def _lost(share: float) -> Frame:
    return lambda frame, rng: frame.filter(pl.Series(rng.random(frame.height) >= share))


def _temperatures_lost(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    cold = pl.col("request_id").str.slice(1).cast(pl.Int64) % 2 == 1
    asked = frame.with_columns(temperature=pl.when(cold).then(0.0).otherwise(1.0))
    return asked.filter(pl.Series(rng.random(frame.height) >= 0.3))


def _both(shape: Callable[[Rows], Rows]) -> Callable[[World], None]:
    def remake(world: World) -> None:
        world.p, world.q = shape(world.p), shape(world.q)
        world.source = world.q

    return remake


def _raw(temperature: float) -> Callable[[World], World]:
    return lambda world: replace(world, p=tempered(world.p, 1 / temperature), q=tempered(world.q, 1 / temperature))


def _kept(world: World) -> None:
    """The drafts of a top-k of 8; what is shown are the rows before it."""
    world.before = (world.p, world.q)
    world.p, world.q = top(world.p, 8), top(world.q, 8)
    world.source = world.q


def _before(world: World) -> World:
    p, q = world.before or (world.p, world.q)
    return replace(world, p=p, q=q)


def _asked(**values: float | int | None) -> Frame:
    return lambda frame, rng: frame.with_columns(
        pl.lit(value, None if value is not None else frame.schema[name]).alias(name) for name, value in values.items()
    )


def _where_needed(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Where p >= q no uniform is looked at, and none is written."""
    if "uniforms" not in frame.columns or "draft_probs" not in frame.columns:
        return frame
    return _uniforms(frame, lambda p, q, r, j, n: None if p >= q else r)


def _at_rejections(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """The writer keeps the uniform that rejected, and no other."""
    return _uniforms(frame, lambda p, q, r, j, n: r if j == n else None)


def _uniforms(frame: pl.DataFrame, kept: Callable[[float, float, float, int, int], float | None]) -> pl.DataFrame:
    if "uniforms" not in frame.columns:
        return frame
    q = (
        frame["draft_probs"]
        if "draft_probs" in frame.columns
        else frame["target_probs"].list.eval(pl.element() * 0 + 1)
    )
    rows = zip(frame["target_probs"], q, frame["uniforms"], frame["num_accepted"], strict=True)
    made = [[kept(*x, j, n) for j, x in enumerate(zip(p, q, r, strict=True))] for p, q, r, n in rows]
    return frame.with_columns(uniforms=pl.Series(made, dtype=pl.List(pl.Float64)))


def _one_seed(world: World) -> None:
    """One seed of the user for all requests: a uniform belongs to a place in the answer."""
    world.r = world.shared[world.step % len(world.shared)]


def _no_lines(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    return frame.clear()


def _elsewhere(row: Row) -> Row:
    """The run line of another run: this one has none."""
    return row | {"run_id": "another"}


def _now_and_then(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """A recorder that keeps a third of the steps, chosen beforehand."""
    return frame.filter(pl.Series(rng.random(frame.height) < 1 / 3))


def _contexts(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """context_len as the format has it; every fourth request is preempted and goes on with a shorter one."""
    length = pl.col("output_token_ids").list.len().cast(pl.Int64)
    gone = (pl.col("request_id").str.slice(1).cast(pl.Int64) % 4 == 0) & (pl.col("step") >= 3)
    before = length.cum_sum().over("request_id") - length
    return frame.with_columns(context_len=41 + before - pl.when(gone).then(20).otherwise(0))


def _aborted(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Clients hang up: some answers are shorter than what was made of them."""
    gone = pl.int_range(pl.len()) % 3 == 0
    return frame.with_columns(
        finish_reason=pl.when(gone).then(pl.lit("abort")).otherwise("finish_reason"),
        output_len=pl.when(gone).then(1).otherwise("output_len").cast(pl.Int64),
    )


def _some_drafts(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """The writer loses q of a third of the steps."""
    gone = pl.Series(rng.random(frame.height) < 1 / 3)
    return frame.with_columns(
        pl.when(~gone).then(name).alias(name) for name in _there(frame, "draft_probs", "last_draft_prob")
    )


def _no_drafts(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    return frame.with_columns(pl.lit(None, frame.schema[name]).alias(name) for name in _there(frame, "draft_probs"))


def _one_more(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    return frame.with_columns(num_accepted=pl.min_horizontal(pl.col("num_accepted") + 1, "verified_len"), accepted=None)


LAWFUL_RECORDS: dict[str, Variant] = {
    "only-tested": Variant("lists end at the last tested position", _CHAIN, steps=_only_tested),
    "padded": Variant("drafts are filled up with -1, probabilities with 0", _CHAIN, steps=_padded(3, outputs=False)),
    "padded-outputs": Variant("drafts and outputs are filled up with -1", _CHAIN, steps=_padded(2, outputs=True)),
    "prompt-chunks": Variant("chunks of a prompt are steps without draft and output", _CHAIN, steps=_chunks(token=False)),
    "prefill-step": Variant("prefill is a step that appends a token", _CHAIN, steps=_chunks(token=True)),
    "stop-string": Variant("a stop string cuts the answer in the front end", _CHAIN, requests=_front_end),
    "ignored-stop": Variant("requests ignore the stop ids that they name", _CHAIN, requests=_ignored),
    "added-tokens": Variant("vocab_size is the tokenizer's without its added tokens", _CHAIN, run=_added),
    "lines-lost": Variant("a fifth of the request lines is lost", _CHAIN, requests=_lost(0.2)),
    "lines-lost-half-greedy": Variant(
        "half of the requests are greedy, a third of the request lines is lost", play=half_greedy, requests=_temperatures_lost
    ),
    "lines-lost-half-greedy-told": Variant(
        "half of the requests are greedy and draw nothing, a third of the request lines is lost", play=half_greedy,
        steps=greedy_columns, requests=_temperatures_lost,
    ),
    "temperatures-none-half-greedy": Variant(
        "half of the requests are greedy, request lines without a temperature", play=half_greedy, requests=_asked(temperature=None)
    ),
    "drafts-unwritten": Variant("drafts are drawn, and q is not written", _SAMPLED, steps=_no_drafts),
    "lines-none-half-greedy": Variant("half of the requests are greedy, no request line", play=half_greedy, requests=_no_lines),
    "lines-none": Variant("no request line", _CHAIN, requests=_no_lines),
    "bare": Variant("neither run nor request lines", _CHAIN, requests=_no_lines, run=_elsewhere),
    "one-seed-no-lines": Variant(
        "one user seed for all requests, no request line", _TOKENWISE, remake=_one_seed,
        requests=_no_lines,
    ),
    "raw-declared": Variant(
        "raw probabilities of a run at temperature 0.7, which says so", (*_SAMPLED, "match"),
        remake=_both(lambda rows: tempered(rows, 0.7)),
        shown=_raw(0.7), requests=_asked(temperature=0.7), run=lambda row: row | {"prob_basis": "raw"},
    ),
    "raw-null": Variant(
        "raw probabilities of a run at temperature 0.7, which does not say so", _SAMPLED,
        remake=_both(lambda rows: tempered(rows, 0.7)), shown=_raw(0.7), requests=_asked(temperature=0.7),
        run=lambda row: row | {"prob_basis": None},
    ),
    "raw-null-point": Variant(
        "raw probabilities of a run at temperature 0.7 with point drafts, which does not say so", ("one-hot",),
        remake=_both(lambda rows: tempered(rows, 0.7)), shown=_raw(0.7), requests=_asked(temperature=0.7),
        run=lambda row: row | {"prob_basis": None},
    ),
    "raw-null-hot": Variant(
        "raw probabilities of a run at temperature 1.4, which does not say so", _SAMPLED,
        remake=_both(lambda rows: tempered(rows, 1.4)), shown=_raw(1.4), requests=_asked(temperature=1.4),
        run=lambda row: row | {"prob_basis": None},
    ),
    "raw-null-top-k": Variant(
        "rows before top-k 8, the basis is not said", _SAMPLED, remake=_kept, shown=_before, requests=_asked(top_k=8),
        run=lambda row: row | {"prob_basis": None},
    ),
    "raw-bare": Variant(
        "raw probabilities, neither run nor request lines", _SAMPLED, remake=_both(lambda rows: tempered(rows, 0.7)),
        shown=_raw(0.7), requests=_no_lines, run=_elsewhere,
    ),
    "uniforms-where-needed": Variant("no uniform where p >= q", _SAMPLED[:1], steps=_where_needed),
    "uniforms-at-rejections": Variant("only the uniform that rejected is written", _TOKENWISE, steps=_at_rejections),
    "now-and-then": Variant("a third of the steps is recorded", _CHAIN, lost=_now_and_then),
    "preempted": Variant("contexts are recorded, some requests are preempted", _CHAIN, steps=_contexts),
    "drafts-lost": Variant("q of a third of the steps is lost", _SAMPLED, steps=_some_drafts),
    "aborted": Variant("a third of the clients hang up", _CHAIN, requests=_aborted),
    "num-accepted-one-more": Variant(
        "num_accepted counts the token after the block as well", ("ratio", "one-hot"), steps=_one_more, record_fault=True
    ),
}  # fmt: skip
