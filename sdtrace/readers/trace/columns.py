"""Columns of a table that somebody else wrote, as the format types them; one that cannot be so is named."""

import json
from collections.abc import Mapping
from typing import Any, cast

import polars as pl

from sdtrace.readers.json_value import parsed, too_deep

#: Columns of Unix seconds, which a table may hold as timestamps.
TIMES = frozenset({"at", "arrived_at", "first_token_at", "finished_at", "started_at"})

_WORDS: dict[Any, str] = {
    pl.String: "text",
    pl.Int64: "an integer",
    pl.Float64: "a number",
    pl.Boolean: "true or false",
}


class Misfit(ValueError):
    """A column has another type than the format, or values that do not fit into it."""


def fitted(
    frame: pl.DataFrame, wanted: Mapping[str, pl.DataType], objects: frozenset[str] = frozenset()
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The wanted columns of a frame that it has, typed; `objects` become JSON text. Raises Misfit, which names the column.

    With them, by column, how many values were left out because they are no JSON objects.
    """
    made, left_out = [], {}
    for name, dtype in wanted.items():
        if name not in frame.columns:
            continue
        column = frame[name]
        if name in objects:
            made.append(_objects(column))
            left_out[name] = made[-1].null_count() - column.null_count()
        else:
            made.append(column if column.dtype == dtype else _cast(column, dtype))
    return pl.DataFrame(made), {name: n for name, n in left_out.items() if n}


def _cast(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    if column.name in TIMES and isinstance(column.dtype, pl.Datetime):
        return column.dt.replace_time_zone(None).dt.timestamp("us") / 1e6
    if not _fits(column.dtype, dtype):
        raise Misfit(f"column {column.name} is {_short(column.dtype)}, expected {_word(dtype)}")
    try:
        made = column.cast(dtype)
    except pl.exceptions.PolarsError:
        raise Misfit(f"column {column.name} is {_short(column.dtype)}, and not every value is {_word(dtype)}") from None
    inner, given = _inner(dtype), _inner(column.dtype)
    if inner == pl.Int64 and (given.is_float() or given.is_decimal()) and not _same(column, made):
        raise Misfit(f"column {column.name} holds fractions, expected {_word(dtype)}")
    if inner == pl.Boolean and given.is_integer() and not _same(column, made.cast(column.dtype)):
        raise Misfit(f"column {column.name} holds other numbers than 0 and 1, expected {_word(dtype)}")
    return made


def _same(column: pl.Series, made: pl.Series) -> bool:
    """Whether casting changed no value."""
    one, other = (_flat(s).cast(pl.Float64) for s in (column, made))
    return bool((one == other).all())


def _flat(column: pl.Series) -> pl.Series:
    while isinstance(column.dtype, pl.List | pl.Array):
        column = column.explode(empty_as_null=False, keep_nulls=False)
    return column


def _inner(dtype: pl.DataType) -> pl.DataType:
    while isinstance(dtype, pl.List | pl.Array):
        dtype = cast(pl.DataType, dtype.inner)
    return dtype


def _fits(given: pl.DataType, wanted: pl.DataType) -> bool:
    if isinstance(wanted, pl.List):
        inside = given.inner if isinstance(given, pl.List | pl.Array) else None
        return given == pl.Null or (
            inside is not None and _fits(cast(pl.DataType, inside), cast(pl.DataType, wanted.inner))
        )
    text = isinstance(given, pl.String | pl.Categorical | pl.Enum)
    if given == pl.Null or given.is_integer():
        return True
    if wanted == pl.String:
        return text or given == pl.Binary
    if wanted == pl.Boolean:
        return given == pl.Boolean
    return given.is_float() or given.is_decimal() or text


def _objects(column: pl.Series) -> pl.Series:
    """JSON text as it is where it is an object; a struct, or a map as Arrow lists it, becomes one."""
    given = column.dtype
    if given == pl.Null:
        return column.cast(pl.String)
    inner = given.inner if isinstance(given, pl.List) else None
    pairs = isinstance(inner, pl.Struct) and {f.name for f in inner.fields} == {"key", "value"}
    pairs |= type(given).__name__ == "Map"  # a type of its own in later versions of polars, before that a list of pairs
    values = column.to_list()
    if isinstance(given, pl.Struct) or pairs:
        texts = [None if v is None else _text(v) for v in values]
    elif isinstance(given, pl.String | pl.Categorical | pl.Enum | pl.Binary):
        read = {v: _object(v) for v in set(values) if v is not None}
        texts = [None if v is None else read[v] for v in values]
    else:
        raise Misfit(f"column {column.name} is {_short(given)}, expected a JSON object, a struct or a map")
    return pl.Series(column.name, texts, dtype=pl.String)


def _object(text: str | bytes) -> str | None:
    """The text of a JSON object, None where it is none."""
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    value = parsed(raw)
    return raw.decode("utf-8", "replace") if isinstance(value, dict) and not too_deep(value) else None


def _text(value: Any) -> str | None:
    if isinstance(value, list):
        value = {str(pair["key"]): pair["value"] for pair in value}
    kept = {k: v for k, v in value.items() if v is not None}
    return None if too_deep(kept) else json.dumps(kept, ensure_ascii=False, default=str)


def _word(dtype: pl.DataType) -> str:
    return f"a list of {_word(cast(pl.DataType, dtype.inner))}" if isinstance(dtype, pl.List) else _WORDS[type(dtype)]


def _short(dtype: pl.DataType) -> str:
    """A type in a few words: names of a struct's fields are a stranger's."""
    return "a struct" if isinstance(dtype, pl.Struct) else str(dtype)[:60]
