"""The console of `vllm bench serve` and of sglang.bench_serving: one table a run, a plain run too."""

import re

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


DIALECT = Dialect(
    name="bench-serving-console",
    engine="vllm",
    says="console of vllm bench serve and sglang.bench_serving",
    looks_for="`Serving Benchmark Result`, `Acceptance length:` or `Accept length:`",
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
    ),
    mark=re.compile(
        r"= Serving Benchmark Result =|Output token throughput \(tok/s\):\s+\d|Acceptance rate \(%\):\s+\d|Accept length:\s+\d"
    ),
    listen=listener(
        Block(
            _FIELDS,
            _row,
            heading=re.compile("= Serving Benchmark Result ="),
            texts=frozenset({"backend"}),
            also=re.compile(r"Per-position acceptance \(%\):\s*$"),
        )
    ),
)
