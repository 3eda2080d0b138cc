"""vLLM text and JSON logs, V0 0.4 to V1 0.33: SpecDecoding, Speculative metrics, stage times, Engine, Iteration, start-up.

The same words changed their meaning: "Mean acceptance length" excludes the bonus in 0.8.5 and counts it from 0.9.0
(told by the sum of the per-position rates); V0's "accepted" goes on counting behind the first rejection and its numbers
are of the whole life of the server, so accepted tokens are taken from emitted ones there.
"""

import re
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import polars as pl

from sdtrace.readers.logs import announcements, vllm_lines
from sdtrace.readers.logs.clock import DAY, iso, newest_time, stamped
from sdtrace.readers.logs.dialect import Dialect, Envelope, Heard
from sdtrace.readers.logs.place import place_of
from sdtrace.readers.logs.vllm_events import NEEDLES, announced, configured_length, corrupted
from sdtrace.readers.logs.vllm_lines import STAMPED
from sdtrace.schema.counters import Row, windows
from sdtrace.schema.trace import Loss

PREFIX = (
    r"(?:\((?P<proc>[\w ]+?)(?: rank=\d+)? pid=(?P<pid>\d+)[^)]*\) )?(?:[A-Z]+) "
    r"(?P<ts>\d\d-\d\d \d\d:\d\d:\d\d) \[?(?P<file>[\w./]+):(?P<at_line>\d+)\]"
)
_PARTS = ("proc", "pid", "ts", "file", "at_line")
_V1, _V0, _ENGINE = "SpecDecoding metrics:", "Speculative metrics:", "Avg prompt throughput:"
_V0_TAIL = r"Draft acceptance rate: \d\.\d{3}, System efficiency: \d\.\d{3}, Number of speculative tokens: \d+"
_MAKERS = {
    "v1": vllm_lines.v1,
    "v0": vllm_lines.v0,
    "stage": vllm_lines.stage,
    "engine": vllm_lines.engine,
    "iteration": vllm_lines.iteration,
}
#: a field of a record on a line of its own
_FIELD = (
    r"^\s*(?:Mean acceptance length|Accepted throughput|Drafted throughput|Accepted|Drafted|Per-position acceptance rate"
    r"|Avg Draft acceptance rate): ?\d"
)


def listen(path: str) -> Any:
    """A listener; the engine id of an Engine line holds for the SpecDecoding lines of its process behind it."""
    newest = newest_time(path)
    engines: dict[str, str] = {}
    seen: set[str] = set()
    longest: int | None = None

    def hear(rows: pl.DataFrame) -> Heard:
        nonlocal longest
        heard = Heard()
        whole_records, more = _joined(rows)
        lines = _named(_split(whole_records), engines)
        heard.events = announced(
            path, lines.filter((pl.col("kind") == "other") & pl.col("ts").is_not_null()), seen, newest
        )
        heard.events += corrupted(path, lines.filter(kind="engine"), seen, newest)
        heard.used |= {e.line for e in heard.events if e.line is not None}
        longest = max((k for k in (longest, configured_length(heard.events)) if k), default=None)
        for kind, made in _MAKERS.items():
            mine = lines.filter(pl.col("kind") == kind)
            if mine.is_empty():
                continue
            frame = made(mine)
            if kind == "v1" and longest is not None:
                frame = frame.with_columns(k=pl.lit(longest, dtype=pl.Int64))
            whole = frame.filter("whole")
            broken = frame.filter(~pl.col("whole"))
            heard.used |= set(whole["line"].to_list())
            heard.frames.append(_finished(path, whole, newest))
            advice = "the record was cut: a writer stopped, or a copy lost its end"
            heard.losses += [Loss(path, n, f"incomplete {kind} record", 1, advice) for n in broken["line"].to_list()]
        heard.used |= {number for number, record in more.items() if record in heard.used}
        return heard

    return hear


def _joined(table: pl.DataFrame) -> tuple[pl.DataFrame, dict[int, int]]:
    """Records with the fields that were put on lines of their own behind them; and the line of the record for each of those."""
    own = table["text"].str.contains(_FIELD)
    if not own.any():
        return table, {}
    own_head = re.compile(r"\s*Mean acceptance length: ?\d+\.\d\d")
    rows: list[Row] = []
    more: dict[int, int] = {}
    for (number, text), field in zip(table.iter_rows(), own, strict=True):
        before = rows[-1] if rows else None
        if own_head.match(text) and (before is None or before["last"] != number - 1 or _V1 not in before["text"]):
            rows.append({"line": number, "text": f"{_V1} {text.strip()}", "last": number})
        elif field and before is not None and before["last"] == number - 1 and _V1 in before["text"]:
            before |= {"text": f"{before['text'].rstrip(', ')}, {text.strip()}", "last": number}
            more[number] = before["line"]
        else:
            rows.append({"line": number, "text": text, "last": number})
    return pl.DataFrame(rows, schema={"line": pl.Int64, "text": pl.String, "last": pl.Int64}).drop("last"), more


def _split(table: pl.DataFrame) -> pl.DataFrame:
    """One record a row: two records can share a line, and a record can have lost its head."""
    head = r"(SpecDecoding metrics:|Speculative metrics:|SpecDecodeWorker stage times:|Avg prompt throughput:|Iteration\(\d+\):)"
    many = table.filter(pl.col("text").str.count_matches(head) > 1)
    if many.height:
        rows = []
        for number, text in many.iter_rows():
            starts = [m.start() for m in re.finditer(head, text)]
            begins = [0, *(_begin(text, a, b) for a, b in pairwise(starts))]
            rows += [{"line": number, "text": text[a:b]} for a, b in zip(begins, [*begins[1:], len(text)], strict=True)]
        table = pl.concat([table.filter(pl.col("text").str.count_matches(head) <= 1), pl.DataFrame(rows)])
        table = table.sort("line", maintain_order=True)
    text = pl.col("text")
    return table.with_columns(
        kind=pl.when(text.str.contains(_V1, literal=True) & ~text.str.contains(r"acceptance rate: \d+\.\d\d%"))
        .then(pl.lit("v1"))
        .when(text.str.contains(_V1, literal=True))
        .then(pl.lit("foreign"))
        .when(text.str.contains(_V0, literal=True) | text.str.contains(_V0_TAIL))
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


def _named(lines: pl.DataFrame, engines: dict[str, str]) -> pl.DataFrame:
    """The process that wrote each line, its stamp, and the engine: of a line without one, that of the Engine line before."""
    parts = _prefixes(lines["text"])
    who = (
        lines.select(place_of(pl.col("text"))).to_series()
        + " "
        + parts["proc"].fill_null("")
        + ":"
        + parts["pid"].fill_null("")
    )
    text = lines["text"]
    own = text.str.extract(r"(Engine \d+):")
    if text.str.contains(" Engines Aggregated:", literal=True).any():
        own = own.fill_null(text.str.extract(r"(\d+ Engines Aggregated):"))
    lines = lines.with_columns(ts=parts["ts"], who=who, own=own, source=parts["file"])
    lines = lines.with_columns(source=pl.col("source") + ":" + parts["at_line"])
    announced = pl.when(pl.col("kind") == "engine").then("own").forward_fill().over("who")
    before = pl.col("who").replace_strict(engines, default=None, return_dtype=pl.String)
    lines = lines.with_columns(engine_id=pl.coalesce("own", announced, before, pl.lit("")))
    heads = lines.filter((pl.col("kind") == "engine") & pl.col("own").is_not_null()).unique("who", keep="last")
    engines |= dict(heads.select("who", "own").iter_rows())
    return lines.with_columns(series=(pl.col("who") + " " + pl.col("engine_id")).str.strip_chars(": "))


def _prefixes(text: pl.Series) -> dict[str, pl.Series]:
    """proc, pid, ts, file, at_line of each line, null where it has no prefix."""
    usual = text.str.extract_groups(STAMPED).struct.unnest()
    odd = usual["ts"].is_null()
    told = {name: usual[name] for name in _PARTS}
    if odd.any():
        full = text.filter(odd).str.extract_groups(PREFIX).struct
        told = {name: part.scatter(odd.arg_true(), full.field(name)) for name, part in told.items()}
    return told


def _finished(path: str, frame: pl.DataFrame, newest: float) -> pl.DataFrame:
    """Windows with the time of each record."""
    stamps = (
        [stamped(text, ts, newest) for text, ts in frame.select("text", "ts").rows()] if frame.height < 2000 else None
    )
    at = pl.Series(stamps, dtype=pl.Float64) if stamps is not None else _fast(frame, newest)
    frame = frame.with_columns(at=at, engine=pl.lit("vllm"))
    if "nan" in frame.columns and frame["nan"].any():
        frame = frame.with_columns(said=pl.when("nan").then(pl.lit('{"nan": true}')).otherwise(pl.col("said")))
    return windows(path, frame)


def _fast(frame: pl.DataFrame, newest: float) -> pl.Series:
    """The same for many records at once: an ISO stamp in front, else the engine's own without a year."""
    year = datetime.fromtimestamp(newest, UTC).year
    stamp = (
        pl.col("text")
        .str.head(100)
        .str.extract(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)")
    )
    this, last = (
        (f"{y}-" + frame["ts"]).str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False).dt.epoch("ms") / 1000
        for y in (year, year - 1)
    )
    own = pl.select(pl.when(this <= newest + DAY).then(this).otherwise(last)).to_series()
    full = frame.select(stamp).to_series()
    if full.null_count() == len(full):
        return own
    return pl.Series([iso(f) if f else o for f, o in zip(full, own, strict=True)], dtype=pl.Float64)


DIALECT = Dialect(
    name="vllm-log",
    engine="vllm",
    says="vLLM text or JSON logs",
    looks_for="`SpecDecoding metrics:`, `Speculative metrics:` or a process prefix of vLLM",
    needles=(
        b"SpecDecoding",
        b"Speculative metrics",
        b"System efficiency",
        b"stage times",
        b"Avg prompt throughput",
        b"Iteration(",
        *NEEDLES,
    ),
    asides=(
        *announcements.needles("vllm"),
        b"Mean acceptance length",
        b"Per-position acceptance",
        b"Avg Draft acceptance",
        b"Accepted throughput",
        b"Drafted throughput",
        b"Accepted: ",
        b"Drafted: ",
    ),
    main=(b"SpecDecoding", b"Speculative metrics"),
    before=(b"Avg prompt throughput", b"stage times"),
    alarms=(b"WARNING ", b"ERROR "),
    envelope=Envelope(
        stamp=r"(?:\([A-Za-z0-9_ ]+?(?: rank=[0-9]+)? pid=[0-9]+[^)]{0,60}\) )?[A-Z]{4,8} "
        r"[0-9]{2}-[0-9]{2} [0-9:]{8} \[?[A-Za-z0-9_./]+:[0-9]+\] ",
        begins=r"\s*(?:(?:Engine [0-9]+|[0-9]+ Engines Aggregated): )?(?:SpecDecoding metrics:|Speculative metrics:|SpecDecodeWorker"
        r" stage times|Avg prompt throughput:|Iteration\(|Draft acceptance rate: )",
        speaks=r"SpecDecoding metrics:|Speculative metrics:|stage times:|Avg prompt throughput:|Iteration\([0-9]+\):"
        r"|acceptance rate: [0-9]",
        goes_on=re.compile(r"\]$"),
        who=r"\(([A-Za-z0-9_ ]+?(?: rank=[0-9]+)? pid=[0-9]+)",
        where=r"\[?([A-Za-z0-9_./]+:[0-9]+)\] ",
        clock=r"[A-Z] ([0-9]{2}-[0-9]{2} [0-9:]{8}) ",
        usual=STAMPED,
        follows=(("SpecDecoding metrics:", "Avg prompt throughput:"),),
        fixed=True,
    ),
    mark=re.compile(
        r"SpecDecoding metrics: (?!Draft acceptance rate: \d+\.\d\d%)|Speculative metrics: "
        r"|(?m:^)\s*Mean acceptance length: ?\d+\.\d\d[,\s]"
        r"|System efficiency: \d|SpecDecodeWorker stage times"
        r"|\[?(?:v1/metrics/)?(?:metrics|loggers|core|llm_engine|async_llm|api_server)\.py:\d+\]"
        r'|"vllm_process_name"|pid=\d+\) (?:INFO|WARNING|ERROR|DEBUG) \d\d-\d\d|vLLM API server version'
    ),
    listen=listen,
)
