"""Traces of an engine whose p is wrong in a known way, and whose decisions follow: context, positions, parameters, weights of `Deep`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.made.fake_engine import VOCAB, Deep, coarse

#: Requests as they are asked; a token of the prompt that stands for its template.
ASKED = {"temperature": 0.8, "top_k": 20, "top_p": 0.9}
SPECIAL = 3
PARAMETERS: dict[str, dict[str, float]] = {
    "temperature-ignored": {"temperature": 1.0},
    "temperature-twice": {"temperature": 0.64},
    "top-k-ignored": {"top_k": 0},
    "top-p-ignored": {"top_p": 1.0},
}
CONTEXTS = ("not-rolled-back", "stale-entries", "first-token-dropped", "template-dropped")
POSITIONS = ("positions-ahead", "positions-behind", "positions-drift-on-rejection")
WEIGHTS = ("precision-bfloat16", "quantised-Q4_0", "another-checkpoint")
FAULTS = (*PARAMETERS, *CONTEXTS, *POSITIONS, "row-before", *WEIGHTS)


def shaped(logits: np.ndarray, given: dict[str, float]) -> np.ndarray:
    """p after temperature, top-k and top-p, in vLLM's order."""
    z = logits / given["temperature"]
    if given["top_k"]:
        z = np.where(z < np.sort(z)[-int(given["top_k"])], -np.inf, z)
    p = np.exp(z - z.max())
    p /= p.sum()
    order = np.argsort(-p, kind="stable")
    before = np.cumsum(p[order]) - p[order]
    p[order[before >= given["top_p"]]] = 0.0
    return np.asarray(p / p.sum())


@dataclass
class Verifier:
    """The target's side of a broken engine: what it holds of a text."""

    model: Deep
    prompt: list[int]
    fault: str
    text: list[int] = field(default_factory=list)  #: emitted
    held: list[int] = field(default_factory=list)  #: emitted, and rejected tokens where they stand
    rejections: int = 0

    def row(self, drafts: Sequence[int], asked: dict[str, float]) -> np.ndarray:
        """p behind the text and some drafted tokens."""
        prompt, kept = self.prompt, self.text
        if self.fault in ("not-rolled-back", "stale-entries"):
            kept = self.held
        if self.fault == "first-token-dropped":
            prompt = prompt[1:]
        if self.fault == "template-dropped":
            prompt = [t for t in prompt if t != SPECIAL]
        tokens = [*prompt, *kept, *drafts]
        if self.fault == "row-before":
            tokens = tokens[:-1]
        at = len(tokens)
        if self.fault == "stale-entries":
            at = len(self.prompt) + len(self.text) + len(drafts)
        by = {"positions-ahead": 1, "positions-behind": -1, "positions-drift-on-rejection": self.rejections}
        # the row behind the prompt alone is of the prompt's own pass, which stands right
        logits = self.model.logits(tokens, at + (by.get(self.fault, 0) if self.text or drafts else 0))
        if self.fault == "precision-bfloat16":
            logits = coarse(logits)
        if self.fault == "quantised-Q4_0":
            logits = np.round(logits / 0.4) * 0.4
        return shaped(logits, asked | PARAMETERS.get(self.fault, {}))

    def keep(self, drafts: list[int], n_a: int, y: int) -> None:
        """After a decision."""
        self.text += [*drafts[:n_a], y]
        self.held += [*drafts, y]
        self.rejections += n_a < len(drafts)


def trace(
    file: Path,
    fault: str = "",
    requests: int = 5,
    steps: int = 16,
    asked: dict[str, float] | None = None,
    dtype: str | None = None,
) -> Path:
    """Format 1; one-hot drafts of a drafter that is right about half of the time. `dtype`: the precision that the run says."""
    rng, given, sound = np.random.default_rng(8), asked or ASKED, Deep()
    model = Deep(model=50) if fault == "another-checkpoint" else sound
    run = {
        "kind": "run",
        "format": 1,
        "run_id": "r",
        "engine": "vllm",
        "rule": "one-hot",
        "prob_basis": "processed",
        "prob_dtype": "float64",
        "config": {} if dtype is None else {"dtype": dtype},
    }
    lines: list[dict[str, Any]] = [run]
    for n in range(requests):
        prompt = [11 + n, SPECIAL, *rng.integers(10, VOCAB, 5).tolist()]
        off = {"min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
        lines.append(
            {"kind": "request", "run_id": "r", "request_id": f"q{n}", "prompt_token_ids": prompt, **given, **off}
        )
        verifier = Verifier(model, prompt, fault)
        for s in range(steps):
            at = len(prompt) + len(verifier.text)
            row = step(verifier, sound, rng, given)
            lines.append({"kind": "step", "run_id": "r", "request_id": f"q{n}", "step": s, "context_len": at, **row})
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def step(verifier: Verifier, drafter: Deep, rng: np.random.Generator, asked: dict[str, float]) -> dict[str, Any]:
    """One verification of three drafted tokens."""
    drafts: list[int] = []
    for _ in range(3):
        here = [*verifier.prompt, *verifier.text, *drafts]
        drafts.append(int(rng.choice(np.argsort(-drafter.logits(here))[:3])))
    rows = [verifier.row(drafts[:j], asked) for j in range(4)]
    p, u = [float(rows[j][drafts[j]]) for j in range(3)], rng.random(3)
    right = [bool(u[j] <= p[j]) for j in range(3)]
    n_a = right.index(False) if False in right else 3
    left = rows[n_a].copy()
    if n_a < 3 and left[drafts[n_a]] < 1:
        left[drafts[n_a]] = 0
    y = int(rng.choice(VOCAB, p=left / left.sum()))
    verifier.keep(drafts, n_a, y)
    found: dict[str, Any] = {"draft_token_ids": drafts, "num_accepted": n_a, "output_token_ids": [*drafts[:n_a], y]}
    return found | {"target_probs": p, "last_target_prob": float(rows[n_a][y]), "uniforms": u.tolist()}
