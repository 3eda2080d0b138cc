"""The three tables of trace format 1, and the batch in which readers hand them on.

A column is declared once, here: type, unit, meaning. Readers produce exactly these columns (absent values are null);
nothing downstream asks whether a column exists, only whether it holds a value.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, Protocol

import polars as pl

STR, INT, FLOAT = pl.String(), pl.Int64(), pl.Float64()
INTS, FLOATS, FLAGS = pl.List(pl.Int64()), pl.List(pl.Float64()), pl.List(pl.Boolean())
INT_ROWS, FLOAT_ROWS = pl.List(pl.List(pl.Int64())), pl.List(pl.List(pl.Float64()))


@dataclass(frozen=True)
class Column:
    """One column of the format: its polars type, its unit ("" where it has none) and what it means."""

    dtype: pl.DataType
    unit: str
    meaning: str


RUN: dict[str, Column] = {
    "run_id": Column(STR, "", 'key; "" where the file has no run line'),
    "engine": Column(STR, "", "vllm, sglang, transformers, ..."),
    "engine_version": Column(STR, "", "as the engine prints it"),
    "method": Column(STR, "", "draft_model, eagle, eagle3, mtp, medusa, dflash, ngram, suffix, lookup, other"),
    "target_model": Column(STR, "", "name or path"),
    "draft_model": Column(STR, "", "name or path"),
    "rule": Column(STR, "", "the verification law; null = unknown, to be inferred"),
    "rule_params": Column(STR, "", "JSON object: thresholds of that law"),
    "draft_sampling": Column(STR, "", "sampled, argmax; null = unknown"),
    "num_draft_tokens": Column(INT, "tokens", "configured tau"),
    "prob_basis": Column(STR, "", "processed or raw; null = unknown"),
    "prob_dtype": Column(STR, "", "float64, float32, float16, bfloat16 or decimals:N; null = unknown"),
    "vocab_size": Column(INT, "tokens", "size of the target's vocabulary"),
    "draft_vocab_size": Column(INT, "tokens", "size of the draft's vocabulary"),
    "started_at": Column(FLOAT, "s", "Unix time"),
    "config": Column(STR, "", "JSON object: anything else"),
}

REQUEST: dict[str, Column] = {
    "run_id": Column(STR, "", "key"),
    "request_id": Column(STR, "", "key"),
    "arrived_at": Column(FLOAT, "s", "Unix time"),
    "first_token_at": Column(FLOAT, "s", "Unix time"),
    "finished_at": Column(FLOAT, "s", "Unix time"),
    "prompt_token_ids": Column(INTS, "", "needed for replay only"),
    "prompt_len": Column(INT, "tokens", ""),
    "output_len": Column(INT, "tokens", "every generated token, the one of prefill included"),
    "cached_tokens": Column(INT, "tokens", ""),
    "temperature": Column(FLOAT, "", "0 = greedy"),
    "top_p": Column(FLOAT, "", ""),
    "min_p": Column(FLOAT, "", ""),
    "repetition_penalty": Column(FLOAT, "", ""),
    "presence_penalty": Column(FLOAT, "", ""),
    "frequency_penalty": Column(FLOAT, "", ""),
    "top_k": Column(INT, "", ""),
    "seed": Column(INT, "", ""),
    "max_tokens": Column(INT, "tokens", ""),
    "stop_token_ids": Column(INTS, "", "includes end-of-sequence ids"),
    "finish_reason": Column(STR, "", "stop, length, abort, error"),
    "tags": Column(STR, "", "JSON object of strings: task, tenant, adapter, ..."),
}

STEP: dict[str, Column] = {
    "run_id": Column(STR, "", "key"),
    "request_id": Column(STR, "", "key"),
    "step": Column(INT, "", "counts from 0 within the request"),
    "at": Column(FLOAT, "s", "Unix time at which the step began"),
    "draft_token_ids": Column(INTS, "", "x; tau entries"),
    "draft_probs": Column(FLOATS, "", "q(x_j); null list = the engine used none"),
    "target_probs": Column(FLOATS, "", "p(x_j)"),
    "uniforms": Column(FLOATS, "", "r_j"),
    "accepted": Column(FLAGS, "", "recorded decisions"),
    "num_accepted": Column(INT, "tokens", "recorded n_a"),
    "verified_len": Column(INT, "tokens", "how many drafted tokens were verified"),
    "output_token_ids": Column(INTS, "", "every token that the step appended, in order"),
    "last_kind": Column(STR, "", "recovered, bonus, plain"),
    "last_target_prob": Column(FLOAT, "", "p(y) of the last appended token"),
    "last_draft_prob": Column(FLOAT, "", "q(y) of the last appended token"),
    "target_argmax_ids": Column(INTS, "", "argmax of p at positions 0 .. tau"),
    "target_top2_gap": Column(FLOATS, "logits", "gap between the two best target tokens"),
    "overlap": Column(FLOATS, "", "sum of min(p, q)"),
    "target_sq": Column(FLOATS, "", "sum of p^2"),
    "draft_sq": Column(FLOATS, "", "sum of q^2"),
    "target_entropy": Column(FLOATS, "nats", ""),
    "draft_entropy": Column(FLOATS, "nats", ""),
    "target_varentropy": Column(FLOATS, "nats^2", ""),
    "draft_varentropy": Column(FLOATS, "nats^2", ""),
    "draft_confidence": Column(FLOATS, "", "what the engine's own stopping rule looked at"),
    "target_top_ids": Column(INT_ROWS, "", "top row of p, for a sample of steps"),
    "target_top_probs": Column(FLOAT_ROWS, "", ""),
    "draft_top_ids": Column(INT_ROWS, "", ""),
    "draft_top_probs": Column(FLOAT_ROWS, "", ""),
    "draft_ms": Column(FLOAT, "ms", ""),
    "verify_ms": Column(FLOAT, "ms", ""),
    "sample_ms": Column(FLOAT, "ms", ""),
    "step_ms": Column(FLOAT, "ms", "wall time from `at` to the tokens being appended"),
    "batch_size": Column(INT, "requests", ""),
    "batch_tokens": Column(INT, "tokens", ""),
    "context_len": Column(INT, "tokens", "prompt plus output before the step"),
    "graph": Column(STR, "", "CUDA graph mode or size, eager"),
    "slot": Column(INT, "", "row in the batch"),
    "rank": Column(INT, "", "tensor-parallel rank"),
    "engine_step": Column(INT, "", "number of the engine's step"),
}

TABLES: dict[str, dict[str, Column]] = {"run": RUN, "request": REQUEST, "step": STEP}

#: Columns that carry a JSON object as text, in tables and in Parquet; JSON Lines writes them as objects.
OBJECTS = frozenset({"rule_params", "config", "tags"})


@cache
def schema(table: str) -> pl.Schema:
    """The polars schema of `run`, `request` or `step`, every column in the order of the format."""
    return pl.Schema({name: column.dtype for name, column in TABLES[table].items()})


def conform(frame: pl.DataFrame, table: str, *, extra: tuple[str, ...] = ()) -> pl.DataFrame:
    """`frame` with exactly the columns of `table` (then `extra`), typed, absent ones null. Fails on a cast that loses."""
    given = frame.schema
    columns = [
        pl.col(name)
        if given.get(name) == dtype
        else (pl.col(name).cast(dtype) if name in given else pl.lit(None, dtype=dtype)).alias(name)
        for name, dtype in schema(table).items()
    ]
    return frame.select(*columns, *extra)


@cache
def empty(table: str) -> pl.DataFrame:
    """The table without rows; a step table also carries `line`."""
    frame = pl.DataFrame(schema=schema(table))
    return frame.with_columns(line=pl.lit(None, pl.Int64)) if table == "step" else frame


def no_tables() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Runs, requests and steps of a batch that holds none of them."""
    return empty("run"), empty("request"), empty("step")


#: What a loss means for what was read: nothing more; lines about something else, expected there; a step whose key was there
#: before; a file that cannot be read on.
LossKind = Literal["ordinary", "other", "repeated", "unreadable"]
#: What a notice means: nothing more; answers whose tokens nothing stands beside that they could be held against; a packed file
#: that breaks off.
NoticeKind = Literal["ordinary", "bare", "damaged"]


@dataclass(frozen=True)
class Loss:
    """Input that became no record: where it stood, why, how many lines (or rows), what to do about it."""

    path: str
    line: int | None
    what: str
    count: int
    advice: str
    kind: LossKind = "ordinary"


@dataclass(frozen=True)
class Notice:
    """Something about the input that cost no record: unknown keys, a missing request line, a repaired string."""

    path: str
    line: int | None
    what: str
    count: int
    advice: str
    kind: NoticeKind = "ordinary"


@dataclass(frozen=True)
class Doubt:
    """Why what an input shows is no proof. `figures`: its sums are in doubt too, not only its single records."""

    why: str
    figures: bool = False


@dataclass(frozen=True)
class Event:
    """Something that an engine announced: a setting, a fallback, a warning. `what` is our sentence, never the log's."""

    path: str
    line: int | None
    at: float | None
    engine: str
    kind: str  #: config, synthetic, lossy, off, schedule, role, k, fallback, silent, replay, gauge, error, version, accusation
    what: str
    value: str | None = None
    key: str | None = None  #: the row of the table that it was heard by
    settings: Mapping[str, str] = field(default_factory=dict, hash=False)  #: what it sets, by name, as logged


#: Settings of an announcement that others ask for: the drafter, and how long drafts are (SGLang: tokens that are verified).
METHOD, LENGTH = "method", "k"
#: Every setting that tells how long drafts are: lengths that SGLang chose itself are called as its log calls them.
LENGTHS = (LENGTH, "gamma", "num_draft_tokens")
#: The method of a llama.cpp command with a draft model and no implementation.
DRAFT_MODEL = "draft model"


def other_lines(path: str, count: int, advice: str) -> Loss:
    """Lines that are nobody's business here; they are counted so that every line is accounted for."""
    return Loss(path, None, "other lines, not about speculative decoding", count, advice, "other")


#: What a notice of the kind "bare" says, behind a number of them too.
BARE = "answers without logprobs, which tell nothing by themselves"
#: How the loss of a step begins whose request and step stand in the record already.
REPEATED = "duplicate of request"
#: What a notice of the kind "damaged" says, before the library's word for it.
DAMAGED = "the compressed file is damaged"


@dataclass(frozen=True)
class Batch:
    """A bounded piece of one input.

    `steps` has the columns of STEP and `line` (Int64, 1-based: the line of the file, or the row of a Parquet file).
    `runs` and `requests` have the columns of their tables. `lines` counts the lines (rows) that this batch consumed;
    lines = runs + requests + steps + records + the counts of `losses`, always. `windows` is a frame of `windows.py`,
    None where the source has steps; `records` counts the lines that became windows or events. `doubt` is of the whole input.
    """

    path: str
    lines: int
    runs: pl.DataFrame
    requests: pl.DataFrame
    steps: pl.DataFrame
    losses: list[Loss] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    windows: pl.DataFrame | None = None
    events: list[Event] = field(default_factory=list)
    records: int = 0
    failed: bool = False  #: the input ends here, before its end: the last loss says why
    doubt: Doubt | None = None
    repeated: pl.DataFrame | None = None  #: steps among the losses whose key was taken, as `steps` has them
    responses: pl.DataFrame | None = None  #: of `schema/responses.py`, where the input holds logprobs


Batches = Iterator[Batch]


class Batched(Protocol):
    """What can be read in batches: an opened input."""

    def batches(self) -> Iterable[Batch]:
        """The input from its beginning."""
