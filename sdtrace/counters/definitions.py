"""One traffic under every engine's definitions: the same counts, other words, other numbers.

S steps that drafted, D drafted, A accepted (no bonus), E emitted tokens, k configured draft length, R requests, V every
verification: steps that drafted and steps that had no draft. V is what was counted, or follows from tokens: a request's
first token comes from its prefill, every step gives one token and those that it accepts, so V = E - R - A.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Totals:
    """Counts of one traffic; None where unknown. `lengths` are means by request (1 + A / S each), `steps` is V."""

    drafts: float | None
    drafted: float | None
    accepted: float | None
    emitted: float | None
    k: float | None
    steps: float | None = None
    lengths: Sequence[float] = ()
    requests: float | None = None


@dataclass(frozen=True)
class Definition:
    """What an engine or tool calls a figure, how it is made, and its value for this traffic."""

    key: str
    tool: str
    name: str
    formula: str
    value: float | None


def definitions(t: Totals) -> list[Definition]:
    """Every engine's figure for the same counts."""
    s, d, a, e, k = t.drafts, t.drafted, t.accepted, t.emitted, t.k
    v = verifications(t)
    length = _over(_sum(a, s), s)
    rate = _over(a, d)
    assumed = _product(s, k)
    nodes = _product(s, None if k is None else k + 1)
    mean = sum(t.lengths) / len(t.lengths) if t.lengths else None
    rows = [
        ("vllm", "vLLM 0.9+", "Mean acceptance length", "(A + S) / S", length),
        ("vllm 0.8.5", "vLLM 0.8.5", "Mean acceptance length", "A / S", _over(a, s)),
        ("vllm rate", "vLLM", "Avg Draft acceptance rate", "A / D", rate),
        ("vllm v0", "vLLM V0", "System efficiency", "(A + S) / (S (k + 1))", _over(_sum(a, s), nodes)),
        ("sglang", "SGLang", "accept len", "(A + S) / S", length),
        ("sglang rate", "SGLang 0.5.11+", "accept rate", "A / (S k)", _over(a, assumed)),
        ("sglang old rate", "SGLang to 0.5.10", "accept rate", "(A + S) / (S (k + 1))", _over(_sum(a, s), nodes)),
        ("sglang request", "SGLang", "spec_accept_length", "E / V", _over(e, v)),
        ("sglang request rate", "SGLang 0.5.9+", "spec_accept_rate", "A / (S k)", _over(a, assumed)),
        ("llama.cpp", "llama.cpp", "draft acceptance", "A / D", rate),
        ("llama.cpp length", "llama.cpp", "mean len", "1 + A / S", length),
        ("tensorrt-llm", "TensorRT-LLM", "acceptanceLength", "(A + S) / S", length),
        ("tensorrt-llm rate", "TensorRT-LLM", "acceptance_rate", "A / D", rate),
        ("tensorrt-llm gate", "TensorRT-LLM, old gate", "accepted_len", "A / S", _over(a, s)),
        ("aiperf", "AIPerf", "Acceptance Length", "mean over requests of 1 + A / S", mean),
        ("aiperf weighted", "AIPerf", "Token-Weighted Acceptance Length", "1 + A / S", length),
        (
            "aiperf rate",
            "AIPerf",
            "Overall Draft Acceptance Rate (%)",
            "100 A / D",
            None if rate is None else 100 * rate,
        ),
        ("aiperf verified", "AIPerf", "Accepted per Verified", "(A + S) / (D + S)", _over(_sum(a, s), _sum(d, s))),
        ("specforge", "SpecForge", "accept_length", "E / V", _over(e, v)),
        ("lmdeploy", "LMDeploy", "Mean acceptance length", "(A + S) / S", length),
        ("lmdeploy rate", "LMDeploy", "Draft acceptance rate", "A / (S k)", _over(a, assumed)),
        ("ollama", "Ollama", "avg_accepted", "A / V", _over(a, v)),
        ("spec-bench", "Spec-Bench", "Mean accepted tokens", "(A + S) / S", length),
        ("eagle", "EAGLE", "tau", "E / V", _over(e, v)),
    ]
    return [Definition(*row) for row in rows]


def verifications(t: Totals) -> float | None:
    """V. Trimmed tokens make it a little too small, never smaller than the steps that drafted; None where it is unknown."""
    if t.steps is not None:
        return t.steps
    if t.emitted is None or t.accepted is None or t.drafts is None:
        return t.drafts
    plain = t.emitted - t.accepted - t.drafts - (t.requests or 0.0)
    if t.requests is None and plain > 0.02 * t.emitted:  # first tokens of requests, or steps without a draft: which?
        return None
    return t.drafts + max(plain, 0.0)


def _over(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _product(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one * other
