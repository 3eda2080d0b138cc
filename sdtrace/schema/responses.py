"""Stock responses with logprobs: one row a response, lists by emitted token; no drafts in it.

What an engine hands out beside its text: the log probability of each emitted token and of the top k at its position. A
token is its id; where only its text is known, a number below 0 that stands for the text (`of_text`), so that no text
travels.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from hashlib import blake2b
from typing import Any, TypedDict, cast

import polars as pl

from sdtrace.schema.trace import FLOAT, FLOAT_ROWS, FLOATS, INT, INT_ROWS, INTS, STR, Column

RESPONSE: dict[str, Column] = {
    "line": Column(INT, "", "where the record stood"),
    "request_id": Column(STR, "", ""),
    "choice": Column(INT, "", "one of several answers to a request, from 0"),
    "engine": Column(STR, "", "vllm, sglang, llama.cpp; openai = a server of that interface"),
    "version": Column(STR, "", "as the response tells it"),
    "model": Column(STR, "", "as the response names it"),
    "token_ids": Column(INTS, "", "emitted tokens: ids, or numbers below 0 that stand for a text"),
    "logprobs": Column(FLOATS, "nats", "of the emitted tokens; -inf for a masked one"),
    "top_ids": Column(INT_ROWS, "", "tokens listed at each position, as they are listed"),
    "top_logprobs": Column(FLOAT_ROWS, "nats", ""),
    "asked_k": Column(INT, "tokens", "how many top tokens were asked for"),
    "listing": Column(STR, "", "top: the k best, whatever was emitted; beside: the emitted one too; among: k, the emitted one always"),
    "prompt_token_ids": Column(INTS, "", ""),
    "basis": Column(STR, "", "what the logprobs are of: raw, scaled (by the temperature only), processed; null = unknown"),
    "temperature_last": Column(pl.Boolean(), "", "top-k, top-p and min-p cut before the temperature; null = unknown"),
    "temperature": Column(FLOAT, "", "0 = greedy; null = not said"),
    "top_p": Column(FLOAT, "", "1 = none; null = not said: the server may have a default"),
    "top_k": Column(INT, "", "0 = none; null = not said"),
    "min_p": Column(FLOAT, "", "0 = none; null = not said"),
    "repetition_penalty": Column(FLOAT, "", "1 = none; null = not said"),
    "presence_penalty": Column(FLOAT, "", ""),
    "frequency_penalty": Column(FLOAT, "", ""),
    "seed": Column(INT, "", ""),
    "drafter": Column(STR, "", "what drafts, where the engine echoes it (llama.cpp: none, ngram-mod, draft-simple); null = not said"),
    "finish_reason": Column(STR, "", "as the response has it"),
    "completion_tokens": Column(INT, "tokens", "as the response counts them"),
    "stops": Column(INT, "tokens", "tokens that a stop may have cut from the record, where nothing counts them"),
    "tokenised": Column(pl.Boolean(), "", "ids are an engine's tokenisation of the text, as many as were counted; null = the record's own"),
    "steered": Column(STR, "", "why tokens are not drawn from the model alone: grammar, logit_bias, ...; null = nothing asked"),
}  # fmt: skip


class Lists(TypedDict):
    """What a row of RESPONSE lists by emitted token, and of what; types, units and meanings stand there, None is null."""

    token_ids: list[int]
    logprobs: list[float | None]
    top_ids: list[list[int]]
    top_logprobs: list[list[float]]
    asked_k: int | None
    listing: str | None
    basis: str | None


class ScoredLists(Lists, total=False):
    """The same as an engine scores ids that were emitted; `unlisted`: places whose token is in no list (llama.cpp)."""

    unlisted: list[int]


class Parameters(TypedDict):
    """What its request asked for."""

    temperature: float | None
    temperature_last: bool | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    repetition_penalty: float | None
    presence_penalty: float | None
    frequency_penalty: float | None
    steered: str | None


class Response(Lists, Parameters):
    """A row of RESPONSE, as `responses` gives it; `path`: its file."""

    path: str
    line: int | None
    request_id: str | None
    choice: int | None
    engine: str
    version: str | None
    model: str | None
    prompt_token_ids: list[int] | None
    seed: int | None
    drafter: str | None
    finish_reason: str | None
    completion_tokens: int | None
    stops: int | None
    tokenised: bool | None


def responses(table: pl.DataFrame) -> Iterator[Response]:
    """The rows of a frame of RESPONSE."""
    return cast("Iterator[Response]", table.iter_rows(named=True))


@cache
def no_responses() -> pl.DataFrame:
    """The table without rows."""
    return pl.DataFrame(schema={name: column.dtype for name, column in RESPONSE.items()} | {"path": pl.String()})


def from_rows(path: str, rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """The table from dicts; what a row does not have is null."""
    kept = list(rows)
    if not kept:
        return no_responses()
    columns = {
        name: pl.Series(name, [row.get(name) for row in kept], dtype=column.dtype, strict=False)
        for name, column in RESPONSE.items()
    }
    return pl.DataFrame(columns).with_columns(path=pl.lit(path))


def of_text(text: str) -> int:
    """The number that stands for a token known by its text only: below 0, the same in every file."""
    return -1 - (int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) >> 2)
