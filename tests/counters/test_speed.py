"""Speed that stands in counts, by hand from the raw line: tokens per second, its load, the time of a step."""

import json
from pathlib import Path

import pytest

from tests.made.simulate import document
from tests.made.speed_lines import DECODE, llama, vllm

#: name -> (text, tokens/s of a request, tokens/s of the engine, running, ms of a step)
TABLE: dict[str, tuple[str, float | None, float | None, float | None, float | None]] = {
    # 100 tokens/s for 4 requests: 25 each; 2.5 tokens a step: 2.5 / 25 s
    "vllm": (vllm([(100.0, 4)] * 4, spec=True), 25.0, 100.0, 4.0, 100.0),
    # a plain step is a token: 1 / 25 s
    "vllm, plain": (vllm([(100.0, 4)] * 4, spec=False), 25.0, 100.0, 4.0, 40.0),
    # the window that begins and the one that ends with nothing running were idle in part
    "vllm, idle": (vllm([(100.0, 4), (50.0, 0), (20.0, 4), (100.0, 4)], spec=False), 25.0, 100.0, 4.0, 40.0),
    # (300 * 10 + 100 * 10) tokens in 20 s by (12 + 4) * 10 s of requests
    "vllm, two loads": (vllm([(300.0, 12), (100.0, 4)], spec=False), 25.0, 200.0, 8.0, 40.0),
    # 200 for 4: 50 each; 2 tokens a step: 2 / 50 s
    "sglang": ("".join(DECODE.format(s=s) + "\n" for s in range(5, 50, 5)), 50.0, 200.0, 4.0, 40.0),
    # 300 tokens in 8 s, one behind the other
    "llama.cpp, plain": (llama(1, 5000, 200, 10) + llama(2, 3000, 100, 20), 37.5, None, 1.0, 1000 / 37.5),
    # both from 10 s to 20 s: two at once
    "llama.cpp, two slots": (llama(1, 10000, 200, 20) + llama(2, 10000, 200, 20, 1), 20.0, None, 2.0, 50.0),
    # 200 tokens in 8 s
    "timings": (json.dumps({"predicted_n": 200, "predicted_ms": 8000.0}), 25.0, None, None, 40.0),
}  # fmt: skip


@pytest.mark.one_of(6)
@pytest.mark.parametrize("name", TABLE)
def test_by_hand(name: str, tmp_path: Path) -> None:
    text, one, whole, running, step = TABLE[name]
    path = tmp_path / ("r.json" if text.startswith("{") else "server.log")
    path.write_text(text)
    time = document(path)["time"]
    got = [time[n] for n in ("tokens_per_second", "engine_tokens_per_second", "running", "step_ms")]
    assert got == [want if want is None else pytest.approx(want) for want in (one, whole, running, step)]
    assert document(path)["inputs"][0]["losses"] == []


def test_an_acceptance_line_takes_the_time_of_its_request(tmp_path: Path) -> None:
    """One request is one row of speed, with its draft: 256 tokens in 8 s, 132 accepted in 123 steps."""
    head = "0.10.000.001 I slot print_timing: id  0 | task 1 |"
    rate = f"{head} draft acceptance = 0.30986 (  132 accepted /   426 generated), mean len =  2.07\n"
    path = tmp_path / "server.log"
    path.write_text(llama(1, 8000, 256, 10) + rate)
    found = document(path)
    assert (found["time"]["rows"], found["time"]["tokens_per_second"]) == (1, 32.0)
    assert found["time"]["tokens_per_step"] == pytest.approx(1 + 132 / 123)
    assert found["inputs"][0]["windows"] == 1


def test_counters_give_their_growth_over_time(tmp_path: Path) -> None:
    """Two samples 10 s apart: 500 tokens, of which 2 requests ran at both: 25 tokens/s each; 200 steps: 2.5 tokens a step."""
    for i, at in enumerate((1772445600, 1772445610)):
        told = {"generation_tokens_total": 1000 + 500 * i, "spec_decode_num_drafts_total": 100 + 200 * i}
        told |= {
            "spec_decode_num_draft_tokens_total": 300 + 600 * i,
            "spec_decode_num_accepted_tokens_total": 150 + 300 * i,
        }
        told |= {"num_requests_running": 2}
        text = "".join(f'vllm:{name}{{engine="0"}} {value}\n' for name, value in told.items())
        (tmp_path / f"{at}.prom").write_text(text)
    time = document(tmp_path)["time"]
    assert (time["tokens_per_second"], time["engine_tokens_per_second"], time["running"]) == (25.0, 50.0, 2.0)
    assert time["step_ms"] == pytest.approx(100.0)
