"""Traces scored by the engine: recorded p and decisions against its own, rejected tokens that no row lists asked for one by one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdtrace.api import replay
from tests.made.fake_engine import VOCAB, Engine, serving


def trace(
    engine: Engine, file: Path, *, fault: str = "", temperature: float = 1.0, requests: int = 6, steps: int = 14
) -> Path:
    """Format 1 as a recorder in the engine would write it: one-hot drafts, p of the drafted tokens, uniforms."""
    rng = np.random.default_rng(4)
    lines: list[dict[str, Any]] = [{
        "kind": "run", "format": 1, "run_id": "r", "engine": "vllm", "rule": "one-hot", "prob_basis": "processed", "prob_dtype": "float64",
    }]  # fmt: skip
    for n in range(requests):
        prompt = rng.integers(0, VOCAB, 6).tolist()
        lines.append({
            "kind": "request", "run_id": "r", "request_id": f"q{n}", "prompt_token_ids": prompt, "temperature": temperature, "top_p": 1.0,
            "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0,
        })  # fmt: skip
        tokens = list(prompt)
        for s in range(steps):
            step = _step(engine, tokens, rng, fault, temperature)
            lines.append(
                {"kind": "step", "run_id": "r", "request_id": f"q{n}", "step": s, "context_len": len(tokens), **step}
            )
            tokens += step["output_token_ids"]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def _step(
    engine: Engine, tokens: list[int], rng: np.random.Generator, fault: str, temperature: float
) -> dict[str, Any]:
    drafts: list[int] = []
    for _ in range(3):
        # now and then a token that no list of 20 holds
        drafts.append(int(rng.integers(VOCAB)) if rng.random() < 0.2 else engine.draft([*tokens, *drafts]))
    rows = [np.exp(engine.raw([*tokens, *drafts[:j]])) for j in range(4)]
    shown = [rows[0], *rows[:3]] if fault == "row" else rows
    p = [float(shown[j][drafts[j]]) for j in range(3)]
    if fault == "record":
        p = [x**0.5 for x in p]
    u = rng.random(3)
    greedy = temperature == 0
    right = [(int(np.argmax(rows[j])) == drafts[j]) if greedy else bool(u[j] <= p[j]) for j in range(3)]
    if fault == "forced":
        right = [ok or rng.random() < 0.3 for ok in right]
    n_a = right.index(False) if False in right else 3
    left = rows[n_a].copy()
    if n_a < 3:
        left[drafts[n_a]] = 0
    y = int(np.argmax(rows[n_a])) if greedy else int(rng.choice(VOCAB, p=left / left.sum()))
    found: dict[str, Any] = {"draft_token_ids": drafts, "num_accepted": n_a, "output_token_ids": [*drafts[:n_a], y]}
    found |= {"target_probs": p, "last_target_prob": float(rows[n_a][y])}
    return found | ({} if greedy else {"uniforms": u.tolist()})


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_right_trace_agrees(temperature: float, tmp_path: Path) -> None:
    engine = Engine()
    with serving(engine) as url:
        found = replay(trace(engine, tmp_path / "t.jsonl", temperature=temperature), verifier=url).document
    assert found["verdict"]["state"] in ("healthy", "cannot-tell"), found["causes"]
    assert [c for c in found["causes"] if c["certainty"] != "suspected"] == []
    assert found["replay"]["decisions"]["disagree"] == 0
    assert found["replay"]["decisions"]["agree"] > 80
    if temperature:
        assert found["replay"]["log_p"]["compared"] > 100
        branches = [a for a in engine.asked if len(a["prompt"]) < 6 + 40 and a.get("prompt_logprobs")]
        assert branches, "a rejected token that no row lists is asked for"


@pytest.mark.parametrize(
    ("fault", "temperature", "cause"),
    [
        ("forced", 1.0, "decision-mismatch"),
        ("forced", 0.0, "greedy-mismatch"),
        ("row", 1.0, "verifier-differs"),
        ("record", 1.0, "verifier-differs"),
    ],
)
def test_a_wrong_one_is_named(fault: str, temperature: float, cause: str, tmp_path: Path) -> None:
    engine = Engine()
    with serving(engine) as url:
        found = replay(trace(engine, tmp_path / "t.jsonl", fault=fault, temperature=temperature), verifier=url).document
    assert found["verdict"]["state"] == "wrong"
    assert cause in [c["cause"] for c in found["causes"]]
