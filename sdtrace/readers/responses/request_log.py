"""vLLM's own request log (--enable-log-requests) beside its responses: what each request asked, where no request was kept.

Lines of 0.32 and 0.33 (entrypoints/serve/utils/request_logger.py): `Received request ID: params: SamplingParams(...), lora_request: ...`.
They print the parameters as they hold: defaults of the server and of the model are in them. A prompt is text of users and never
stands in such a line; a stop string does, quoted. A prompt of several is numbered: ID-0, ID-1.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import polars as pl

from sdtrace.readers.io.source import Source, begun, lines
from sdtrace.readers.responses.parameters import parameters
from sdtrace.schema.responses import RESPONSE
from sdtrace.schema.trace import Batch

_LINE = re.compile(
    rb"^(?:\([\w ]{1,40}? pid=\d{1,9}[^)]{0,60}\) )?(?:INFO|DEBUG) \d\d-\d\d \d\d:\d\d:\d\d \[?[\w./]{1,60}:\d{1,6}\] "
    rb"Received request ([\w.:-]{1,200}): params: (SamplingParams\(.{1,8000}\)), lora_request: "
)
#: Requests that are remembered of all logs together.
_REMEMBERED = 1 << 19
#: What a request says and its log must not contradict. At temperature 0 vLLM prints cuts as switched off.
_SAID = ("temperature", "repetition_penalty", "presence_penalty", "frequency_penalty", "seed")
_CUTS = ("top_p", "top_k", "min_p")
_FILLED = (*_SAID, *_CUTS, "asked_k", "stops", "steered")
_DISAGREE = "request and request log, which disagree"


@dataclass
class RequestLog:
    """The logs among the inputs; read when the first response asks for them. Called with a batch, it gives the batch filled in."""

    sources: Sequence[Source] = field(repr=False)
    known: pl.DataFrame | None = field(default=None, repr=False)

    def __call__(self, batch: Batch) -> Batch:
        """The batch, its responses with what the log says of their requests."""
        if batch.responses is None or batch.responses.is_empty():
            return batch
        if self.known is None:
            self.known = _table(self.sources)
        if self.known.is_empty():
            return batch
        return replace(batch, responses=filled(batch.responses, self.known))


def filled(responses: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Responses with the parameters that they lack. Where request and log disagree, the response is not judged."""
    told = responses.select("request_id", "engine").join(known, on="request_id", how="left", maintain_order="left")
    mine = pl.DataFrame({name: responses[name] for name in (*_FILLED, "engine")})
    logged = told.select(pl.col(name).alias(f"log {name}") for name in (*_FILLED, "logged"))
    both = pl.concat([mine, logged], how="horizontal")
    fits = pl.col("log logged").is_not_null() & pl.col("engine").is_in(["vllm", "openai"])
    cut = pl.col("log temperature") > 0
    off = pl.any_horizontal(*(_differ(name) for name in _SAID), *(cut & _differ(name) for name in _CUTS)).fill_null(
        value=False
    )
    found = both.select(
        *(
            pl.when(fits).then(pl.coalesce(name, f"log {name}")).otherwise(pl.col(name)).alias(name)
            for name in _FILLED
            if name != "steered"
        ),
        pl.when(fits & off)
        .then(pl.lit(_DISAGREE))
        .when(fits)
        .then(pl.coalesce("steered", "log steered"))
        .otherwise("steered")
        .alias("steered"),
        pl.when(fits).then(pl.lit("vllm")).otherwise("engine").alias("engine"),
    )
    return responses.with_columns(found)


def _differ(name: str) -> pl.Expr:
    """Both say it, and not the same."""
    return (pl.col(name) - pl.col(f"log {name}")).abs() > 1e-6


def _table(sources: Sequence[Source]) -> pl.DataFrame:
    """Parameters by request; a request that is logged twice in two ways is left out."""
    found: dict[str, tuple[tuple[str, Any], ...] | None] = {}
    for src in sources:
        for _, line in lines(begun(src)):
            hit = _LINE.match(line)
            if hit is None or len(found) >= _REMEMBERED:
                continue
            name, told = hit[1].decode(), _parameters(hit[2].decode("utf-8", "replace"))
            found[name] = told if found.get(name, told) == told else None
    rows = [dict(told) | {"request_id": name, "logged": True} for name, told in found.items() if told is not None]
    rows += [row | {"request_id": name} for row in rows if (name := _whole(row["request_id"])) and name not in found]
    schema = {name: RESPONSE[name].dtype for name in _FILLED} | {"request_id": pl.String(), "logged": pl.Boolean()}
    return pl.DataFrame(rows, schema=schema)


def _whole(name: str) -> str | None:
    """The answer's own name for the first of a completion's prompts."""
    return name.removesuffix("-0") if name.startswith("cmpl-") and name.endswith("-0") else None


@lru_cache(maxsize=4096)
def _parameters(text: str) -> tuple[tuple[str, Any], ...] | None:
    """Columns of RESPONSE from what vLLM prints of its SamplingParams, which is Python; nothing of it is run."""
    try:
        call = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    keywords = call.keywords if isinstance(call, ast.Call) else ()
    given = {one.arg: _value(one.value) for one in keywords if one.arg}
    if not {"temperature", "top_p", "top_k"} <= given.keys():
        return None
    asked: Mapping[str, Any] = parameters(given, "vllm")
    return tuple((name, asked[name]) for name in _FILLED)


def _value(node: ast.expr) -> Any:
    """A constant; an object's own print stands for something that is switched on."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return "an object"
