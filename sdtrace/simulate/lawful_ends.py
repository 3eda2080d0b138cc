"""Requests that end inside a block, by engines that count what was accepted there in three ways."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import polars as pl

from sdtrace.simulate.variant import Variant

_CHAIN = ("ratio", "one-hot", "match", "greedy", "block", "tree-coin")

Frame = Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame]


def _cut(counts: Literal["decided", "appended - 1", "appended"], called: bool = False) -> Frame:
    """max_tokens falls inside the last step of every request, at a place that was known before it was drafted.

    `counts`: what num_accepted says there: all that the verifier accepted, or no more than that. `called`: last_kind is derived
    from it, so that the last token kept of an accepted block is called recovered.
    """

    def steps(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
        last = pl.col("step") == pl.col("step").max().over("request_id")
        room = pl.when(last).then(pl.Series("room", rng.integers(1, 5, frame.height))).otherwise(2**31)
        made = frame.with_columns(output_token_ids=pl.col("output_token_ids").list.head(room))
        kept = pl.col("output_token_ids").list.len().cast(pl.Int64)
        cut = kept <= frame["num_accepted"]
        most = {"decided": pl.col("num_accepted"), "appended - 1": kept - 1, "appended": kept}[counts]
        made = made.with_columns(
            num_accepted=pl.when(cut).then(pl.min_horizontal("num_accepted", most)).otherwise("num_accepted"),
            **{name: pl.when(~cut).then(name) for name in ("last_kind", "last_target_prob", "last_draft_prob")},
        )
        return (
            made.with_columns(last_kind=pl.when(cut).then(pl.lit("recovered")).otherwise("last_kind"))
            if called
            else made
        )

    return steps


def _ahead(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """As cut, by an engine that schedules ahead: a step runs behind the end of each request, and nothing of it is kept."""
    made = _cut("decided")(frame, rng)
    behind = made.filter(pl.col("step") == pl.col("step").max().over("request_id")).with_columns(
        pl.lit(None, made.schema[name]).alias(name)
        for name in ("last_kind", "last_target_prob", "last_draft_prob", "uniforms", "accepted")
        if name in made.columns
    )
    empty = pl.lit([], made.schema["output_token_ids"])
    return pl.concat([made, behind.with_columns(step=pl.col("step") + 1, output_token_ids=empty)])


def _turns(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """As cut, three requests under one id: turns of a session, whose contexts begin with what the user wrote in between."""
    made = _cut("decided")(frame, rng)
    turn = pl.col("request_id").rank("dense").cast(pl.Int64) - 1
    made = made.with_columns(session=turn // 3, turn=turn).sort("turn", "step", maintain_order=True)
    length = pl.col("output_token_ids").list.len().cast(pl.Int64)
    return made.with_columns(
        request_id=pl.format("{}s{}", pl.lit(made["request_id"][0]), "session"),
        step=pl.int_range(pl.len()).over("session"),
        context_len=40 + 60 * (pl.col("turn") % 3) + (length.cum_sum() - length).over("session"),
    ).drop("session", "turn")


def _none(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    return frame.clear()


#: Ids that end an answer, among those of the vocabulary.
_STOPS = frozenset(range(4))


def _stopped(hidden: bool) -> Frame:
    """Answers end with their first stop id, inside a block or behind it; `hidden`: the id itself is not written."""

    def steps(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
        kept: list[list[int] | None] = []
        over: set[str] = set()
        for request, tokens in frame.select("request_id", "output_token_ids").iter_rows():
            at = next((i for i, token in enumerate(tokens) if token in _STOPS), None)
            kept.append(None if request in over else tokens if at is None else tokens[: at + (not hidden)])
            over |= set() if at is None else {request}
        made = frame.with_columns(output_token_ids=pl.Series(kept, dtype=pl.List(pl.Int64))).drop_nulls(
            "output_token_ids"
        )
        cut = pl.col("output_token_ids").list.len().cast(pl.Int64) <= pl.col("num_accepted")
        names = ("last_kind", "last_target_prob", "last_draft_prob")
        return made.with_columns(**{name: pl.when(~cut).then(name) for name in names})

    return steps


def _by_stop(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    return frame.with_columns(
        stop_token_ids=pl.lit(sorted(_STOPS), dtype=pl.List(pl.Int64)),
        finish_reason=pl.lit("stop"),
        max_tokens=pl.lit(4096),
    )


LAWFUL_ENDS: dict[str, Variant] = {
    "cut": Variant("max_tokens inside a block; num_accepted is what the verifier decided", _CHAIN, steps=_cut("decided")),
    "cut-clipped": Variant("max_tokens inside a block; num_accepted is what was appended less one", _CHAIN, steps=_cut("appended - 1")),
    "cut-clipped-to-all": Variant("max_tokens inside a block; num_accepted is what was appended, at most", _CHAIN, steps=_cut("appended")),
    "cut-clipped-to-all-called": Variant("as cut-clipped-to-all, and called recovered", _CHAIN, steps=_cut("appended", called=True)),
    "cut-clipped-called": Variant("as cut-clipped, the last token is called recovered", _CHAIN, steps=_cut("appended - 1", called=True)),
    "scheduled-ahead": Variant("max_tokens inside a block, and a step behind it of which nothing is kept", _CHAIN, steps=_ahead),
    "turns-without-lines": Variant("turns of a session under one id, cut in a block, no lines", _CHAIN, steps=_turns, requests=_none),
    "stopped": Variant("answers end with a stop id", _CHAIN, steps=_stopped(hidden=False), requests=_by_stop),
    "stop-id-unwritten": Variant("answers end with a stop id that is not written", _CHAIN, steps=_stopped(hidden=True), requests=_by_stop),
}  # fmt: skip
