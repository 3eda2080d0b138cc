"""Answers out of traces: the emitted ids of each request, joined over its steps, for as many requests as are kept.

Whether an answer had speculation is what its run or its tags say. Whether anything was drafted for it is no such thing: a lookup
drafts where a text repeats itself, and so its answers without a draft are other texts.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from sdtrace.readers import Opened
from sdtrace.responses.ids.signs import Answer
from sdtrace.schema.json_values import json_object
from sdtrace.schema.run import Run, runs_of
from sdtrace.schema.sampling import ticket

#: Requests and tokens that are kept; whole requests of highest ticket go first.
REQUESTS, TOKENS = 20_000, 20_000_000

_ASKED = ("max_tokens", "temperature", "top_p", "top_k", "min_p")
_STEP = ("run_id", "request_id", "step", "output_token_ids", "draft_token_ids", "batch_size")
_REQUEST = (
    "run_id",
    "request_id",
    "prompt_token_ids",
    "finish_reason",
    "cached_tokens",
    "stop_token_ids",
    "tags",
    *_ASKED,
)

Keep = Callable[[pl.DataFrame], pl.DataFrame] | None


@dataclass
class _Held:
    """What was read: steps of a request as (number, ids, batch size), request lines, run lines, runs that drafted."""

    steps: dict[tuple[str, str], list[tuple[int, list[int], float | None]]] = field(default_factory=dict)
    lines: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    drafted: set[str] = field(default_factory=set)
    paths: dict[str, str] = field(default_factory=dict)  #: where steps of a run were read first
    limit: float = 1.0
    tokens: int = 0


def answers(sources: Iterable[Opened], keep: Keep = None) -> list[Answer]:
    """The answers of traces, in order of their keys. `keep` chooses steps, joined with nothing."""
    held = _Held()
    for source in sources:
        for batch in source.batches():
            held.runs |= runs_of(batch.runs)
            for row in batch.requests.select(_REQUEST).iter_rows(named=True):
                if ticket(row["request_id"] or "") < held.limit:
                    held.lines[(row["run_id"], row["request_id"])] = row
            for run in batch.steps["run_id"].unique():
                held.paths.setdefault(run, source.path)
            _add(held, batch.steps if keep is None else batch.steps.filter(keep(batch.steps).to_series()))
    return [_answer(key, held) for key in sorted(held.steps)]


def _add(held: _Held, steps: pl.DataFrame) -> None:
    for row in steps.select(_STEP).iter_rows(named=True):
        run_id, request_id = row["run_id"], row["request_id"]
        if any(t is not None and t >= 0 for t in row["draft_token_ids"] or []):
            held.drafted.add(run_id)
        if ticket(request_id or "") >= held.limit:
            continue
        ids = [t for t in row["output_token_ids"] or [] if t is not None]
        held.steps.setdefault((run_id, request_id), []).append((row["step"] or 0, ids, row["batch_size"]))
        held.tokens += len(ids)
    while len(held.steps) > REQUESTS or (held.tokens > TOKENS and len(held.steps) > 1):
        order = sorted(held.steps, key=lambda key: ticket(key[1] or ""))
        gone = order[len(order) // 2 :]
        held.limit = ticket(gone[0][1] or "")
        for key in gone:
            held.tokens -= sum(len(ids) for _, ids, _ in held.steps.pop(key))
            held.lines.pop(key, None)


def _answer(key: tuple[str, str], held: _Held) -> Answer:
    line, run = held.lines.get(key, {}), held.runs.get(key[0], Run())
    steps = sorted(held.steps[key], key=lambda step: step[0])
    stretches: list[list[int]] = []
    before: int | None = None
    for number, ids, _ in steps:
        if number == before:  # written twice: which of them was kept is not told
            continue
        if before is None or number != before + 1:
            stretches.append([])
        stretches[-1] += ids
        before = number
    prompt = line.get("prompt_token_ids")
    sizes = [size for *_, size in steps if size is not None]
    asked: tuple[object, ...] = ()
    if prompt and (engine := _engine(run)) is not None:
        asked = (engine, tuple(prompt), tuple(line.get("stop_token_ids") or ()), *(line.get(name) for name in _ASKED))
    cached = line.get("cached_tokens")
    said = _said(line.get("tags"))
    return Answer(
        run_id=key[0],
        request_id=key[1],
        path=held.paths.get(key[0], ""),
        stretches=stretches,
        prompt=prompt or None,
        speculation=said if said is not None else key[0] in held.drafted or run.method is not None,
        finish=line.get("finish_reason"),
        key=asked,
        cached=None if cached is None else cached > 0,
        batch=sum(sizes) / len(sizes) if sizes else None,
    )


def _engine(run: Run) -> tuple[object, ...] | None:
    """What runs must share to be compared: the model above all; None where the run does not name it."""
    if not run.target_model:
        return None
    config = run.settings
    same = ("dtype", "quantization", "kv_cache_dtype", "max_model_len", "tensor_parallel_size")
    return run.target_model, run.engine, run.engine_version, *(str(config.get(name)) for name in same)


def _said(tags: str | None) -> bool | None:
    """What a request's tags say of speculation."""
    for name in ("speculation", "speculative", "spec"):
        value = str(json_object(tags).get(name, "")).lower()
        if value in ("on", "true", "yes", "1"):
            return True
        if value in ("off", "false", "no", "0", "none"):
            return False
    return None
