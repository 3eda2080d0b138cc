"""A replay from beginning to end: measure the band, run the model over the trace, compare, and name what is wrong."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import polars as pl

from sdtrace.replay import compare
from sdtrace.replay.bands import Band
from sdtrace.replay.compare import Decisions, Greedy, Uniformity
from sdtrace.replay.conversation import Conversation
from sdtrace.replay.drafts import Drafts, drafts
from sdtrace.replay.facts import SCHEMA, facts
from sdtrace.replay.hypotheses import (
    Scored,
    Way,
    best,
    context_ways,
    first_steps,
    parameter_ways,
    row_ways,
    score,
    weight_ways,
)
from sdtrace.replay.model import Verifier, load, special_ids
from sdtrace.replay.packing import pack
from sdtrace.replay.parameters import Parameters, of_request
from sdtrace.replay.passes import run, shape_rows, stepwise
from sdtrace.replay.quantise import rounded
from sdtrace.replay.requests import Gathered
from sdtrace.replay.state import State
from sdtrace.schema.json_values import Json

#: Packed tokens on which the band is measured, and on which ways to be wrong are tried.
BAND_TOKENS, WAY_TOKENS = 600, 1500

#: Told how many packed tokens are done of how many.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Replayed:
    """Everything that a replay found. `differs`: recorded p is not the model's, beyond the band."""

    verifier: str
    dtype: str
    device: str
    requests: int
    conversations: int
    left_out: Counter[str]
    positions: int
    packed: bool
    band: Band
    table: pl.DataFrame
    differs: bool
    slope: float | None
    decisions: Decisions
    emitted: Uniformity | None
    greedy: Greedy | None
    healthy: Scored
    scored: list[Scored]
    best: Scored | None
    rivals: list[Scored]
    begins: list[Json]
    drafts: Drafts | None
    engine_dtype: str | None  #: the precision that the engine says it computed in


def replayed(
    gathered: Gathered,
    verifier: Verifier,
    *,
    state: State,
    drafter: Verifier | None = None,
    suspects: Sequence[str] = (),
    engine_dtype: str | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Replayed:
    """Run `verifier` over the conversations. `engine_dtype` is the precision that the engine says it computed in."""
    ones = [one for one in gathered.conversations if max(one.tokens) < verifier.vocab_size]
    left_out = gathered.left_out.copy()
    if len(ones) < len(gathered.conversations):
        left_out["token ids beyond the verifier's vocabulary"] += len(gathered.conversations) - len(ones)
    given = [of_request(one.request, one.run.engine) for one in ones]
    spread, whole = _band(verifier, ones, given, engine_dtype)
    found = _facts(verifier, ones, given, state, whole, progress)
    dtype = ones[0].run.prob_dtype if ones else None
    records = compare.recorded(ones)
    raw = any(one.run.prob_basis == "raw" for one in ones)
    basis = found if not raw else _raw(verifier, ones, given, whole)
    table = compare.distances(records, basis, dtype)
    greedy = {one.key for one, p in zip(ones, given, strict=True) if p.temperature == 0.0}
    tie = 4 * spread.width if verifier.dtype == "float32" and engine_dtype in (None, "float32") else 0.25
    differs = compare.outside(table, spread.width)
    healthy = score(None, records, basis, dtype, spread.width)
    scored: list[Scored] = []
    begins: list[Json] = []
    if differs:
        begins = first_steps(table, ones, spread.width)
        scored, healthy = _ways(verifier, ones, given, table, suspects, dtype, spread.width, progress)
    top, rivals = best(healthy, scored)
    return Replayed(
        verifier.name, verifier.dtype, verifier.device, gathered.requests, len(ones), left_out, found.height, whole,
        spread, table, differs, compare.slope(table),
        compare.decisions(ones, found, spread.width) if ones else Decisions(0, 0, 0, ()),
        compare.emitted_under_p(found, greedy), compare.greedy_divergences(found, ones, greedy, tie),
        healthy, scored, top, rivals, begins,
        drafts(verifier, drafter, ones, given, spread.width) if drafter is not None else None,
        engine_dtype,
    )  # fmt: skip


def _collect(ones: Sequence[Conversation], given: Sequence[Parameters]) -> tuple[list[pl.DataFrame], Any]:
    frames: list[pl.DataFrame] = []
    shapes = dict(enumerate(given))

    def take(places: Any, logits: Any) -> None:
        frames.append(facts(places, shape_rows(places, logits, ones, shapes), ones))

    return frames, take


def _table(frames: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(frames).sort(compare.KEYS) if frames else pl.DataFrame(schema=SCHEMA)


def _some(ones: Sequence[Conversation], tokens: int) -> list[int]:
    """Indices of the first conversations (they come in order of the hash) that fit; at least one."""
    chosen, total = list[int](), 0
    for i, one in enumerate(ones):
        total += len(pack(one))
        if chosen and total > tokens:
            break
        chosen.append(i)
    return chosen


def _band(
    verifier: Verifier, ones: Sequence[Conversation], given: Sequence[Parameters], engine_dtype: str | None
) -> tuple[Band, bool]:
    """The spread between one packed pass and step after step in the engine's precision; whether packing is faithful.

    A model that takes no mask of ours (a recurrent one, a sliding window) shows here, and is run step by step.
    """
    index = _some(ones, BAND_TOKENS)
    mine, shapes = [ones[i] for i in index], [given[i] for i in index]
    once, take = _collect(mine, shapes)
    list(run(verifier, mine, pack, take))
    steps, take = _collect(mine, shapes)
    stepwise(verifier, mine, take)
    spread = compare.band(_table(once), _table(steps))
    faithful = spread.median < {"float32": 1e-3}.get(verifier.dtype, 0.05)
    if engine_dtype is not None and engine_dtype != verifier.dtype:
        other, take = _collect(mine, shapes)
        stepwise(verifier.close_to(engine_dtype), mine, take)
        spread = compare.band(_table(steps), _table(other))
    elif not faithful:
        spread = compare.band(_table(steps), _table(steps))
    return spread, faithful


def _facts(
    verifier: Verifier,
    ones: Sequence[Conversation],
    given: Sequence[Parameters],
    state: State,
    whole: bool,
    progress: Progress,
) -> pl.DataFrame:
    before = state.done()
    known = set(before.select("run_id", "request_id").unique().rows())
    index = [i for i, one in enumerate(ones) if one.key not in known]
    mine = [ones[i] for i in index]
    total, done = sum(len(pack(one)) for one in mine), 0
    frames, take = _collect(mine, [given[i] for i in index])
    kept = 0

    def count(tokens: int) -> None:
        nonlocal done
        done += tokens
        progress("replaying", done, total)

    for _ in run(verifier, mine, pack, take, progress=count) if whole else _one_by_one(verifier, mine, take):
        state.keep(_table(frames[kept:]))
        kept = len(frames)
    return pl.concat([before, _table(frames)]).sort(compare.KEYS)


def _one_by_one(verifier: Verifier, ones: Sequence[Conversation], take: Any) -> Any:
    stepwise(verifier, ones, take)
    yield None


def _raw(verifier: Verifier, ones: Sequence[Conversation], given: Sequence[Parameters], whole: bool) -> pl.DataFrame:
    """Facts before any parameter, for a log whose probabilities are raw."""
    frames, take = _collect(ones, [p.neutral for p in given])
    for _ in run(verifier, ones, pack, take) if whole else _one_by_one(verifier, ones, take):
        pass
    return _table(frames)


def _ways(
    verifier: Verifier,
    ones: Sequence[Conversation],
    given: Sequence[Parameters],
    table: pl.DataFrame,
    suspects: Sequence[str],
    dtype: str | None,
    width: float,
    progress: Progress,
) -> tuple[list[Scored], Scored]:
    """Every way tried on the conversations that are furthest off; how the healthy engine fares on the same ones."""
    far = table.filter(pl.col("d").abs() > width).select("run_id", "request_id").unique().rows()
    order = sorted(range(len(ones)), key=lambda i: ones[i].key not in set(far))
    index = [order[i] for i in _some([ones[i] for i in order], WAY_TOKENS)]
    mine, shapes = [ones[i] for i in index], [given[i] for i in index]
    records = compare.recorded(mine)
    special = special_ids(verifier.name) & {t for one in mine for t in one.prompt}
    ways = [
        *parameter_ways(shapes), *row_ways(), *context_ways(special), *weight_ways(verifier.dtype, suspects),
    ]  # fmt: skip
    healthy = score(None, records, _seen(verifier, mine, shapes, None), dtype, width)
    scored = []
    for n, way in enumerate(ways):
        progress("trying known ways to be wrong", n, len(ways))
        scored.append(score(way, records, _seen(verifier, mine, shapes, way), dtype, width))
    progress("trying known ways to be wrong", len(ways), len(ways))
    return sorted(scored, key=lambda s: -s.log_likelihood), healthy


def _seen(
    verifier: Verifier, ones: Sequence[Conversation], given: Sequence[Parameters], way: Way | None
) -> pl.DataFrame:
    """Facts as an engine that is wrong in this way would have them."""
    view = pack if way is None else way.view
    shapes = list(given) if way is None or way.change is None else [way.change(p) for p in given]
    frames, take = _collect(ones, shapes)
    engine = verifier
    weights: AbstractContextManager[None] = nullcontext()
    if way is not None and way.weights in ("float32", "bfloat16", "float16"):
        # how a low precision rounds depends on the shape of a pass: packed, it is no closer to the engine's than float32
        stepwise(verifier.close_to(way.weights), ones, take)
        return _table(frames)
    if way is not None and way.weights in ("Q8_0", "Q4_0"):
        weights = verifier.weights(rounded(way.weights))
    elif way is not None and way.weights is not None:
        engine = load(way.weights, dtype=verifier.dtype, device=verifier.device)
        if engine.vocab_size <= max(max(one.tokens) for one in ones):
            return pl.DataFrame(schema=SCHEMA)
    with weights:
        list(run(engine, ones, view, take))
    return _table(frames)
