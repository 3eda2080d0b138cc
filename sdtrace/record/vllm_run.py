"""What the recorder says of an engine of vLLM and of its requests, whichever model runner serves them."""

import os
import time
from typing import Any

from sdtrace.record import settings
from sdtrace.record.known import Known
from sdtrace.record.writer import TraceWriter


def asked(given: Any, prompt: list[int], longest: int) -> Known:
    """A request from its SamplingParams, its prompt's ids and the engine's max_model_len."""
    stops = set(given.stop_token_ids or ()) | ({given.eos_token_id} if given.eos_token_id is not None else set())
    columns: dict[str, Any] = {
        "arrived_at": None,
        "prompt_len": len(prompt),
        "temperature": given.temperature,
        "top_p": given.top_p,
        "top_k": given.top_k if given.top_k and given.top_k > 0 else None,
        "min_p": given.min_p or None,
        "repetition_penalty": given.repetition_penalty,
        "presence_penalty": given.presence_penalty,
        "frequency_penalty": given.frequency_penalty,
        "seed": given.seed,
        "max_tokens": given.max_tokens,
        "stop_token_ids": sorted(stops),
    }
    if given.logit_bias:
        columns["tags"] = {"logit_bias": str(dict(given.logit_bias))}
    if os.environ.get("SDTRACE_RECORD_PROMPTS") == "1":
        columns["prompt_token_ids"] = prompt
    room = longest - len(prompt)
    return Known(columns, len(prompt), min(given.max_tokens or room, room), frozenset(stops))


def writer(runner: Any, **more: Any) -> TraceWriter:
    """The writer of an engine process; `more`: columns of its run line that its runner knows better."""
    import vllm

    config, spec = runner.vllm_config, runner.speculative_config
    method = getattr(spec, "method", None)
    known = ("draft_model", "eagle", "eagle3", "mtp", "medusa", "dflash", "ngram", "suffix")
    drawn = getattr(spec, "draft_sample_method", "greedy") == "probabilistic"
    rule = getattr(spec, "rejection_sample_method", "standard")
    run: dict[str, Any] = {
        "run_id": f"vllm-{int(time.time())}-{os.getpid()}",
        "engine": "vllm",
        "engine_version": vllm.__version__,
        "method": None if spec is None else method if method in known else "other",
        "target_model": config.model_config.model,
        "draft_model": getattr(spec, "model", None),
        "rule": {"standard": "ratio" if drawn else "one-hot"}.get(rule, rule),
        "draft_sampling": None if spec is None else "sampled" if drawn else "argmax",
        "num_draft_tokens": getattr(spec, "num_speculative_tokens", None),
        "prob_basis": "processed",
        "prob_dtype": "float32",
        "vocab_size": config.model_config.get_vocab_size(),
        "started_at": time.time(),
        "config": {
            "dtype": str(config.model_config.dtype).removeprefix("torch."),
            "device": str(runner.device),
            "tensor_parallel_size": config.parallel_config.tensor_parallel_size,
            "async_scheduling": bool(getattr(runner, "use_async_scheduling", False)),
        },
    }
    run["config"] |= more.pop("config", {})
    return settings.writer(run | more)
