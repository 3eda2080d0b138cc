"""vLLM text and JSON logs, V0 0.4 to V1 0.33: SpecDecoding, Speculative metrics, stage times, Engine, Iteration, start-up.

The same words changed their meaning: "Mean acceptance length" excludes the bonus in 0.8.5 and counts it from 0.9.0
(told by the sum of the per-position rates); V0's "accepted" goes on counting behind the first rejection and its numbers
are of the whole life of the server, so accepted tokens are taken from emitted ones there.
"""

import re
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import orjson
import polars as pl

from sdtrace.readers.logs import vllm_lines
from sdtrace.readers.logs.clock import iso, year_hint
from sdtrace.readers.logs.dialect import ANSI, Dialect, Heard
from sdtrace.readers.logs.vllm_events import announced
from sdtrace.trace import Loss
from sdtrace.windows import windows

PREFIX = (
    r"(?:\((?P<proc>[\w ]+?)(?: rank=\d+)? pid=(?P<pid>\d+)[^)]*\) )?(?:[A-Z]+) "
    r"(?P<ts>\d\d-\d\d \d\d:\d\d:\d\d) \[?(?P<file>[\w./]+):(?P<at_line>\d+)\]"
)
_V1, _V0, _ENGINE = "SpecDecoding metrics:", "Speculative metrics:", "Avg prompt throughput:"
_MAKERS = {
    "v1": vllm_lines.v1,
    "v0": vllm_lines.v0,
    "stage": vllm_lines.stage,
    "engine": vllm_lines.engine,
    "iteration": vllm_lines.iteration,
}
_JSON = re.compile(r'^[^{]*(\{.*"message".*\})\s*$')


def listen(path: str) -> Any:
    """A listener; the engine id of an Engine line holds for the SpecDecoding lines of its process behind it."""
    year = year_hint(path)
    engines: dict[str, str] = {}
    seen: set[str] = set()

    def hear(found: pl.DataFrame) -> Heard:
        heard = Heard()
        lines = _split(_unwrapped(found))
        for kind, made in _MAKERS.items():
            mine = lines.filter(pl.col("kind") == kind)
            if mine.is_empty():
                continue
            frame = made(mine)
            whole = frame.filter("whole")
            broken = frame.filter(~pl.col("whole"))
            heard.used |= set(whole["line"].to_list())
            heard.frames.append(_finished(path, whole, year, engines, kind))
            advice = "the record was cut: a writer stopped, or a copy lost its end"
            heard.losses += [Loss(path, n, f"incomplete {kind} record", 1, advice) for n in broken["line"].to_list()]
        heard.events = announced(path, lines.filter(pl.col("kind") == "other"), seen)
        heard.used |= {e.line for e in heard.events if e.line is not None}
        return heard

    return hear


def _unwrapped(found: pl.DataFrame) -> pl.DataFrame:
    """ANSI colours off; JSON records become the text line that they stand for."""
    text = found.with_columns(pl.col("text").str.replace_all(ANSI, ""))
    wrapped = text["text"].str.contains(r'^[^{]*\{.*"message"', literal=False)
    if not wrapped.any():
        return text
    plain = [_message(t) if w else t for t, w in zip(text["text"], wrapped, strict=True)]
    return text.with_columns(text=pl.Series(plain, dtype=pl.String))


def _message(text: str) -> str:
    found = _JSON.match(text)
    try:
        record = orjson.loads(found[1]) if found else None
    except orjson.JSONDecodeError:
        return text
    if not isinstance(record, dict) or not isinstance(record.get("message"), str):
        return text
    stamp = str(record.get("asctime") or record.get("timestamp") or "")
    short = f"{stamp[5:10]} {stamp[11:19]}" if len(stamp) >= 19 else ""
    process = str(record.get("vllm_process_name") or record.get("processName") or "").split(" ")[0]
    head = f"({process} pid={record.get('process', 0)}) " if process else ""
    message = record["message"].replace("\n", " ")
    return f"{stamp[:10]}T{stamp[11:19]} {head}{record.get('levelname', 'INFO')} {short} [log:0] {message}"


def _split(found: pl.DataFrame) -> pl.DataFrame:
    """One record a row: two records can share a line, and a record can have lost its head."""
    head = r"(SpecDecoding metrics:|Speculative metrics:|SpecDecodeWorker stage times:|Avg prompt throughput:|Iteration\(\d+\):)"
    many = found.filter(pl.col("text").str.count_matches(head) > 1)
    if many.height:
        rows = []
        for number, text in many.iter_rows():
            starts = [m.start() for m in re.finditer(head, text)]
            begins = [0, *(_begin(text, a, b) for a, b in pairwise(starts))]
            rows += [{"line": number, "text": text[a:b]} for a, b in zip(begins, [*begins[1:], len(text)], strict=True)]
        found = pl.concat([found.filter(pl.col("text").str.count_matches(head) <= 1), pl.DataFrame(rows)])
        found = found.sort("line", maintain_order=True)
    text = pl.col("text")
    return found.with_columns(
        kind=pl.when(text.str.contains(_V1, literal=True) & ~text.str.contains(r"acceptance rate: \d+\.\d\d%"))
        .then(pl.lit("v1"))
        .when(text.str.contains(_V1, literal=True))
        .then(pl.lit("foreign"))
        .when(text.str.contains(_V0, literal=True))
        .then(pl.lit("v0"))
        .when(text.str.contains("stage times:", literal=True))
        .then(pl.lit("stage"))
        .when(text.str.contains(_ENGINE, literal=True))
        .then(pl.lit("engine"))
        .when(text.str.contains(r"Iteration\(\d+\):"))
        .then(pl.lit("iteration"))
        .otherwise(pl.lit("other")),
        msg=text,
    )


def _begin(text: str, after: int, before: int) -> int:
    """Where the second record of a line begins: at its own prefix, or at its head."""
    prefixes = list(re.finditer(r"(?:\([\w ]+ pid=\d+\) )?(?:INFO|DEBUG|WARNING) \d\d-\d\d ", text[after:before]))
    return after + prefixes[-1].start() if prefixes else before


def _finished(path: str, frame: pl.DataFrame, year: int, engines: dict[str, str], kind: str) -> pl.DataFrame:
    """Time, process and engine of each record."""
    parts = frame["text"].str.extract_groups(PREFIX).struct
    frame = frame.with_columns(proc=parts.field("proc"), pid=parts.field("pid"), ts=parts.field("ts"))
    stamps = [_at(text, ts, year) for text, ts in frame.select("text", "ts").rows()] if frame.height < 2000 else None
    at = pl.Series(stamps, dtype=pl.Float64) if stamps is not None else _fast(frame["ts"], year)
    if "engine_id" not in frame.columns:
        frame = frame.with_columns(engine_id=pl.lit(None, dtype=pl.String))
    who = (frame["proc"].fill_null("") + ":" + frame["pid"].fill_null("")).to_list()
    names = frame["engine_id"].to_list()
    for i, (process, name) in enumerate(zip(who, names, strict=True)):
        if kind == "engine" and name:
            engines[process] = name
        names[i] = name or engines.get(process, "")
    series = [f"{a} {b}".strip(": ") for a, b in zip(who, names, strict=True)]
    frame = frame.with_columns(at=at, series=pl.Series(series, dtype=pl.String), engine=pl.lit("vllm"))
    if "nan" in frame.columns and frame["nan"].any():
        frame = frame.with_columns(said=pl.when("nan").then(pl.lit('{"nan": true}')).otherwise(pl.col("said")))
    return windows(path, frame)


def _fast(ts: pl.Series, year: int) -> pl.Series:
    full = (str(year) + "-" + ts).str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False)
    return full.dt.epoch("ms").cast(pl.Float64) / 1000


def _at(text: str, ts: str | None, year: int) -> float | None:
    if (stamp := iso(text)) is not None:
        return stamp
    try:
        return datetime.strptime(f"{year}-{ts}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp() if ts else None
    except ValueError:
        return None


DIALECT = Dialect(
    name="vllm-log",
    engine="vllm",
    says="vLLM text or JSON logs",
    needles=(
        b"SpecDecoding",
        b"Speculative metrics",
        b"stage times",
        b"Avg prompt throughput",
        b"Iteration(",
        b"peculative",
        b"ejection_sample",
        b"disabling stats logging",
        b"typical_acceptance",
        b"synthetic",
        b"Model Runner V2",
        b"Initializing a V",
    ),
    main=(b"SpecDecoding", b"Speculative metrics"),
    mark=re.compile(
        r"SpecDecoding metrics: (?!Draft acceptance rate: \d+\.\d\d%)|Speculative metrics: |SpecDecodeWorker stage times"
        r"|\[?(?:v1/metrics/)?(?:metrics|loggers|core|llm_engine|async_llm|api_server)\.py:\d+\]"
        r'|"vllm_process_name"|pid=\d+\) (?:INFO|WARNING|ERROR|DEBUG) \d\d-\d\d|vLLM API server version'
    ),
    listen=listen,
)
