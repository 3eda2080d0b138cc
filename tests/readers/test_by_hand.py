"""Logs of engines: from the raw line to the figure, by hand. Consoles and records have theirs in test_tools.py and test_records.py,
llama.cpp in test_llamacpp_counts.py."""

from pathlib import Path

import pytest

from tests.made.engine_texts import TEXTS
from tests.made.simulate import document

#: text -> (steps, drafted, accepted, tokens per step, accepted of drafted)
TABLE: dict[str, tuple[int | None, int | None, int | None, float, float | None]] = {
    # 80 drafted, 8 a step: 10 steps; 12 emitted in 10 steps: 1.2 each, of which 0.2 accepted. "Number of accepted tokens: 44"
    # counts behind the first rejection and is not used
    "vllm-v0": (10, 80, 2, 1.2, 2 / 80),
    # "Mean acceptance length: 1.00" is without the bonus in 0.8.5: 0.5 + 0.5 + 0.0; 6 drafted, 3 a step: 2 steps; 1 + 2/2
    "vllm-0.8.5": (2, 6, 2, 2.0, 2 / 6),
    # an idle window prints nan: no step, so the others' count
    "vllm-0.8.5 idle": (2, 6, 2, 2.0, 2 / 6),
    # 609 drafted, 3 a step: 203 steps; 1 + 206/203
    "vllm-0.11": (203, 609, 206, 1 + 206 / 203, 206 / 609),
    # means of lines alone: (2.16 + 2.58) / 2 and (0.39 + 0.53) / 2
    "sglang-0.5.20": (None, None, None, 2.37, 0.46),
    # bonus counted: (2.20 + 1.80) / 2; "accept rate" 0.55 and 0.45 are 2.20/4 and 1.80/4: k = 3, (1.20 + 0.80) / 2 / 3
    "sglang-0.5.3": (None, None, None, 2.0, 1 / 3),
    # 120 drafted, 3 shares printed: 40 steps; 1 + 52/40
    "lmdeploy": (40, 120, 52, 2.3, 52 / 120),
    # iterations are steps: 1 + 424/133
    "ollama": (133, 502, 424, 1 + 424 / 133, 424 / 502),
    # printed as it is
    "dynamo": (None, None, None, 2.318, None),
    # avg_decoded counts the token of the target: printed as it is
    "tensorrt-llm": (None, None, None, 1.62, None),
    # token-weighted length, overall rate
    "aiperf-console": (None, None, None, 3.2, 0.468),
    # rounds are steps: 1 + 440/200
    "ik-llama": (200, 600, 440, 3.2, 440 / 600),
}

_IDLE = "INFO 05-01 10:00:10 [metrics.py:82] SpecDecoding metrics: Draft acceptance rate: nan%, Mean acceptance length: nan, Accepted: 0 "
#: Texts of this file alone.
OWN = {
    "vllm-0.8.5 idle": TEXTS["vllm-0.8.5"]
    + f"{_IDLE}tokens, Drafted: 0 tokens, Per-position acceptance rate: nan, nan, nan\n"
}


@pytest.mark.one_of(6)
@pytest.mark.parametrize("name", TABLE)
def test_by_hand(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(TEXTS[name] if name in TEXTS else OWN[name])
    a = document(path)["acceptance"]
    steps, drafted, accepted, length, rate = TABLE[name]
    assert (a["steps"], a["drafted"], a["accepted"]) == (steps, drafted, accepted)
    assert a["tokens_per_step"] == pytest.approx(length)
    assert a["rate_of_drafted"] == (None if rate is None else pytest.approx(rate))
