"""The name in front of a line is the same for one line and for a column of them."""

import polars as pl
import pytest

from sdtrace.readers.logs.place import place, place_of

LINES = {
    "[pod/vllm-0/engine] INFO 11-23": "vllm-0/engine",
    "engine-1  | INFO 11-23": "engine-1",
    "vllm-7f9c6d-abcde server INFO 11-23": "vllm-7f9c6d-abcde",
    "+ vllm-7f9c6d-12 server (EngineCore pid=1)": "vllm-7f9c6d-12",
    "(ServeReplica:app:LLM pid=12, ip=10.0.0.3) INFO": "replica-12@10.0.0.3",
    "(ServeReplica:app:LLM pid=12) INFO": "replica-12@local",
    "(ServeReplica:app:LLM pid=12, ip=fe80::1) INFO": "replica-12@fe80..1",
    "(SGLangEngine pid=12, ip=10.0.0.3) [2026-11-23 12:00:00 TP0] Decode batch": "replica-12@10.0.0.3",
    "(SGLangEngine pid=12) [2026-11-23 12:00:00 TP0] Decode batch": "replica-12@local",
    "(APIServer pid=12) INFO 11-23 12:00:00 [metrics.py:101] SpecDecoding metrics": "",
    "logs/größe-a.log:12:INFO 11-23": "logs/größe-a.log",
    "a.out-(EngineCore pid=1) INFO": "a.out",
    "3: (EngineCore pid=1) INFO": "rank 3",
    " 12: [2026-11-23 12:00:00 TP0] Decode batch": "rank 12",
    "0: slot print_timing: id  1": "rank 0",
    "[1,3]<stderr>:INFO 11-23": "rank 3",
    "[1,3]<stdout>: (EngineCore pid=1) INFO": "rank 3",
    "[rank7]: INFO 11-23": "rank 7",
    "[default2]:[2026-11-23 12:00:00] ": "rank 2",
    "node-7: (EngineCore pid=1) INFO": "node-7",
    "Nov 23 10:00:00 node-7 vllm[31]: (EngineCore pid=1) INFO": "node-7/vllm",
    "2026-11-23T10:00:00.123456+00:00 gpu01.local vllm[31]: INFO 11-23": "gpu01.local/vllm",
    "Nov 23 10:00:00 gpu-a vllm[31]: (EngineCore pid=1) INFO": "gpu-a/vllm",
    "2026-11-23T10:00:00+0000 gpubox python3[31]: INFO 11-23": "gpubox/python3",
    "Nov 23 10:00:00 gpubox notice: (EngineCore pid=1) INFO": "",
    "vllm_api.1.x3k@node-7    | INFO 11-23": "vllm_api.1.x3k@node-7",
    '2026-11-23T10:00:00Z {ns="d", pod="vllm-0"} (APIServer pid=1) INFO': "vllm-0",
    '2026-11-23T10:00:00+01:00 {instance="10.0.0.3:8000"} INFO': "10.0.0.3:8000",
    "2026-11-23T10:00:00.123000+00:00 vllm/server/0a1b2c (APIServer pid=1) INFO": "vllm/server/0a1b2c",
    "2026-11-23T10:00:00.123000+00:00 POST /v1/a/b (APIServer pid=1) INFO": "",
    "12: not an engine's": "",
    "INFO 11-23 12:00:00 step 3: (EngineCore pid=1)": "",
    "ERROR on node-7: (EngineCore pid=1) INFO": "",
    ' 2026-11-23T10:00:00Z {pod="vllm-0"} INFO': "vllm-0",
    "INFO 11-23 12:00:00 [metrics.py:101] SpecDecoding metrics": "",
    "[2026-11-23 12:00:00] ERROR": "",
    "": "",
}


@pytest.mark.one_of(4)
@pytest.mark.parametrize("line", LINES)
def test_one_line_and_a_column(line: str) -> None:
    assert place(line) == LINES[line]


def test_a_column() -> None:
    told = pl.DataFrame({"text": list(LINES)}).select(place_of(pl.col("text"))).to_series()
    assert told.to_list() == list(LINES.values())
