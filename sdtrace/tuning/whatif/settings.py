"""A draft length as the engine at hand wants it set."""

import json
from collections.abc import Callable, Mapping, Sequence

Table = Sequence[tuple[int, int | None, int]]


def _vllm(tau: int) -> str:
    if tau == 0:
        return "leave --speculative-config out"
    return f"--speculative-config '{{..., \"num_speculative_tokens\": {tau}}}'"


def _sglang(tau: int) -> str:
    if tau == 0:
        return "leave --speculative-algorithm out"
    return f"--speculative-num-steps {tau} --speculative-eagle-topk 1 --speculative-num-draft-tokens {tau + 1}"


def _llamacpp(tau: int) -> str:
    return "leave --spec-draft-model out" if tau == 0 else f"--spec-draft-n-max {tau} (--draft-max {tau} before b9220)"


def _tensorrt(tau: int) -> str:
    return "leave speculative_config out" if tau == 0 else f"speculative_config: max_draft_len: {tau}"


def _transformers(tau: int) -> str:
    if tau == 0:
        return "call generate without assistant_model"
    return f'assistant_model.generation_config: num_assistant_tokens={tau}, num_assistant_tokens_schedule="constant"'


_ENGINES: Mapping[str, Callable[[int], str]] = {
    "vllm": _vllm,
    "sglang": _sglang,
    "llama.cpp": _llamacpp,
    "llamacpp": _llamacpp,
    "tensorrt-llm": _tensorrt,
    "tensorrt": _tensorrt,
    "transformers": _transformers,
}


def setting(engine: str | None, tau: int) -> str:
    """The flag that sets a fixed draft length (documentation of each engine, 2026)."""
    known = _ENGINES.get((engine or "").lower())
    if known is not None:
        return known(tau)
    return "switch speculation off" if tau == 0 else f"set the number of drafted tokens to {tau}"


def batch_table(engine: str | None, table: Table) -> str | None:
    """The flag that sets lengths by batch size; rows are (first, last or None, tau). None where the engine has none."""
    name = (engine or "").lower()
    if name == "vllm":
        rows = [[first, last if last is not None else 1 << 20, tau] for first, last, tau in table]
        most = max(tau for _, _, tau in table)
        config = {"num_speculative_tokens": most, "num_speculative_tokens_per_batch_size": rows}
        return f"--speculative-config '{{..., {json.dumps(config)[1:-1]}}}'"
    if name in ("tensorrt", "tensorrt-llm"):
        most = max(tau for _, _, tau in table)
        words = (
            "lower ends of the batch sizes in some releases, upper ends in others: see the release's own description"
        )
        return f"speculative_config: max_draft_len: {most}, draft_len_schedule (its keys are {words})"
    return None
