"""Records of engines and benchmarks: figures by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from sdtrace.readers import open_inputs
from tests.made.reading import figures
from tests.made.simulate import document


def read(folder: Path, text: str | dict[str, Any] | list[Any], name: str = "records.jsonl") -> dict[str, Any]:
    """The document of a file with this text, or with this value as pretty JSON."""
    path = folder / name
    path.write_text(text if isinstance(text, str) else json.dumps(text, indent=1))
    return document(path)


HISTOGRAM = [30, 6, 4, 10]
VLLM = {
    "mean_acceptance_length": 1.88,
    "draft_acceptance_rate": 44 / 150,
    "acceptance_histogram": HISTOGRAM,
    "num_spec_steps": 50,
    "num_accepted_draft_tokens": 44,
    "num_draft_tokens": 150,
    "num_spec_tokens": 3,
}
AIPERF = VLLM | {"engine": "vllm", "acceptance_histogram": {str(j): n for j, n in enumerate(HISTOGRAM)}}
META = {"id": "r", "completion_tokens": 128, "spec_verify_ct": 30}
TIMES = {"arrival_time": 1.0, "first_token_time": 2.0, "last_token_time": 3.0}
TRT = {"acceptance_rate": 0.5417, "total_accepted_draft_tokens": 104, "total_draft_tokens": 192}
SPEED = {
    "config": {},
    "selected_samples": 3,
    "summary": [{"category": "code", "requests": 3, "draft_n": 60, "accepted": 30, "accept_rate": 0.5}],
    "results": [
        {"id": "a", "category": "code", "ok": True, "completion_tokens": 50, "draft_n": 40, "draft_n_accepted": 20},
        {"id": "b", "category": "code", "ok": True, "completion_tokens": 30, "draft_n": 20, "draft_n_accepted": 10},
        {"id": "c", "category": "code", "ok": False, "error": "timeout"},
    ],
}
OPENVINO = {
    "main_model_metrics": {"num_generated_tokens": 9, "raw_metrics": {"m_batch_sizes": [7, 3, 1, 4]}},
    "draft_model_metrics": {"inference_duration": {"mean": 12.5, "std": 1.0}},
}
SPECFORGE = {"batch_size": 1, "steps": 3, "topk": 1, "num_draft_tokens": 4, "num_samples": 80}

#: what a file says -> (reader, steps, drafted, accepted, tokens per step); null where the record cannot tell
SHAPES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "vllm summary": ({"metrics": {"speculative_decoding": VLLM}}, ("vllm-responses", 50, 150, 44, 1.88)),
    "vllm per choice, before 0.13 of aiperf": (
        {"choices": [{"speculative_decoding_stats": AIPERF}]},
        ("vllm-responses", 50, 150, 44, 1.88),
    ),
    "sglang 0.4, verifications only": ({"meta_info": META}, ("sglang-requests", 30, None, None, 4.2667)),
    "sglang 0.5.9": (
        {"meta_info": META | {"spec_accept_token_num": 98, "spec_draft_token_num": 120}},
        ("sglang-requests", 30, 120, 98, 4.2667),
    ),
    "sglang 0.5.12, histogram only": (
        {"meta_info": META | {"spec_correct_drafts_histogram": [4, 0, 2, 2, 22]}},
        ("sglang-requests", 30, None, 98, 4.2667),
    ),
    "sglang exported metrics": (
        META | {"request_parameters": "{}", "spec_num_correct_drafts": 98, "spec_num_proposed_drafts": 120},
        ("sglang-requests", 30, 120, 98, 4.2667),
    ),
    "sglang server info": (
        {"internal_states": [{"avg_spec_accept_length": 2.5, "last_gen_throughput": 80.0}]},
        ("sglang-requests", None, None, None, 2.5),
    ),
    "aiperf record": ({"metrics": {}, "spec_decode_acceptance": AIPERF}, ("aiperf", 50, 150, 44, 1.88)),
    "aiperf scalars of a record are percent": (
        {
            "metrics": {
                "spec_decode_steps": {"value": 50, "unit": "count"},
                "spec_decode_accepted_draft_tokens": {"value": 44, "unit": "tokens"},
                "spec_decode_draft_tokens": {"value": 150, "unit": "tokens"},
                "spec_decode_acceptance_length": {"value": 1.88, "unit": "ratio"},
                "spec_decode_draft_acceptance_rate": {"value": 29.3333333, "unit": "%"},
            }
        },
        ("aiperf", 50, 150, 44, 1.88),
    ),
    "aiperf aggregate is percent": (
        {
            "pooled_spec_decode_acceptance_histogram": AIPERF["acceptance_histogram"],
            "total_draft_tokens": {"avg": 150, "unit": "tokens"},
            "spec_decode_overall_draft_acceptance_rate": {"avg": 29.3333333, "unit": "%"},
            "spec_decode_token_weighted_acceptance_length": {"avg": 1.88, "unit": "ratio"},
        },
        ("aiperf", 50, 150, 44, 1.88),
    ),
    "tensorrt-llm perf metrics": (
        {"request_id": 7, "perf_metrics": {"timing_metrics": TIMES, "speculative_decoding": TRT}},
        ("tensorrt-llm-requests", None, 192, 104, None),
    ),
    "tensorrt-llm prefill and decoding apart": (
        {
            "ctx_perf_metrics": {"perf_metrics": {"timing_metrics": TIMES}},
            "gen_perf_metrics": {"perf_metrics": {"timing_metrics": TIMES, "speculative_decoding": TRT}},
        },
        ("tensorrt-llm-requests", None, 192, 104, None),
    ),
    "tensorrt-llm before PR 17082, zeros are no counts": (
        {"perf_metrics": {"timing_metrics": TIMES, "speculative_decoding": dict.fromkeys(TRT, 0)}},
        ("tensorrt-llm-requests", None, None, None, None),
    ),
    "speed-bench of llama.cpp": (SPEED, ("speed-bench", None, 60, 30, None)),
    "openvino before 2026": (OPENVINO, ("openvino", 3, None, 5, 2.6667)),
    "openvino 2026": (
        OPENVINO | {"get_num_accepted_tokens": 5, "get_num_draft_tokens": 12, "get_draft_acceptance_rate": 5 / 12},
        ("openvino", 3, 12, 5, 2.6667),
    ),
    "specforge": (
        {"model": "m", "mtbench": [SPECFORGE | {"metrics": [{"accept_length": 2.8}]}]},
        ("specforge", None, None, None, 2.8),
    ),
    "specforge, 1.0 is no data": (
        {"model": "m", "mtbench": [SPECFORGE | {"metrics": [{"accept_length": 1.0}]}]},
        ("specforge", None, None, None, None),
    ),
    "specdec profile": (
        {"marginal_accept_rates": [0.8, 0.5], "conditional_accept_rates": [0.8, 0.625]},
        ("specdec-bench", None, None, None, 2.3),
    ),
}


@pytest.mark.one_of(5)
@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_read_by_one_reader_and_gives_the_figures_by_hand(name: str, tmp_path: Path) -> None:
    record, wanted = SHAPES[name]
    found = read(tmp_path, record, "record.json")
    assert figures(found) == wanted
    assert not [c for c in found["checks"] if c["state"] in ("fired", "crashed") and c["code"].startswith("SD4")]


def test_detailed_steps_that_contradict_the_counts_are_told(tmp_path: Path) -> None:
    single = VLLM | {"per_step_accepted": [0] * 30 + [1] * 6 + [2] * 4 + [3] * 10, "per_step_drafted": [3] * 50}
    assert figures(read(tmp_path, {"metrics": {"speculative_decoding": single}})) == (
        "vllm-responses",
        50,
        150,
        44,
        1.88,
    )
    single["per_step_accepted"] = [0] * 50
    causes = read(tmp_path, {"metrics": {"speculative_decoding": single}})["causes"]
    assert [(c["cause"], c["checks"]) for c in causes] == [("metric-inconsistent", ["SD405"])]


def test_a_python_dict_that_was_pasted(tmp_path: Path) -> None:
    text = "# source: somebody's note\n# 'completion_tokens': 128, 'spec_accept_histogram': [4, 0, 2, 2, 22],\n# 'spec_verify_ct': 30,\n"
    assert figures(read(tmp_path, text, "meta.txt")) == ("sglang-requests", 30, None, 98, 4.2667)


def answer(question: int, lengths: Any, **more: Any) -> str:
    """A line of a Spec-Bench model answer."""
    choice = {"index": 0, "turns": ["text"], "accept_lengths": lengths} | more
    return json.dumps({"question_id": question, "category": "c", "model_id": "m", "choices": [choice], "tstamp": 1.0})


def test_spec_bench_dirt_is_counted_and_kept_out(tmp_path: Path) -> None:
    lines = [
        answer(1, [9, 9, 9]),  # run again below
        answer(2, [], turns=["ERROR", "ERROR"], wall_time=[float("nan")] * 2),
        answer(3, [1, 1, 1, 1]),  # nothing accepted in a speculative run: it counts
        answer(4, [4, 2], turns=["text", "ERROR"], wall_time=[1.0, float("nan")]),
        answer(1, [3, 2, 1], decoding_steps=3, new_tokens=6, wall_time=0.5),  # scalars for lists
        answer(5, [2, 0]),
        answer(6, [2, 2])[:50],
    ]
    found = read(tmp_path, "\n".join(lines))
    assert figures(found) == ("spec-bench", 9, None, 7, round(16 / 9, 4))
    losses = {int(x["where"].rsplit(":", 1)[1]): x["what"] for x in found["inputs"][0]["losses"]}
    assert losses == {
        1: "a later record of the same question replaces this one",
        2: "the model failed on every turn",
        6: "accept_lengths are no counts from 1 on",
        7: "truncated last line",
    }
    assert [n["count"] for n in found["inputs"][0]["notices"]] == [1]


def test_eagle_rounds_are_idx_plus_one(tmp_path: Path) -> None:
    choices = [{"index": 0, "turns": ["a", "b"], "idxs": [9, 4], "new_tokens": [30, 15], "wall_time": [1.0, 0.5]}]
    assert figures(read(tmp_path, {"question_id": 1, "model_id": "e", "choices": choices})) == (
        "eagle",
        15,
        None,
        30,
        3.0,
    )
    choices[0]["new_tokens"] = [0, 0]
    assert figures(read(tmp_path, {"question_id": 1, "model_id": "e", "choices": choices})) == (
        "eagle",
        15,
        None,
        None,
        1.0,
    )


def test_streams_of_three_engines(tmp_path: Path) -> None:
    def stream(*chunks: dict[str, Any]) -> str:
        return "".join(f"data: {json.dumps(c)}\n\n" for c in chunks) + "data: [DONE]\n"

    meta = [
        META | {"completion_tokens": n, "spec_verify_ct": v, "spec_accept_token_num": n - v}
        for n, v in ((5, 2), (11, 4))
    ]
    assert figures(read(tmp_path, stream(*({"text": "", "meta_info": m} for m in meta)))) == (
        "event-stream",
        4,
        None,
        7,
        2.75,
    )
    vllm: list[dict[str, Any]] = [
        {"id": "c", "choices": []},
        {"id": "c", "choices": [], "metrics": {"speculative_decoding": VLLM}},
    ]
    assert figures(read(tmp_path, stream(*vllm))) == ("event-stream", 50, 150, 44, 1.88)
    counts = ((0, 0), (4, 2), (4, 2), (7, 5))
    llama = [{"id": "c", "timings": {"draft_n": d, "draft_n_accepted": a}} for d, a in counts]
    assert figures(read(tmp_path, stream(*llama))) == ("event-stream", 2, 7, 5, 3.5)


@pytest.mark.one_of(10)
@pytest.mark.parametrize("value", [None, [], {}, "x", True, float("nan"), -1, 1e308, [None], {"a": "b"}])
def test_no_value_of_a_field_makes_a_reader_fall(value: Any, tmp_path: Path) -> None:
    for record, _ in SHAPES.values():
        text = json.dumps(_replaced(record, value)) + "\n" + json.dumps(record) + "\n"
        (tmp_path / "a.jsonl").write_text(text)
        for opened in open_inputs([str(tmp_path / "a.jsonl")]):
            assert sum(b.lines for b in opened.batches()) == 2


def _replaced(node: Any, value: Any) -> Any:
    """Every number, text and list at the leaves replaced."""
    if isinstance(node, dict):
        return {k: _replaced(v, value) for k, v in node.items()}
    return (
        [_replaced(v, value) for v in node] if isinstance(node, list) and node and isinstance(node[0], dict) else value
    )
