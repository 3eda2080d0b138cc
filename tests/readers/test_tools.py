"""What benchmarks, consoles and less common servers write: from the raw line to the figure, by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from sdtrace.readers import open_one
from sdtrace.readers.detection import detect
from tests.made.simulate import document

ENGINES = Path(__file__).resolve().parents[2] / "sample_logs" / "engines"

#: sample -> (reader, engine, steps, drafted, accepted, tokens per step, rate, positions)
TABLE: dict[str, tuple[Any, ...]] = {
    # Drafts 12,000; 36,000 drafted = 3 each; 18,000 accepted: 1 + 18/12, 18/36; positions in percent
    "vllm-bench-serve.txt": ("bench-serving-console", "vllm", 12000, 36000, 18000, 2.5, 0.5, [0.7, 0.5, 0.3]),
    # the same figures as JSON, positions as fractions
    "vllm-bench-serve.json": ("bench-serving", "vllm", 12000, 36000, 18000, 2.5, 0.5, [0.7, 0.5, 0.3]),
    # only the server's mean length is printed
    "sglang-bench-serving.txt": ("bench-serving-console", "sglang", None, None, None, 2.86, None, []),
    # 1 + 6000/4000; 6000/12000; shares of steps with two decimals
    "vllm-offline.txt": ("vllm-offline", "vllm", 4000, 12000, 6000, 2.5, 0.5, [0.7, 0.5, 0.3]),
    # 3600 drafted, three positions: 1200 steps; 1 + 0.7 + 0.5 + 0.3; accepted tokens are in no line
    "speculators-report.txt": ("speculators-report", "vllm", 1200, 3600, None, 2.5, 0.5, [0.7, 0.5, 0.3]),
    # (192 - 1 - 120) + (60 - 1 - 33) = 97 rounds; 153 of 204; 1 + 153/97
    "mtp-bench.txt": ("mtp-bench", "llama.cpp", 97, 204, 153, 1 + 153 / 97, 0.75, []),
    # 210 of 300; no line counts the steps
    "tabbyapi.log": ("tabbyapi-log", "exllama", None, 300, 210, None, 0.7, []),
    # 210 accepted and 90 rejected: 300 drafted
    "exllamav3.jsonl": ("exllamav3", "exllamav3", None, 300, 210, None, 0.7, []),
    # 160 of 480
    "lm-studio.json": ("lm-studio", "lm-studio", None, 480, 160, None, 1 / 3, []),
    # 12,000 samples, sum 5,700; 12000 - 8200, - 10500, - 11600 steps accepted more than 0, 1, 2 tokens
    "tgi-metrics.prom": ("prometheus", "tgi", 12000, None, 5700, 1.475, None, [3800 / 12000, 0.125, 400 / 12000]),
    # means over requests: taken as they are, no sums are made of them
    "trtllm-bench.json": ("trtllm-bench", "tensorrt-llm", None, None, None, 2.49, 0.498, []),
    # 39 iterations, 61 accepted: 1 + 61/39 = 100/39
    "openvino-sample.txt": ("openvino-sample", "openvino", 39, None, 61, 1 + 61 / 39, None, []),
    # depth 1 was drafted 400 times; 310 + 220 + 130 of 1200
    "mlc-llm.json": ("mlc-llm", "mlc-llm", 400, 1200, 660, 2.65, 0.55, [0.775, 0.55, 0.325]),
    # shares by number accepted 0.2, 0.2, 0.1, 0.5: more than 0, 1, 2 accepted in 0.8, 0.6, 0.5; 1 + 1.9
    "gpt-fast.txt": ("gpt-fast", "gpt-fast", None, None, None, 2.9, 1.9 / 3, [0.8, 0.6, 0.5]),
    # `overall` is the mean over all steps, the tasks are parts of it
    "spec-bench-console.txt": ("spec-bench-console", "spec-bench", None, None, None, 2.9, None, []),
    # two replicas: 1000 + 500 steps, 1500 + 600 of 3000 + 1500
    "ray-metrics.prom": ("prometheus", "vllm", 1500, 4500, 2100, 2.4, 2100 / 4500, []),
    # 4 verified tokens a step are 3 drafted: (2.5 - 1) / 3
    "sglang-metrics.prom": ("prometheus", "sglang", None, None, None, 2.5, 0.5, []),
    # means of 1.90 and 2.20, of 0.30 and 0.40
    "tokenspeed.log": ("tokenspeed-log", "tokenspeed", None, None, None, 2.05, 0.35, []),
    # 60 accepted and 40 rejected; the second response has 0 in both and tells nothing
    "openai-usage.jsonl": ("openai-usage", "openai-usage", None, 100, 60, None, 0.6, []),
    # 70 of 120 in 40 steps: 1 + 70/40
    "tensorrt-llm-response.json": ("tensorrt-llm-requests", "tensorrt-llm", 40, 120, 70, 2.75, 70 / 120, []),
    # requests verify 8 - 1, 2 - 1 and 8 - 1 drafts and accept 4, 1 and 0: 5 of 15 in 3 request-steps
    "sglang-dspark.json": ("sglang-dspark", "sglang", 3, 15, 5, 1 + 5 / 3, 1 / 3, [2 / 3, 1 / 3, 1 / 3, 1 / 3]),
    # the same steps in the estimate file: w 7, 1, 7 and cl 4, 1, 0
    "sglang-dspark-estimate.jsonl": ("sglang-dspark", "sglang", 3, 15, 5, 1 + 5 / 3, 1 / 3, []),
    # conditional 0.7, 0.714, 0.6: 0.7, 0.7 x 0.714 = 0.5, 0.5 x 0.6 = 0.3
    "speculation-profile.json": ("specdec-bench", "specdec-bench", None, None, None, 2.5, None, [0.7, 0.5, 0.3]),
}


@pytest.mark.one_of(9)
@pytest.mark.parametrize("name", TABLE)
def test_by_hand(name: str) -> None:
    found = document(ENGINES / name)
    a, (input_,) = found["acceptance"], found["inputs"]
    reader, engine, steps, drafted, accepted, length, rate, positions = TABLE[name]
    assert (input_["format"], *(e for e in [detect([str(ENGINES / name)])[0]["engine"]])) == (reader, engine)
    assert (a["steps"], a["drafted"], a["accepted"]) == (steps, drafted, accepted)
    assert a["tokens_per_step"] == (None if length is None else pytest.approx(length, abs=1e-6))
    assert a["rate_of_drafted"] == (None if rate is None else pytest.approx(rate, abs=1e-6))
    assert a["marginal_by_position"] == pytest.approx(positions, abs=1e-6)
    assert {loss["what"].partition(",")[0] for loss in input_["losses"]} <= {"other lines"}


#: what a run without speculation prints -> tokens per second
PLAIN = {
    "============ Serving Benchmark Result ============\nBenchmark duration (s):      10.00\nTotal generated tokens:     3000\n"
    "Output token throughput (tok/s):         300.00\n": 300.0,
    json.dumps({"duration": 10.0, "completed": 4, "total_output_tokens": 3000, "output_throughput": 300.0}): 300.0,
    "  code_python        pred= 192 draft=   0 acc=   0 rate=n/a tok/s=7.0\n": 7.0,
    "Metrics (ID: 0a): 320 tokens generated in 9.44 seconds (Queue: 0.0 s, Process: 0 cached tokens and 9 new tokens at 7.6 T/s, "
    "Generate: 38.2 T/s, Context: 57 tokens)\n": 38.2,
}


@pytest.mark.one_of(3)
@pytest.mark.parametrize(("text", "speed"), PLAIN.items())
def test_a_plain_run_is_read_for_its_speed(text: str, speed: float, tmp_path: Path) -> None:
    path = tmp_path / "run.txt"
    path.write_text(text)
    rows = [row for b in open_one(str(path), None).batches() if b.windows is not None for row in b.windows.to_dicts()]
    assert [row["generation_tps"] for row in rows] == [speed]
    assert all(row["drafted"] is None for row in rows)


#: what a script for EAGLE prints -> (tokens per second, tokens per step, tokens) of each run
SCRIPTS = {
    "EAGLE-3:\n#questions: 80, Throughput: 276.30 token/s, Acceptance length: 5.36\n\nEAGLE-2:\n"
    "#questions: 80, Throughput: 224.70 token/s, Acceptance length: 3.75\n": [(276.3, 5.36, None), (224.7, 3.75, None)],
    # 92.421 s x 41.96 tokens/s
    "Average Latency: 92.421 s\nAverage Output throughput: 41.960 token/s\nAverage Accept length: 1.042\n": [(41.96, 1.042, 3878.0)],
}  # fmt: skip


@pytest.mark.parametrize(("text", "runs"), SCRIPTS.items())
def test_runs_that_scripts_for_eagle_print(
    text: str, runs: list[tuple[float, float, float | None]], tmp_path: Path
) -> None:
    path = tmp_path / "run.txt"
    path.write_text(text)
    rows = [row for b in open_one(str(path), None).batches() if b.windows is not None for row in b.windows.to_dicts()]
    assert [(row["generation_tps"], row["length"], row["emitted"]) for row in rows] == runs


def test_a_shortened_table_gives_its_steps_by_positions(tmp_path: Path) -> None:
    """19,179 drafted over three positions: 6,393 steps; 1 + 0.8342 + 0.7291 + 0.6407 is the printed 3.20."""
    path = tmp_path / "post.md"
    shares = "  Position 0:                            83.42\n  Position 1:                            72.91\n"
    path.write_text(
        "Acceptance rate (%):                     73.47\nAcceptance length:                       3.20\n"
        f"Draft tokens:                            19179\n{shares}  Position 2:                            64.07\n"
    )
    a = document(path)["acceptance"]
    assert (a["steps"], a["drafted"], a["accepted"], a["tokens_per_step"]) == (6393, 19179, None, 3.2)
    assert a["marginal_by_position"] == pytest.approx([0.8342, 0.7291, 0.6407], abs=1e-6)


_HEAD = "category       samples  avg_prompt_t/s  avg_pred_t/s  avg_latency  accept_rate\n-------------  -------  --------------\n"
_COMPARED = "category  base_avg_pred_t/s  spec_avg_pred_t/s  decode_speedup  accept_rate\n--------  ---\n"
_MLX = (
    "Prompt: 24 tokens, 145.321 tokens-per-sec\nGeneration: 271 tokens, 77.200 tokens-per-sec\nPeak memory: 9.012 GB\n"
)
#: what a console prints -> (reader, steps, drafted, accepted, tokens per step, rate, tokens per second of the report)
CONSOLES: dict[str, tuple[Any, ...]] = {
    # `overall` is the mean of all categories; steps are not printed
    f"{_HEAD}coding         80       1812.44         88.12         11.984s      0.7421     \n"
    "overall        880      1755.12         70.41         14.322s      0.5712     \n": (
        "speed-bench-console", None, None, None, None, 0.5712, 70.41,
    ),
    # the same as a table of Markdown
    "| category | samples | avg_prompt_t/s | avg_pred_t/s | avg_latency | accept_rate |\n|---|---|---|---|---|---|\n"
    "| coding | 80 | 1812.44 | 88.12 | 11.984s | 0.7421 |\n| **overall** | 880 | 1755.12 | 70.41 | 14.322s | 0.5712 |\n": (
        "speed-bench-console", None, None, None, None, 0.5712, 70.41,
    ),
    f"{_COMPARED}overall   44.90              40.41              0.90x           0.3112     \n": (
        "speed-bench-console", None, None, None, None, 0.3112, 40.41,
    ),
    # 271 tokens, the first of the prefill: 270 in 45 rounds, of which 45 are the target's own: 225 accepted, 1 + 225 / 45
    f"{_MLX}Speculative decoding: 5.0 accepted tokens over 45 rounds\n": ("mlx-console", 45, None, 225, 6.0, None, 77.2),
    # 256 tokens, of which 151 were drafted: 105 rounds, 256 / 105
    "Generation stats:\n - Tokens per second: 53.44\n - Number of accepted draft tokens: 151\n - Time to first token: 0.35s\n"
    " - Total tokens generated: 256\n - Total time: 5.14s\n": ("mlx-console", 105, None, 151, 256 / 105, None, 53.44),
}  # fmt: skip


@pytest.mark.one_of(3)
@pytest.mark.parametrize("text", CONSOLES)
def test_consoles(text: str, tmp_path: Path) -> None:
    path = tmp_path / "run.txt"
    path.write_text(text)
    found = document(path)
    reader, steps, drafted, accepted, length, rate, speed = CONSOLES[text]
    a, time = found["acceptance"], found["time"]
    assert found["inputs"][0]["format"] == reader
    assert (a["steps"], a["drafted"], a["accepted"]) == (steps, drafted, accepted)
    assert (a["tokens_per_step"], a["rate_of_drafted"]) == (None if length is None else pytest.approx(length), rate)
    assert (time["tokens_per_second"] or time["engine_tokens_per_second"]) == pytest.approx(speed)
    assert [c["cause"] for c in found["causes"]] == ["verification-not-free"] * (rate == 0.3112)


def test_a_drafter_that_a_console_says_nothing_about_is_no_plain_run(tmp_path: Path) -> None:
    path = tmp_path / "run.txt"
    path.write_text(f"$ mlx_lm.generate --model a --draft-model b\n{_MLX}")
    found = document(path)
    assert "a drafter was given" in found["verdict"]["headline"]
    assert (found["time"]["tokens_per_second"], found["time"]["tokens_per_step"]) == (pytest.approx(77.2), None)


@pytest.mark.parametrize("name", ["resourceSpans", "resourceLogs"])
def test_telemetry_is_no_trace(name: str, tmp_path: Path) -> None:
    """A span of OpenTelemetry has a `kind`, and so has a line of a trace: the value tells them apart."""
    path = tmp_path / "spans.json"
    span = {
        "traceId": "a",
        "name": "generate",
        "kind": 2,
        "attributes": [{"key": "kind", "value": {"stringValue": "x"}}],
    }
    path.write_text(json.dumps({name: [{"scopeSpans": [{"spans": [span]}]}]}))
    assert open_one(str(path), None).format == "unrecognised"


def bench(speed: float, table: str = "", running: float = 16.0) -> str:
    return (
        "============ Serving Benchmark Result ============\nSuccessful requests:                     100       \n"
        f"Benchmark duration (s):                  {20000 / speed:.2f}     \nTotal generated tokens:                  20000     \n"
        f"Output token throughput (tok/s):         {speed:.2f}    \nConcurrency:                             {running:.2f}    \n{table}"
        "==================================================\n"
    )


DRAFTS = "Acceptance rate (%):                     55.00     \nAcceptance length:                       2.65      \n"
#: two runs in one paste -> (tokens per second of the report, the cause and its words)
PAIRS = {
    # 310 / 400
    ("slower", bench(400.0) + bench(310.0, DRAFTS)): (310.0, ["310.0 tokens/s at 2.65 tokens per step", "400.0 (0.78 times)"]),
    ("faster", bench(400.0) + bench(800.0, DRAFTS)): (800.0, None),
    ("other load", bench(400.0, running=64.0) + bench(310.0, DRAFTS)): (310.0, None),
    ("speed_bench_compare", f"{_COMPARED}overall   44.90              40.41              0.90x           0.3112     \n"): (
        40.41, ["40.4 tokens/s", "44.9 (0.90 times)"],
    ),
}  # fmt: skip


@pytest.mark.one_of(3)
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0])
def test_a_plain_run_beside_one_with_drafts_is_its_base(pair: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "post.md"
    path.write_text(pair[1])
    found = document(path)
    speed, says = PAIRS[pair]
    assert found["time"]["engine_tokens_per_second"] == pytest.approx(speed, rel=1e-3)
    told = [(c["cause"], c["certainty"]) for c in found["causes"] if c["cause"] != "low-acceptance"]
    assert told == ([] if says is None else [("verification-not-free", "suspected")])
    assert all(words in found["causes"][0]["headline"] for words in says or ())
