"""What others put around an engine's line: colours, docker's and journald's JSON. Taken off before a dialect hears it."""

import re
from datetime import UTC, datetime
from typing import Any

import orjson
import polars as pl

ANSI = r"\x1b?\[[0-9;]+m"

#: key of the engine's own line, keys of the time that the wrapper saw it
_WRAPPED = (("log", ("time", "@timestamp", "timestamp")), ("MESSAGE", ("__REALTIME_TIMESTAMP",)))
_HEAD = r'^\s*\{.*"(?:log|MESSAGE)"\s*:'


def bare(found: pl.DataFrame) -> pl.DataFrame:
    """(line, text) with wrappers off; the wrapper's time stands in front of the line where it has one."""
    coloured = found["text"].str.contains(ANSI).any()
    text = found.with_columns(pl.col("text").str.replace_all(ANSI, "")) if coloured else found
    wrapped = text["text"].str.contains(_HEAD)
    if not wrapped.any():
        return text
    lines = [_inner(t) if w else t for t, w in zip(text["text"], wrapped, strict=True)]
    return text.with_columns(text=pl.Series(lines, dtype=pl.String))


def _inner(text: str) -> str:
    try:
        record = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    if not isinstance(record, dict):
        return text
    for key, times in _WRAPPED:
        if isinstance(line := record.get(key), str):
            at = next((record[t] for t in times if t in record), None)
            return f"{_stamp(at)}{re.sub(ANSI, '', line)}".rstrip("\r\n ").replace("\n", " ")
    return text


def _stamp(at: Any) -> str:
    """docker writes RFC 3339, journald microseconds since 1970 as a string of digits."""
    if isinstance(at, str) and re.fullmatch(r"\d{15,17}", at):
        return f"{datetime.fromtimestamp(int(at) / 1e6, UTC):%Y-%m-%dT%H:%M:%S.%fZ} "
    return f"{at} " if isinstance(at, str) and len(at) < 48 else ""
