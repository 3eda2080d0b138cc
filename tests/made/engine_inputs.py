"""What engines in small have written: responses with ids, with texts only, and traces, for a replay through an engine."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.made.fake_engine import VOCAB, Engine, completion, generate, templated

#: Stands in every prompt of `answers`: no artefact may hold it.
CANARY = "CANARY-of-a-customer"


def kept(
    engine: Engine, file: Path, *, n: int = 8, tokens: int = 24, temperature: float = 1.0, sglang: bool = False
) -> Path:
    """Responses of the engine with their requests."""
    rng, lines = np.random.default_rng(3), []
    for _ in range(n):
        prompt = rng.integers(0, 200, 6).tolist()
        if sglang:
            params = {"temperature": temperature, "max_new_tokens": tokens, "top_p": 1.0, "top_k": -1, "min_p": 0.0}
            params |= {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
            asked: dict[str, Any] = {
                "input_ids": prompt,
                "sampling_params": params,
                "return_logprob": True,
                "top_logprobs_num": 20,
            }
            answer = generate(engine, asked)
        else:
            asked = {
                "prompt": prompt,
                "max_tokens": tokens,
                "temperature": temperature,
                "logprobs": 20,
                "top_p": 1.0,
                "top_k": -1,
            }
            asked |= {"min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
            answer = completion(engine, asked)
        lines.append(json.dumps({"request": asked, "response": answer}))
    file.write_text("\n".join(lines) + "\n")
    return file


def answers(
    file: Path, engine: Engine, *, chat: bool = False, temperature: float = 0.0, n: int = 8, **change: Any
) -> Path:
    """Requests with their answers as a client of the OpenAI interface keeps them: texts and counts, no ids."""
    lines = []
    for i in range(n):
        words = f"{CANARY} asks question number {i}"
        messages = [{"role": "user", "content": words}]
        asked: dict[str, Any] = {"max_tokens": 24, "temperature": temperature, "top_p": 1.0, "top_k": -1, "min_p": 0.0}
        asked |= {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
        made = completion(engine, asked | {"prompt": templated(messages) if chat else words})
        choice = made["choices"][0]
        text, kept = choice["text"], {"index": 0, "finish_reason": "length"}
        kept |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        answer = {
            "id": f"a{i}",
            "object": "x",
            "model": "fake",
            "choices": [kept],
            "usage": dict(made["usage"]),
        } | change
        lines.append(
            json.dumps({"request": asked | ({"messages": messages} if chat else {"prompt": words}), "response": answer})
        )
    file.write_text("\n".join(lines) + "\n")
    return file


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
