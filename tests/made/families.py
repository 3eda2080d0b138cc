"""A sound sample of every kind of file that is read: name -> bytes, or the files of a folder."""

import gzip
import io
import tempfile
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sdtrace.writers.convert import convert
from tests.made.log_samples import SAMPLES

SHIPPED = Path(__file__).resolve().parents[2] / "sample_logs"
#: Bytes of a sample that are enough to know its kind by.
ENOUGH = 6_000

OPENMETRICS = b"""\
# HELP vllm:spec_decode_num_drafts Number of drafts.
# TYPE vllm:spec_decode_num_drafts counter
vllm:spec_decode_num_drafts_total{engine="0",model_name="a\\"b\\\\c\\nd"} 90.0 1700000000.5 # {trace_id="x"} 1.0 1700000000.1
vllm:spec_decode_num_draft_tokens_total{engine="0"} 270.0
vllm:spec_decode_num_accepted_tokens_total{engine="0"} 120.0
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",position="0"} 70.0
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",position="1"} 40.0
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",position="2"} 10.0
# EOF
"""
PROMETHEUS_ANSWER = (
    b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"vllm:spec_decode_num_drafts_total",'
    b'"engine":"0"},"values":[[1700000000,"5"],[1700000060,"9"]]},{"metric":{"__name__":"vllm:spec_decode_num_accepted_tokens_'
    b'total","engine":"0"},"values":[[1700000000,"5"],[1700000060,"12"]]}]}}'
)
SPECSPECS = {
    "run_id": ["r"] * 4, "sequence_id": ["a", "a", "b", "b"], "step": [0, 1, 0, 1], "t": [1.0, 2.0, 1.0, 2.0],
    "draft_tokens": [[1, 2], [3, 4], [1], []], "acceptances": [[True, False], [True, True], [False], []],
    "acceptance_length": [1, 2, 0, 0], "emitted_token": [3, 5, 2, 6],
}  # fmt: skip


@cache
def texts() -> dict[str, bytes]:
    """Logs of every engine, benchmarks, scrapes, records, responses, traces, a case on paper."""
    found = {
        path.name: path.read_bytes() for path in sorted((SHIPPED / "engines").iterdir()) if "expected" not in path.name
    }
    found |= {f"{name}.log": text.encode() for name, (text, _, _) in SAMPLES.items()}
    found |= {"open.prom": OPENMETRICS, "prometheus.json": PROMETHEUS_ANSWER}
    found["case.csv"] = (SHIPPED / "paper-case.csv").read_bytes()
    for path in sorted(SHIPPED.glob("*.jsonl.gz")) + sorted(SHIPPED.glob("*/*-2.jsonl.gz")):
        lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
        found[path.name.removesuffix(".gz")] = b"".join([*lines[:3], *lines[len(lines) // 2 :][:14]])
    return {name: _short(data) for name, data in found.items()}


def _short(data: bytes) -> bytes:
    """The first lines of a long log; a document stays whole."""
    if len(data) <= ENOUGH or data.count(b"\n") < 4 or data.lstrip()[:1] in (b"{", b"["):
        return data[: 10 * ENOUGH]
    return data[: data.rfind(b"\n", 0, ENOUGH) + 1]


@cache
def tables() -> dict[str, dict[str, bytes]]:
    """Parquet: a folder as convert writes it, a file of steps alone, the two files of specspecs."""
    with tempfile.TemporaryDirectory() as made:
        trace = Path(made) / "t.jsonl"
        trace.write_bytes(texts()["transformers-sampled.jsonl"])
        convert([trace], Path(made) / "folder")
        folder = {path.name: path.read_bytes() for path in sorted((Path(made) / "folder").iterdir())}
    held = io.BytesIO()
    pq.write_table(pa.table(SPECSPECS), held)
    requests = io.BytesIO()
    pq.write_table(
        pa.table({"sequence_id": ["a", "b"], "prompt_token_ids": [[1], [2, 3]], "prompt_len": [1, 2]}), requests
    )
    both = {"drafts-1-00000.parquet": held.getvalue(), "sequences-1-00000.parquet": requests.getvalue()}
    return {"folder": folder, "steps": {"steps.parquet": folder["steps.parquet"]}, "specspecs": both}
