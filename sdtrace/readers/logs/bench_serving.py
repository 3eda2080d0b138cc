"""The console of `vllm bench serve`, of sglang.bench_serving and of scripts for EAGLE: a table or a line a run, plain runs too."""

import re
from collections.abc import Iterator
from typing import Any

import polars as pl

from sdtrace.readers.logs.console import Block, Values, listener
from sdtrace.readers.logs.dialect import Dialect
from sdtrace.schema.counters import Row


def _named(label: str, number: str = r"\d[\d,]*(?:\.\d+)?") -> re.Pattern[str]:
    return re.compile(rf"(?:^|\s){label}:\s+({number})\s*$")


_FIELDS = {
    "backend": _named("Backend", r"[\w-]+"),
    "requests": _named("Successful requests"),
    "seconds": _named(r"Benchmark duration \(s\)"),
    "emitted": _named("Total generated tokens"),
    "speed": _named(r"Output token throughput \(tok/s\)"),
    "running": _named("Concurrency"),
    "tpot": _named(r"Mean TPOT \(ms\)"),
    "rate": _named(r"Acceptance rate \(%\)"),
    "length": _named("Acceptance length"),
    "drafts": _named("Drafts"),
    "drafted": _named("Draft tokens"),
    "accepted": _named("Accepted tokens"),
    "positions": re.compile(r"(?:^|\s)Position (\d{1,4}):\s+(\d+\.\d+)\s*$"),
    "accept_length": _named("Accept length"),
}


def _row(v: Values) -> Row | None:
    """Counts where they are printed; steps follow from drafted tokens and positions where the table was shortened."""
    length = v.get("length", v.get("accept_length"))
    if length is None and v.get("speed") is None:
        return None
    sglang = "accept_length" in v or str(v.get("backend", "")).startswith("sglang")
    row: Row = {"engine": "sglang" if sglang else "vllm", "surface": "bench serve", "basis": "run"}
    row |= {"generation_tps": v.get("speed"), "emitted": v.get("emitted"), "span_s": v.get("seconds")}
    if row["emitted"] is None and None not in (v.get("speed"), v.get("seconds")):
        row["emitted"] = float(round(v["speed"] * v["seconds"]))
    row |= {"running": v.get("running"), "length": length, "said_length": length}
    row |= {"drafts": v.get("drafts"), "drafted": v.get("drafted"), "accepted": v.get("accepted")}
    row["said_rate"] = row["rate"] = None if "rate" not in v else v["rate"] / 100
    shares = [p / 100 for p in v.get("positions", [])]
    if shares and length is not None and abs(1 + sum(shares) - length) <= 0.006 + 0.00005 * len(shares):
        row |= {"said_positions": shares, "k": len(shares)}
        drafts = v.get("drafts") or (v["drafted"] / len(shares) if "drafted" in v else None)
        row |= {"drafts": drafts, "accepted_by_position": [p * drafts for p in shares] if drafts else None}
    said = {"Acceptance rate %": v.get("rate"), "Acceptance length": length, "Mean TPOT ms": v.get("tpot")}
    return row | {"said": {n: x for n, x in said.items() if x is not None}}


#: `#questions: 80, Throughput: 276.30 token/s, Acceptance length: 5.36`: a run on a line, of SGLang's benchmark/mtbench.
_LINE = re.compile(r"#questions: (\d{1,9}), Throughput: (\d+\.\d+) token/s, Acceptance length: (\d+\.\d+)")
_HEADING = "============ Serving Benchmark Result ============"
#: SpecForge's words for fields of the table.
_AVERAGE = ((re.compile(r"Average Latency: (\d+\.\d+) s$"), "Benchmark duration (s): "),
            (re.compile(r"Average Output throughput: (\d+\.\d+) token/s$"), "Output token throughput (tok/s): "))  # fmt: skip


def _rows(rows: pl.DataFrame) -> Iterator[tuple[int, str]]:
    """Lines as fields of the table."""
    for line, text in rows.iter_rows():
        if run := _LINE.search(text):
            yield line, _HEADING
            yield line, "Backend: sglang"
            yield line, f"Successful requests: {run[1]}"
            yield line, f"Output token throughput (tok/s): {run[2]}"
            yield line, f"Accept length: {run[3]}"
            continue
        found = next(((label, m[1]) for pattern, label in _AVERAGE if (m := pattern.search(text.rstrip()))), None)
        yield line, text if found is None else f"{found[0]}{found[1]}"


def _listen(block: Block) -> Any:
    inner = listener(block)

    def listen(path: str) -> Any:
        hear = inner(path)
        return lambda rows: hear(
            pl.DataFrame(list(_rows(rows)), schema={"line": pl.Int64, "text": pl.String}, orient="row")
        )

    return listen


DIALECT = Dialect(
    name="bench-serving-console",
    engine="vllm",
    says="console of vllm bench serve, sglang.bench_serving and scripts for EAGLE",
    looks_for="`Serving Benchmark Result`, `Acceptance length:`, `Accept length:` or `#questions:`",
    needles=(
        b"Serving Benchmark Result",
        b"Backend: ",
        b"Successful requests:",
        b"Benchmark duration",
        b"Total generated tokens:",
        b"Output token throughput",
        b"Concurrency:",
        b"Mean TPOT",
        b"Acceptance rate (%)",
        b"Acceptance length:",
        b"Drafts:",
        b"Draft tokens:",
        b"Accepted tokens:",
        b"Per-position acceptance (%)",
        b"Position ",
        b"Accept length:",
        b"#questions: ",
        b"Average Latency: ",
        b"Average Output throughput: ",
    ),
    mark=re.compile(
        r"= Serving Benchmark Result =|Output token throughput \(tok/s\):\s+\d|Acceptance rate \(%\):\s+\d|Accept length:\s+\d"
        r"|#questions: \d+, Throughput: \d"
    ),
    listen=_listen(
        Block(
            _FIELDS,
            _row,
            heading=re.compile("= Serving Benchmark Result ="),
            texts=frozenset({"backend"}),
            also=re.compile(r"Per-position acceptance \(%\):\s*$"),
        )
    ),
)
