"""A row of a response as a type says what the table of responses declares."""

from types import NoneType
from typing import get_args, get_origin, get_type_hints

import polars as pl
import pytest

from sdtrace.schema.responses import RESPONSE, Lists, Parameters, Response, from_rows, responses

#: The type of a value, by the type of its column.
_OF: dict[object, object] = {
    pl.Int64(): int,
    pl.Float64(): float,
    pl.String(): str,
    pl.Boolean(): bool,
    pl.List(pl.Int64()): list[int],
    pl.List(pl.Float64()): list[float],
    pl.List(pl.List(pl.Int64())): list[list[int]],
    pl.List(pl.List(pl.Float64())): list[list[float]],
}
_HINTS = get_type_hints(Response)


def test_the_type_names_the_columns() -> None:
    assert _HINTS.keys() == RESPONSE.keys() | {"path"}
    assert get_type_hints(Lists).keys() | get_type_hints(Parameters).keys() < _HINTS.keys()


@pytest.mark.parametrize("name", RESPONSE)
def test_a_column_has_the_type_of_its_values(name: str) -> None:
    hint = _HINTS[name]
    whole = [one for one in get_args(hint) if one is not NoneType] if get_origin(hint) is not list else [hint]
    told = (whole or [hint])[0]
    told = list[float] if told == list[float | None] else told
    assert told == _OF[RESPONSE[name].dtype]


def test_rows_come_as_they_stand() -> None:
    table = from_rows("a.jsonl", [{"engine": "vllm", "token_ids": [1], "logprobs": [None], "temperature": 0.5}])
    (row,) = responses(table)
    assert (row["path"], row["token_ids"], row["logprobs"], row["temperature"]) == ("a.jsonl", [1], [None], 0.5)
    assert row["top_p"] is None
