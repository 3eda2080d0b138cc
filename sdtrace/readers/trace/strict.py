"""JSON Lines one by one: slow, and exact about every line that cannot be a record.

The fast reader sends the lines here that it does not understand completely.
"""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
import polars as pl
import pyarrow as pa

from sdtrace.readers.json_value import too_deep, whole
from sdtrace.schema.trace import OBJECTS, TABLES, Loss, Notice, conform, empty, schema


class _Refused(Exception):
    """Why a line is no record."""


@dataclass
class Parsed:
    """Rows by table, with what was refused; `unknown` counts keys that no table has."""

    path: str
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {name: [] for name in TABLES})
    losses: list[Loss] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    unknown: dict[str, int] = field(default_factory=dict)

    def frame(self, table: str) -> pl.DataFrame:
        """The rows of one table, typed."""
        rows = self.rows[table]
        if not rows:
            return empty(table)
        wanted = dict(schema(table))
        if table == "step":
            wanted["line"] = pl.Int64()
        frame = pl.DataFrame([_series(name, [row.get(name) for row in rows], dtype) for name, dtype in wanted.items()])
        return frame if table == "step" else conform(frame, table)


def _series(name: str, values: list[Any], dtype: pl.DataType) -> pl.Series:
    """Typed values as a column. Lists come by Arrow: polars would make a column of each first."""
    if not isinstance(dtype, pl.List):
        return pl.Series(name, values, dtype=dtype)
    made = pl.Series(name, pa.array(values, _arrow(dtype)))
    assert made.dtype == dtype
    return made


def _arrow(dtype: pl.DataType) -> pa.DataType:
    if isinstance(dtype, pl.List):
        return pa.large_list(_arrow(cast(pl.DataType, dtype.inner)))
    return {pl.String: pa.large_string(), pl.Int64: pa.int64(), pl.Float64: pa.float64(), pl.Boolean: pa.bool_()}[
        type(dtype)
    ]


def parse(path: str, lines: Iterable[tuple[int, bytes]], last_is_cut: bool = False) -> Parsed:
    """Read numbered lines. `last_is_cut`: the last of them had no newline, so it may have been cut off."""
    parsed = Parsed(path)
    number, text = 0, b""
    for number, text in lines:
        _line(parsed, number, text)
    if last_is_cut and parsed.losses and parsed.losses[-1].line == number and text.strip():
        advice = "the writer was stopped in the middle of a line, or still writes"
        parsed.losses[-1] = Loss(path, number, "truncated last line", 1, advice)
    return parsed


def _line(parsed: Parsed, number: int, text: bytes) -> None:
    if not text.strip():
        parsed.losses.append(Loss(parsed.path, number, "blank line", 1, "harmless"))
        return
    try:
        record = _json(parsed, number, text)
        table = record.get("kind")
        if not isinstance(table, str) or table not in TABLES:
            raise _Refused(f"kind is {_short(table)}, expected run, request or step")
        row = {
            name: _typed(name, record[name], column.dtype) for name, column in TABLES[table].items() if name in record
        }
        for key in record.keys() - TABLES[table].keys() - {"kind", "format"}:
            parsed.unknown[key] = parsed.unknown.get(key, 0) + 1
    except _Refused as why:
        parsed.losses.append(Loss(parsed.path, number, str(why), 1, "mend the writer, or remove the line"))
        return
    row["line"] = number
    if row.get("run_id") is None:
        row["run_id"] = ""
    parsed.rows[table].append(row)


def _json(parsed: Parsed, number: int, text: bytes) -> dict[str, Any]:
    try:
        record = orjson.loads(text)
    except orjson.JSONDecodeError:
        record = _lenient(parsed, number, text)
    if not isinstance(record, dict):
        raise _Refused(f"expected a JSON object, got {_short(record)}")
    return record


def _lenient(parsed: Parsed, number: int, text: bytes) -> Any:
    """Bare NaN and Infinity are legal; a lone surrogate is no text, and is replaced."""
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _Refused(f"invalid UTF-8 at byte {error.start}") from None
    try:
        record = json.loads(decoded, parse_int=whole)
    except RecursionError:
        raise _Refused("nested too deeply") from None
    except ValueError as error:
        raise _Refused(f"not JSON: {str(error)[:120]}") from None
    if too_deep(record):
        raise _Refused("nested too deeply")
    clean, changed = _scalar_text(record)
    if changed:
        advice = "the string is no Unicode text; it was kept with U+FFFD in place of the lone surrogate"
        parsed.notices.append(Notice(parsed.path, number, "lone surrogate replaced", 1, advice))
    return clean


def _scalar_text(value: Any) -> tuple[Any, bool]:
    if isinstance(value, str):
        clean = value.encode("utf-8", "replace").decode("utf-8") if not value.isascii() and _lone(value) else value
        return clean, clean is not value
    if isinstance(value, dict):
        pairs = [(_scalar_text(k), _scalar_text(v)) for k, v in value.items()]
        return {k[0]: v[0] for k, v in pairs}, any(k[1] or v[1] for k, v in pairs)
    if isinstance(value, list) and any(isinstance(v, str | list | dict) for v in value):
        items = [_scalar_text(v) for v in value]
        return [v for v, _ in items], any(changed for _, changed in items)
    return value, False


def _lone(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text)


def _typed(name: str, value: Any, dtype: pl.DataType) -> Any:
    if value is None:
        return None
    if name in OBJECTS:
        if not isinstance(value, dict):
            raise _Refused(f"{name}: expected an object, got {_short(value)}")
        if too_deep(value):
            raise _Refused(f"{name}: nested too deeply")
        return json.dumps(value, ensure_ascii=False)
    try:
        return _converter(dtype)(value)
    except _Refused as why:
        raise _Refused(f"{name}: {why}") from None


def _converter(dtype: pl.DataType) -> Callable[[Any], Any]:
    if isinstance(dtype, pl.List):
        inner = _converter(cast(pl.DataType, dtype.inner))  # an instance wherever a table declares it
        return lambda value: _list(value, inner)
    return _CONVERTERS[type(dtype)]


def _list(value: Any, inner: Callable[[Any], Any]) -> list[Any]:
    if not isinstance(value, list):
        raise _Refused(f"expected a list, got {_short(value)}")
    return [None if item is None else inner(item) for item in value]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Refused(f"expected a string, got {_short(value)}")
    return str(value)


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Refused(f"expected an integer, got {_short(value)}")
    if isinstance(value, float) and (not math.isfinite(value) or value != int(value)):
        raise _Refused(f"expected an integer, got {value!r}")
    if not -(2**63) <= int(value) < 2**63:
        raise _Refused("integer beyond 64 bits")
    return int(value)


_NONFINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _number(value: Any) -> float:
    if isinstance(value, str) and value in _NONFINITE:
        return _NONFINITE[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Refused(f"expected a number, got {_short(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise _Refused(f"expected true or false, got {_short(value)}")


_CONVERTERS: dict[type[pl.DataType], Callable[[Any], Any]] = {
    pl.String: _text,
    pl.Int64: _integer,
    pl.Float64: _number,
    pl.Boolean: _flag,
}


def _short(value: Any) -> str:
    """What stands there instead, without showing its content: logs hold prompts."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), type(value).__name__ if not isinstance(value, int | float) else f"{value!r}"[:40])
