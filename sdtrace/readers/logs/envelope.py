"""What others put around an engine's line: colours, JSON of docker, journald and loggers. Taken off before a dialect hears it."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import polars as pl

#: Digits between the bracket and the m: `[metrics.py` begins no colour. A colour has a handful of numbers.
ANSI = r"\x1b?\[[0-9;]{1,24}m"

#: key of the engine's own line, keys of the time that the wrapper saw it
_WRAPPED = (("log", ("time", "@timestamp", "timestamp")), ("MESSAGE", ("__REALTIME_TIMESTAMP",)))
_KEYS = r'"(?:log|MESSAGE|message|msg)"'
#: A line of llama-server's JSON Lines; a syslog or a log store may have put something in front.
_OF_LLAMACPP = {"type", "time", "level", "msg"}
_LEVELS = {"debug": "D", "info": "I", "warn": "W", "warning": "W", "error": "E"}
_LEVEL_KEYS = ("levelname", "level", "severity", "lvl")
_TIMES = ("asctime", "timestamp", "@timestamp", "time", "ts", "date")
#: What the name of an engine's logger begins with.
_OWN_LOGGERS = ("vllm", "sglang", "lmdeploy", "root", "__main__")


def bare(rows: pl.DataFrame) -> pl.DataFrame:
    """(line, text) with wrappers off; the wrapper's time stands in front of the line where it has one."""
    coloured = rows["text"].str.contains("[", literal=True) & rows["text"].str.contains(ANSI)
    text = rows.with_columns(pl.col("text").str.replace_all(ANSI, "")) if coloured.any() else rows
    wrapped = text["text"].str.contains("{", literal=True) & text["text"].str.contains(_KEYS)
    if not wrapped.any():
        return text
    lines = [_inner(t) if w else t for t, w in zip(text["text"], wrapped, strict=True)]
    return text.with_columns(text=pl.Series(lines, dtype=pl.String))


def _inner(text: str, depth: int = 2) -> str:
    """The line inside a JSON record that a line is, or that stands behind a prefix without braces."""
    start = text.find("{")
    try:
        record = orjson.loads(text[start:])
    except orjson.JSONDecodeError:
        return text
    if not isinstance(record, dict):
        return text
    known = record.keys() == _OF_LLAMACPP or not text[:start].strip()
    if known and record.get("type") == "log" and isinstance(record.get("msg"), str):
        return f"{text[:start]}{_llamacpp(record, text[start:])}"
    if not text[:start].strip():
        for key, times in _WRAPPED:
            if isinstance(line := record.get(key), str):
                again = _inner(line, depth - 1) if line.startswith("{") and depth else line
                return _plain(_pod(record) + _stamp(record, times), line) if again is line else again
    return _logger(record, text)


def _plain(head: str, line: str) -> str:
    """The line behind its head, without colours, on one line."""
    return f"{head}{re.sub(ANSI, '', line)}".rstrip("\r\n ").replace("\n", " ")


def _pod(record: Mapping[str, Any]) -> str:
    """Whose line it is, where a shipper of a cluster says it, as kubectl names it in front."""
    found = record.get("kubernetes")
    around = found if isinstance(found, dict) else record
    pod = around.get("pod_name", around.get("pod"))
    name = pod.get("name") if isinstance(pod, dict) else pod
    return f"[pod/{name}] " if isinstance(name, str) and re.fullmatch(r"[a-z][\w./-]{0,200}", name) else ""


def _stamp(record: Mapping[str, Any], times: Sequence[str]) -> str:
    """docker writes RFC 3339, journald microseconds since 1970 as a string of digits."""
    at = next((record[t] for t in times if t in record), None)
    if isinstance(at, str) and re.fullmatch(r"[0-9]{15,16}", at):
        return f"{datetime.fromtimestamp(int(at) / 1e6, UTC):%Y-%m-%dT%H:%M:%S.%fZ} "
    return f"{at} " if isinstance(at, str) and len(at) < 48 else ""


def _llamacpp(record: Mapping[str, Any], text: str) -> str:
    """llama-server's JSON Lines in the form of its text log: the clock counts microseconds since the server began."""
    at = record.get("time")
    if not isinstance(at, int | float) or isinstance(at, bool) or not 0 <= at < 1e15:
        return text
    seconds, micros = divmod(int(at), 1_000_000)
    clock = f"{seconds // 60}.{seconds % 60:02}.{micros // 1000:03}.{micros % 1000:03}"
    level = _LEVELS.get(str(record.get("level")), "I")
    return f"{clock} {level} {record['msg']}".rstrip("\r\n ").replace("\n", " ")


def _logger(record: Mapping[str, Any], text: str) -> str:
    """A logger's JSON: the text line that a record of the engine stands for; of another logger its message, no more.

    A record with neither a level nor a time is no log line: it stays as it is, its strings in their quotes.
    """
    message, level = record.get("message"), next((record[n] for n in _LEVEL_KEYS if isinstance(record.get(n), str)), "")
    if not isinstance(message, str) or not (level or any(n in record for n in _TIMES)):
        return text
    if not level or not str(record.get("name") or record.get("logger") or "root").startswith(_OWN_LOGGERS):
        return _plain(_pod(record) + _stamp(record, _TIMES), message)
    stamp = str(record.get("asctime") or record.get("timestamp") or "")
    short = f"{stamp[5:10]} {stamp[11:19]}" if len(stamp) >= 19 else ""
    process = str(record.get("vllm_process_name") or record.get("processName") or "").split(" ")[0]
    head = f"({process} pid={record.get('process', 0)}) " if process else ""
    return _plain(f"{_pod(record)}{stamp[:10]}T{stamp[11:23]} {head}{level.upper()} {short} [log:0] ", message)
