"""Known ways to be wrong: each says what the engine's p would have been, and the records say how likely that is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from sdtrace.replay.bands import LEAST
from sdtrace.replay.compare import distances
from sdtrace.replay.contexts import first_twice, not_rolled_back, shifted, stale_entries, without, without_first
from sdtrace.replay.conversation import Conversation
from sdtrace.replay.likelihood import BULK, OVER_HEALTHY, OVER_RIVAL, SAYS, likelihood
from sdtrace.replay.packing import Packed, pack
from sdtrace.replay.parameters import Parameters

View = Callable[[Conversation], Packed]
Change = Callable[[Parameters], Parameters]


@dataclass(frozen=True)
class Way:
    """`cause` as in the vocabulary, `says` for the headline, and what differs: context, parameters, or weights."""

    name: str
    cause: str
    says: str
    view: View = pack
    change: Change | None = None
    weights: str | None = None  #: a precision, a quantisation, or the name of another model


@dataclass(frozen=True)
class Scored:
    """How well a way explains the records: log-likelihood, median |d|, share of positions inside the band."""

    way: Way | None
    log_likelihood: float
    median: float
    within: float
    positions: int


def parameter_ways(given: Sequence[Parameters]) -> Iterator[Way]:
    """The parameters missing or applied twice; ways that change nothing for these requests are left out."""
    ignored: dict[str, tuple[str, Change]] = {
        "temperature-ignored": (SAYS["temperature-ignored"], lambda p: _heat(p, 1.0)),
        "temperature-twice": (SAYS["temperature-twice"], lambda p: _heat(p, p.temperature**2)),
        "top-k-ignored": (SAYS["top-k-ignored"], lambda p: replace(p, top_k=None)),
        "top-p-ignored": (SAYS["top-p-ignored"], lambda p: replace(p, top_p=None)),
        "top-p-twice": ("top-p is applied twice", lambda p: replace(p, top_p_again=p.top_p is not None)),
        "min-p-ignored": (SAYS["min-p-ignored"], lambda p: replace(p, min_p=None)),
        "truncation-ignored": (
            SAYS["truncation-ignored"],
            lambda p: replace(p, top_k=None, top_p=None, min_p=None),
        ),
        "penalties-ignored": (
            "penalties are not applied",
            lambda p: replace(p, repetition=1.0, presence=0.0, frequency=0.0),
        ),
        "penalties-twice": (
            "penalties are applied twice",
            lambda p: replace(p, repetition=p.repetition**2, presence=2 * p.presence, frequency=2 * p.frequency),
        ),
        "bias-ignored": ("the logit bias is not applied", lambda p: replace(p, bias={})),
        "parameters-ignored": (SAYS["parameters-ignored"], lambda p: p.neutral),
    }
    known = [list(given)]
    for name, (says, change) in ignored.items():
        changed = [change(p) for p in given]
        if changed not in known:
            known.append(changed)
            yield Way(name, "sampling-params-ignored", says, change=change)


def _heat(given: Parameters, temperature: float) -> Parameters:
    return given if given.temperature == 0.0 else replace(given, temperature=temperature)


def row_ways() -> Iterator[Way]:
    """The right pass, the wrong row of it."""
    yield Way("row-before", "misaligned-target-probs", SAYS["row-before"], view=lambda one: _rows(one, -1))
    yield Way("row-after", "misaligned-target-probs", SAYS["row-after"], lambda one: _rows(one, 1))
    says = "every position has the row of the step's first one"
    yield Way("first-row", "misaligned-target-probs", says, view=lambda one: _rows(one, 0))


def _rows(one: Conversation, by: int) -> Packed:
    packed = pack(one)
    where = {}
    for (s, j), row in packed.where.items():
        moved = packed.where.get((s, j + by)) if by else packed.where.get((s, 0))
        if moved is None and by == -1 and row > 0:
            moved = row - 1
        if moved is not None:
            where[s, j] = moved
    return replace(packed, where=where)


def context_ways(special: frozenset[int]) -> Iterator[Way]:
    """The wrong tokens or positions in front of the right ones."""
    yield Way("not-rolled-back", "state-not-rolled-back", SAYS["not-rolled-back"], not_rolled_back)
    yield Way("stale-entries", "state-not-rolled-back", SAYS["stale-entries"], stale_entries)
    moves: dict[str, tuple[str, Callable[[Conversation, int], int]]] = {
        "positions-ahead": ("generated tokens stand one position too far", lambda one, s: 1),
        "positions-behind": ("generated tokens stand one position too early", lambda one, s: -1),
        "positions-drift": ("positions gain one with every step", lambda one, s: s),
        "positions-drift-on-rejection": (
            "positions gain one with every rejection",
            lambda one, s: sum(before.rejected for before in one.steps[:s]),
        ),
    }
    for name, (says, by) in moves.items():
        yield Way(name, "position-off-by-one", says, shifted(by))
    yield Way("first-token-dropped", "verifier-differs", SAYS["first-token-dropped"], without_first)
    yield Way("first-token-twice", "verifier-differs", SAYS["first-token-twice"], first_twice)
    if special:
        yield Way("template-dropped", "verifier-differs", SAYS["template-dropped"], without(special))


def weight_ways(dtype: str, suspects: Sequence[str]) -> Iterator[Way]:
    """The right tokens through other weights."""
    for other in ("float32", "bfloat16", "float16"):
        if other != dtype:
            says = f"the target computed in {other}, not in {dtype}"
            yield Way(f"precision-{other}", "verifier-differs", says, weights=other)
    for kind in ("Q8_0", "Q4_0"):
        yield Way(
            f"quantised-{kind}", "verifier-differs", f"the target's weights were quantised ({kind})", weights=kind
        )
    for name in suspects:
        yield Way(f"model:{name}", "verifier-differs", f"the target was another model: {name}", weights=name)


def score(way: Way | None, records: pl.DataFrame, facts: pl.DataFrame, dtype: str | None, width: float) -> Scored:
    """The likelihood of the records under a way; a position that the way has no row for counts as far off."""
    table = distances(records, facts, dtype)
    valid = records["p"].is_not_null()
    d = table.filter(valid)["d"].fill_null(-np.log(LEAST) / 4).to_numpy()
    if not len(d):
        return Scored(way, 0.0, 0.0, 0.0, 0)
    return Scored(
        way, likelihood(d, width / 4), float(np.median(np.abs(d))), float((np.abs(d) <= width).mean()), len(d)
    )


def best(healthy: Scored, others: Sequence[Scored]) -> tuple[Scored | None, list[Scored]]:
    """The way that explains the records, or None; and the ways that cannot be told from it (another cause, as likely).

    A way must be far likelier than the healthy engine and explain the bulk: most positions inside the band, or a quarter
    of the median distance gone (another precision is only the likeness of the engine's own).
    """
    ranked = sorted(others, key=lambda s: -s.log_likelihood)
    if not ranked or ranked[0].log_likelihood < healthy.log_likelihood + OVER_HEALTHY:
        return None, []
    top = ranked[0]
    if top.within < BULK and top.median > 0.75 * healthy.median:
        return None, []
    rivals = [s for s in ranked[1:] if s.log_likelihood > top.log_likelihood - OVER_RIVAL]
    return top, rivals


def first_steps(table: pl.DataFrame, conversations: Sequence[Conversation], width: float) -> list[dict[str, Any]]:
    """For every request the first step that lies outside the band, and the rejection that it follows, if it does."""
    far = table.filter(pl.col("d").abs() > width).sort("step", "position")
    found = []
    for one in conversations:
        mine = far.filter((pl.col("run_id") == one.key[0]) & (pl.col("request_id") == one.key[1]))
        if mine.is_empty():
            continue
        row = mine.row(0, named=True)
        before = row["step"] - 1
        follows = before >= 0 and one.steps[before].rejected
        found.append({**row, "after_rejection_at_step": before if follows else None})
    return found
