"""One format, one file. Opening an input asks every reader; exactly one may say yes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from sdtrace.errors import NoInputError, UsageError
from sdtrace.readers import (
    advice,
    ik_bench,
    jsonl,
    logs,
    paper,
    parquet,
    prometheus,
    prometheus_server,
    records,
    specspecs,
    sse,
)
from sdtrace.readers.source import Source, expand, source
from sdtrace.trace import Batch, Event, Loss, empty
from sdtrace.windows import no_windows

#: Every reader asks these of the head; they are answered once a file.
_no_trace = lru_cache(4)(jsonl.sniff)
_shape = lru_cache(4)(records.shape_of)

Read = Callable[[Source], Iterator[Batch]]


@dataclass(frozen=True)
class Reader:
    """A format: `refuse` tells why an input is not of it (None = it is), `batches` reads it."""

    name: str
    says: str
    refuse: Callable[[Source], str | None]
    batches: Read


def _text(sniff: Callable[[bytes], str | None]) -> Callable[[Source], str | None]:
    def refuse(src: Source) -> str | None:
        if src.is_folder:
            return "a folder"
        return "Parquet, not text" if src.head.startswith(b"PAR1") else sniff(src.head)

    return refuse


def _columnar(sniff: Callable[[Path], str | None], folders: bool) -> Callable[[Source], str | None]:
    def refuse(src: Source) -> str | None:
        if src.is_folder:
            return None if folders else "a folder of tables"
        if src.packing or not src.head.startswith(b"PAR1") or src.file is None:
            return "does not begin with PAR1"
        return sniff(src.file)

    return refuse


def _heard(name: str) -> Callable[[Source], str | None]:
    """A log is its dialect's where no other dialect is heard in it, and where it is no other format."""

    def refuse(src: Source) -> str | None:
        if why := _no_log(src):
            return why
        spoken = logs.spoken(src)
        if name == "mixed-log":
            return None if len(spoken) > 1 else "not lines of two engines"
        if name not in spoken:
            return "no line of its kind in samples of the file"
        return None if spoken == [name] else f"lines of {' and '.join(spoken)}: mixed-log reads it"

    return refuse


def _no_log(src: Source) -> str | None:
    if src.is_folder:
        return "a folder"
    if src.head.startswith(b"PAR1"):
        return "Parquet, not text"
    if _no_trace(src.head) is None:
        return "lines of trace format 1"
    if (shape := _record(src)) is not None:
        return f"records of {shape}"
    return "a Prometheus exposition" if prometheus.sniff(src.head) is None else None


def _record(src: Source) -> str | None:
    """The shape of a file of JSON records; a log in JSON Lines is none."""
    if src.is_folder or src.head.startswith(b"PAR1") or _no_trace(src.head) is None:
        return None
    return _shape(src)


def _shaped(name: str) -> Callable[[Source], str | None]:
    def refuse(src: Source) -> str | None:
        shape = _record(src)
        return None if shape == name else f"records of {shape}" if shape else "no JSON object of its kind at the head"

    return refuse


def _mixed(src: Source) -> Iterator[Batch]:
    return logs.read(logs.spoken(src), src)


READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        *(Reader(n, s.says, _shaped(n), records.READ[n]) for n, s in records.SHAPES.items()),
        Reader(
            "event-stream",
            "server-sent events of a streamed response (llama.cpp, SGLang, vLLM)",
            _text(sse.sniff),
            sse.batches,
        ),
        Reader("ik-llama-bench", "table of ik_llama.cpp's llama-spec-bench", _text(ik_bench.sniff), ik_bench.batches),
        Reader("prometheus", "Prometheus text exposition of an engine", _text(prometheus.sniff), prometheus.batches),
        *(Reader(n, d.says, _heard(n), logs.READ[n]) for n, d in logs.DIALECTS.items()),
        Reader("mixed-log", "a text log that several engines wrote into", _heard("mixed-log"), _mixed),
        Reader("trace-jsonl", "trace format 1, JSON Lines", _text(_no_trace), jsonl.batches),
        Reader("trace-parquet", "trace format 1, Parquet", _columnar(parquet.sniff, True), parquet.batches),
        Reader("paper-csv", "a case on paper (token,target,draft,r)", _text(paper.sniff), paper.batches),
        Reader("specspecs", "specspecs 0.1.0 Parquet", _columnar(specspecs.sniff, False), specspecs.batches),
    )
}


@dataclass(frozen=True)
class Opened:
    """An input with the reader that claims it; `batches()` reads it from its beginning, as often as wanted."""

    path: str
    format: str
    engine: str | None
    source: Source = field(repr=False)
    since: float | None = None
    until: float | None = None

    def batches(self) -> Iterator[Batch]:
        """Bounded batches, in the order of the input."""
        if self.format == "prometheus-server":
            return prometheus_server.batches(self.path, self.since, self.until)
        if self.format == "unrecognised":
            advice = "sdtrace detect --why tells what each reader missed; --format forces one"
            loss = Loss(self.path, None, "no reader knows this file", 1, advice)
            return iter([Batch(self.path, 1, empty("run"), empty("request"), empty("step"), [loss])])
        return READERS[self.format].batches(self.source)


def open_inputs(paths: Sequence[str], format: str | None = None) -> list[Opened]:
    """Every input with its reader. Files that no reader claims stay, as inputs that hold one Loss each.

    Raises NoInputError where nothing is there or nothing is recognised, UsageError for an unknown `format`.
    """
    if format is not None and format not in READERS:
        raise UsageError(f"--format {format}: no such reader", "known: " + ", ".join(READERS))
    opened = [_open(path, format) for path in expand(list(paths))]
    if not opened:
        raise NoInputError(f"{', '.join(paths)}: no file in there", "name a trace file, a folder of them, or -")
    if all(o.format == "unrecognised" for o in opened):
        whys = "; ".join(f"{name}: {why}" for name, why in refusals(opened[0].source).items() if why)
        more = f" (and {len(opened) - 1} more)" if len(opened) > 1 else ""
        raise NoInputError(
            f"{opened[0].path}{more}: no reader knows this ({whys[:400]})",
            "sdtrace detect --why tells what each reader missed; --format NAME forces one",
        )
    return opened


def refusals(src: Source) -> dict[str, str | None]:
    """For every reader why it refuses the input; None for the one that claims it."""
    if not src.is_folder and not src.head:
        damaged = f"the {src.packing} data is damaged before its first line ends"
        return dict.fromkeys(READERS, damaged if src.packing else "the file is empty")
    return {name: reader.refuse(src) for name, reader in READERS.items()}


def _open(path: str, format: str | None) -> Opened:
    if prometheus_server.is_server(path):
        return Opened(path, "prometheus-server", None, Source(path, None, None, b""))
    src = source(path)
    if format is not None:
        return Opened(path, format, None, src)
    claims = [name for name, why in refusals(src).items() if why is None]
    if len(claims) > 1:
        raise UsageError(f"{path}: claimed by {' and '.join(claims)}", "name the right one with --format")
    return Opened(path, claims[0] if claims else "unrecognised", None, src)


_JUDGED = (
    ("decisions, one by one", ("target_probs", "uniforms", "num_accepted"), "log p, q and r of every drafted token"),
    ("decisions at temperature 0", ("target_argmax_ids", "num_accepted"), "log the target's argmax at every position"),
    ("near-ties at temperature 0", ("target_top2_gap",), "log the gap between the two best logits"),
    ("recovered tokens", ("last_target_prob", "last_draft_prob"), "log p and q of the last appended token"),
    ("token accounting", ("output_token_ids",), "log the ids that each step appended"),
    ("a degenerate target", ("target_entropy",), "log the entropy of p"),
    ("times", ("step_ms",), "log step_ms, draft_ms and verify_ms"),
)


def detect(paths: Sequence[str], format: str | None = None, *, why: bool = False) -> list[dict[str, Any]]:
    """For every input: which reader, which engine, what can be judged and what to log to judge more.

    `why` adds what each other reader missed first.
    """
    found = []
    for path in expand(list(paths)):
        opened = _open(path, format)
        told: dict[str, Any] = {"path": path, "format": opened.format, **_first(opened)}
        if why:
            told["refused"] = {n: w for n, w in refusals(opened.source).items() if w is not None}
        found.append(told)
    return found


def _first(opened: Opened) -> dict[str, Any]:
    """What the first steps of an input hold, or all of its windows."""
    told: dict[str, Any] = {"engine": None, "version": None, "rule": None, "from": None, "to": None}
    steps, windows, events = empty("step"), no_windows(), []
    if opened.format == "unrecognised":
        return told | {"judged": [], "log": []}
    for batch in opened.batches():
        for run in batch.runs.head(1).iter_rows(named=True):
            told |= {"engine": run["engine"], "version": run["engine_version"], "rule": run["rule"]}
        events += batch.events
        if batch.windows is not None:
            windows = pl.concat([windows, batch.windows])
        if batch.steps.height:
            steps = batch.steps
            break
    if windows.height or events:
        return told | _counted(windows, events)
    told["from"], told["to"] = steps["at"].min(), steps["at"].max()
    holds = {name for name in steps.columns if steps[name].null_count() < steps.height}
    judged = [what for what, needs, _ in _JUDGED if holds.issuperset(needs)]
    return told | {"judged": judged, "log": [log for what, needs, log in _JUDGED if not holds.issuperset(needs)]}


def _counted(windows: pl.DataFrame, events: Sequence[Event]) -> dict[str, Any]:
    """Engine, version or release family, time range, and what the windows can tell."""
    engines = windows["engine"].drop_nulls().unique(maintain_order=True).to_list() or [e.engine for e in events]
    version = next((e.value for e in events if e.kind == "version"), None)
    families = windows["family"].drop_nulls().unique(maintain_order=True).to_list()
    return {
        "engine": " and ".join(dict.fromkeys(engines)) or None,
        "version": version or "; ".join(families[:4]) or None,
        "from": windows["at"].min(),
        "to": windows["at"].max(),
        "judged": advice.judged(windows),
        "log": advice.to_log(engines[0] if engines else None, windows),
    }
