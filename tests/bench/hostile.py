"""Processor time and memory against the size of hostile inputs: python tests/bench/hostile.py [--scale 1] [--shapes runs,losses].

Every shape is written at n, 2n and 4n and reported in processes of their own, with the page and the document. What the
smallest input takes is taken off. Prints the exponents (1 is linear) from n to 4n, and fails above 1.3.
"""

import argparse
import gzip
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

MOST = 1.3
#: Growth from n to 4n below which there is nothing to measure: seconds of processor time, MB.
SMALL_SECONDS, SMALL_MB = 0.4, 80.0
STEP: dict[str, Any] = {
    "kind": "step", "request_id": "r", "step": 0, "draft_token_ids": [1, 2], "draft_probs": [0.5, 0.5],
    "target_probs": [0.6, 0.7], "uniforms": [0.1, 0.2], "num_accepted": 2, "output_token_ids": [1, 2, 3],
}  # fmt: skip
VLLM = (
    "(APIServer pid=1) INFO 11-23 15:40:49 [metrics.py:120] SpecDecoding metrics: Mean acceptance length: 3.00, Accepted throughput: "
    "1.00 tokens/s, Drafted throughput: 2.00 tokens/s, Accepted: 20 tokens, Drafted: 40 tokens, Per-position acceptance rate: {}, Avg "
    "Draft acceptance rate: 50.0%\n"
)


def _records(path: Path, records: Any) -> None:
    with path.open("w") as out:
        out.writelines(json.dumps(record) + "\n" for record in records)


def _request(i: int, **more: Any) -> dict[str, Any]:
    return {"kind": "request", "request_id": f"q{i}", "temperature": 1.0, **more}


def runs(path: Path, n: int) -> None:
    """A run, a request and a step, n times."""
    lines = ({"kind": "run", "format": 1, "run_id": f"run{i}", "rule": "ratio"} for i in range(n))
    steps = ({**STEP, "run_id": f"run{i}"} for i in range(n))
    heads = ({**_request(0), "run_id": f"run{i}", "request_id": "r"} for i in range(n))
    _records(path, (one for three in zip(lines, heads, steps, strict=True) for one in three))


def requests(path: Path, n: int) -> None:
    """A request of one step, n times."""
    _records(path, (one for i in range(n) for one in (_request(i), {**STEP, "request_id": f"q{i}"})))


def tag_values(path: Path, n: int) -> None:
    """A tag that has another value for every request."""
    tagged = (({**_request(i), "tags": {"user": f"u{i}"}}, {**STEP, "request_id": f"q{i}"}) for i in range(n))
    _records(path, (one for two in tagged for one in two))


def tag_keys(path: Path, n: int) -> None:
    """Another tag for every request."""
    tagged = (({**_request(i), "tags": {f"key{i}": "x"}}, {**STEP, "request_id": f"q{i}"}) for i in range(n))
    _records(path, (one for two in tagged for one in two))


def series(path: Path, n: int) -> None:
    """n engines in one scrape."""
    with path.open("w") as out:
        for name in ("num_drafts", "num_draft_tokens", "num_accepted_tokens"):
            out.writelines(f'vllm:spec_decode_{name}_total{{engine="{i}"}} {i + 9}.0\n' for i in range(n))


def positions(path: Path, n: int) -> None:
    """One log line whose list of positions has n entries."""
    path.write_text(VLLM.format("0.9") + VLLM.format(", ".join(["0.500"] * n)))


def drafted(path: Path, n: int) -> None:
    """Steps of n drafted tokens."""
    wide = {"draft_token_ids": [1] * n, "draft_probs": [0.5] * n, "target_probs": [0.6] * n, "uniforms": [0.1] * n}
    _records(
        path, ({**STEP, **wide, "step": i, "num_accepted": n, "output_token_ids": [1] * n + [2]} for i in range(4))
    )


def losses(path: Path, n: int) -> None:
    """n lines that cannot be read, each for its own reason or so."""
    with path.open("w") as out:
        out.write(json.dumps(STEP) + "\n")
        out.writelines(f'{{"kind": "step", "key{i}": {"[" * (i % 7)}\n' for i in range(n))


def line(path: Path, n: int) -> None:
    """One line of a log, n bytes long, between two of an engine."""
    path.write_text(VLLM.format("0.9") + "Accepted: " * (n // 10) + "\n" + VLLM.format("0.9"))


def record(path: Path, n: int) -> None:
    """One record of n bytes of text."""
    _records(path, [STEP, {"kind": "run", "format": 1, "rule": "ratio", "config": {"a": "x" * n}}])


def nested(path: Path, n: int) -> None:
    """One record with n brackets in each other."""
    path.write_text(
        json.dumps(STEP) + '\n{"kind": "run", "rule": "ratio", "config": {"a": ' + "[" * n + "]" * n + "}}\n"
    )


def bomb(path: Path, n: int) -> None:
    """A few steps and n line ends, packed to a thousandth."""
    lines = "".join(json.dumps({**STEP, "step": i}) + "\n" for i in range(20))
    path.with_suffix(".jsonl.gz").write_bytes(gzip.compress(lines.encode() + b"\n" * n))


def table_lists(path: Path, n: int) -> None:
    """A Parquet file of a few kilobytes whose lists hold n equal entries."""
    rows = {k: [v, v] for k, v in STEP.items() if k != "kind"} | {"step": [0, 1], "draft_token_ids": [[1, 2], [1] * n]}
    pq.write_table(pa.table(rows), path.with_suffix(".parquet"), compression="zstd")


def table_columns(path: Path, n: int) -> None:
    """A Parquet file of n columns that nobody knows."""
    rows = {k: [v, v] for k, v in STEP.items() if k != "kind"} | {"step": [0, 1]}
    pq.write_table(pa.table(rows | {f"column{i}": [0, 0] for i in range(n)}), path.with_suffix(".parquet"))


def files(path: Path, n: int) -> None:
    """A folder of n small traces."""
    for i in range(n):
        _records(path.parent / f"{i:06}.jsonl", [{**STEP, "request_id": f"q{i}"}])


def document(path: Path, n: int) -> None:
    """n responses in one JSON document."""
    one = {"timings": {"predicted_n": 20, "draft_n": 30, "draft_n_accepted": 10, "predicted_ms": 100.0}}
    path.with_suffix(".json").write_text(json.dumps([one] * n))


def counts(path: Path, n: int) -> None:
    """Finished requests of a log, each with another id."""
    said = "{{'meta_info': {{'id': '{0}', 'completion_tokens': 61, 'spec_verify_ct': 20}}}}"
    text = f"[2025-10-02 20:00:00] Finish: obj=G(rid='{{0}}'), out={said}\n"
    path.with_suffix(".log").write_text("".join(text.format(i) for i in range(n)))


def stream(path: Path, n: int) -> None:
    """One streamed answer of n tokens."""
    choice = {"index": 0, "logprobs": {"content": [{"token": "a", "logprob": -0.5, "top_logprobs": []}]}}
    said = json.dumps({"id": "a", "object": "chat.completion.chunk", "choices": [choice]})
    path.with_suffix(".txt").write_text(f"data: {said}\n\n" * n)


def pieces(path: Path, n: int) -> None:
    """One line of a container that a runtime cut n times, and that never ends."""
    said = "2026-11-23T10:00:00.000000000Z stdout P SpecDecoding metrics: Mean acceptance\n"
    path.with_suffix(".log").write_text(said * n)


#: shape -> (how it is written, n)
SHAPES: dict[str, tuple[Callable[[Path, int], None], int]] = {
    "runs": (runs, 200), "requests": (requests, 10_000), "tag values": (tag_values, 10_000), "tag keys": (tag_keys, 2_000),
    "series": (series, 2_000), "positions": (positions, 100_000), "drafted": (drafted, 50_000), "losses": (losses, 50_000),
    "line": (line, 4_000_000), "record": (record, 4_000_000), "nested": (nested, 500_000), "bomb": (bomb, 8_000_000),
    "table lists": (table_lists, 1_000_000), "table columns": (table_columns, 2_000), "files": (files, 50),
    "document": (document, 80_000), "requests of a log": (counts, 5_000),
    "pieces": (pieces, 400_000), "stream": (stream, 20_000),
}  # fmt: skip


def spent(write: Callable[[Path, int], None], n: int) -> tuple[float, float]:
    """Seconds of processor time and peak memory (MB) of a report of one input."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "in"
        folder.mkdir()
        write(folder / "t.jsonl", n)
        command = [sys.executable, "-m", "sdtrace", "report", str(folder), "--exit-zero", "-q"]
        outputs = ["-o", f"{name}/r.html", "--json", f"{name}/r.json", "--markdown", f"{name}/r.md"]
        running = subprocess.Popen([*command, *outputs], stderr=subprocess.PIPE)
        assert running.stderr is not None
        said = running.stderr.read().decode()
        _, status, usage = os.wait4(running.pid, 0)
        running.returncode = code = os.waitstatus_to_exitcode(status)
        if code not in (0, 3):
            sys.exit(f"exit {code}: {said}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def exponent(costs: list[float], least: float) -> float | None:
    """The lesser of two estimates of e, None where nothing grows: log4 c(4n) / c(n), too great where the smallest report's own
    cost hides part of c(n) (its peak memory does), and log2 (c(4n) - c(2n)) / (c(2n) - c(n)), which no constant part moves."""
    small, middle, large = costs
    if large - small < least:
        return None
    whole = math.log(large / max(small, least / 8), 4)
    steps = math.log2(max(large - middle, least / 8) / max(middle - small, least / 8))
    return max(0.0, min(whole, steps))


def measured(shape: str, n: int, base: list[float], most: float) -> tuple[list[list[float]], list[float | None]]:
    """Costs (seconds, MB) at n, 2n and 4n without those of the smallest input, and exponents. A second look where one is
    too great: other work on the machine costs processor time too."""
    found = [[math.inf] * 3, [math.inf] * 3]
    for _ in range(2):
        for k, times in enumerate((1, 2, 4)):
            cost = spent(SHAPES[shape][0], n * times)
            for i in (0, 1):
                found[i][k] = min(found[i][k], max(0.0, cost[i] - base[i]))
        grown = [exponent(costs, least) for costs, least in zip(found, (SMALL_SECONDS, SMALL_MB), strict=True)]
        if all(one is None or one <= most for one in grown):
            break
    return found, grown


def main() -> None:
    """Write, report, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="of all sizes")
    parser.add_argument("--most", type=float, default=MOST, help="exponent above which it fails")
    parser.add_argument("--shapes", default=",".join(SHAPES))
    given = parser.parse_args()
    wrong = []
    base = [min(pair) for pair in zip(*(spent(requests, 1) for _ in range(3)), strict=True)]
    print(f"{'shape':<18} {'n':>10}  seconds at n, 2n, 4n (over {base[0]:.1f})   MB at n, 2n, 4n (over {base[1]:.0f})")
    for shape in given.shapes.split(","):
        n = max(1, round(SHAPES[shape][1] * given.scale))
        (seconds, memory), grown = measured(shape, n, base, given.most)
        told = ["flat" if one is None else f"{one:.2f}" for one in grown]
        print(
            f"{shape:<18} {n:>10,}  {' '.join(f'{x:6.2f}' for x in seconds)} -> {told[0]:<5}"
            f"   {' '.join(f'{x:6.0f}' for x in memory)} -> {told[1]}",
            flush=True,
        )
        wrong += [shape] if any(one is not None and one > given.most for one in grown) else []
    if wrong:
        sys.exit(f"above {given.most}: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
