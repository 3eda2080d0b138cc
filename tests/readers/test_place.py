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
    "logs/größe-a.log:12:INFO 11-23": "logs/größe-a.log",
    "a.out-(EngineCore pid=1) INFO": "a.out",
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
