"""Records of the corpus: sums over whole files, and the figures of one file of each shape."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.made.reading import figures
from tests.made.simulate import document

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of recorded files is not beside the project")


@pytest.mark.one_of(8)
@corpus
@pytest.mark.parametrize("path", sorted(CORPUS.glob("public/spec_bench/*.jsonl")), ids=lambda p: p.stem)
def test_spec_bench_files_equal_a_direct_sum(path: Path) -> None:
    lengths, bad = [], 0
    for line in path.read_text().splitlines():
        try:
            choice = json.loads(line)["choices"][0]
        except ValueError:
            bad += 1
            continue
        lengths += choice["accept_lengths"]
        bad += not choice["accept_lengths"]
    found = document(path)
    assert sum(x["count"] for x in found["inputs"][0]["losses"]) == bad
    a = found["acceptance"]
    if lengths:
        assert a["tokens_per_step"] == pytest.approx(sum(lengths) / len(lengths), abs=1e-12)
        assert a["steps"] == len(lengths)
    else:
        assert a is None


@corpus
def test_the_eagle_baseline_equals_a_direct_sum() -> None:
    path = next(iter(CORPUS.glob("public/eagle/*.jsonl")))
    choices = [json.loads(line)["choices"][0] for line in path.read_text().splitlines()]
    found = document(path)
    assert found["acceptance"]["steps"] == sum(i + 1 for c in choices for i in c["idxs"])
    assert sum(n for c in choices for n in c["new_tokens"]) == 0  # it counted none: a round of a baseline is one token
    assert found["acceptance"]["tokens_per_step"] == 1.0
    assert found["inputs"][0]["losses"] == []


@pytest.mark.one_of(8)
@corpus
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("public/sglang/17_generate_meta_info_v059.txt", ("sglang-requests", 30, 120, 98, 4.2667)),
        ("public/aiperf/pooled-histogram.docs.json", ("aiperf", 25600, None, 56320, 3.2)),
        ("replicas/shapes/ik_llama-spec-bench.md", ("ik-llama-bench", 200, 600, 440, 3.2)),
        ("replicas/shapes/mlx_vlm-timings.json", ("llamacpp-timings", 40, 120, 95, 3.375)),
        ("replicas/shapes/specdec_bench-acceptance_rate.json", ("specdec-bench", 14, None, 20, 2.4286)),
        ("replicas/shapes/trtllm-dflash_accept_stats_rank0.json", ("tensorrt-llm-dflash", 40, None, 38, 1.95)),
        ("replicas/shapes/trtllm-iteration-stats.jsonl", ("tensorrt-llm-stats", 8, 24, 13, 2.625)),
        ("replicas/shapes/trtllm-perf_metrics-server.jsonl", ("tensorrt-llm-requests", None, 192, 104, None)),
        ("replicas/shapes/sglang-bench_speculative.jsonl", ("sglang-bench", None, None, None, 2.481)),
        ("replicas/shapes/vllm-per-request-metrics.json", ("vllm-responses", 50, 150, 44, 1.88)),
        ("ours/llama_cpp-b11434/server-draft-simple-lv3.c3.sse", ("event-stream", 9, 36, 13, 2.4444)),
        ("ours/vllm-0.32-live/36_live_0320_completions_detailed.jsonl", ("vllm-responses", 29, 111, 48, 2.6552)),
    ],
)  # fmt: skip
def test_files_of_the_corpus(name: str, wanted: tuple[Any, ...]) -> None:
    assert figures(document(CORPUS / name)) == wanted


@corpus
def test_the_aiperf_tutorial_contradicts_itself() -> None:
    """Its example gives 278 accepted tokens in the histogram and 281 beside it; AIPerf's own validator refuses it."""
    found = document(CORPUS / "public/aiperf/profile_export.jsonl.docs-record.json")
    assert [c["cause"] for c in found["causes"]] == ["metric-inconsistent"]
    assert {"SD402", "SD405"} <= set(found["causes"][0]["checks"])
