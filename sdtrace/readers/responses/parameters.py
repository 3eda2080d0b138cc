"""What a request asked of the sampler, from the request kept beside a response, or from what the engine echoes.

What is not said is unknown: servers fill in defaults of their own (vLLM and SGLang those of the model's
generation_config.json: temperature, top-p, top-k, min-p, repetition penalty).
"""

import math
from collections.abc import Mapping
from typing import Any

#: What a request may hold without any of it changing what a token is drawn from.
_HARMLESS = frozenset({
    "model", "prompt", "messages", "text", "input_ids", "prompt_token_ids", "suffix",
    "max_tokens", "max_completion_tokens", "max_new_tokens",
    "n_predict", "stream", "stream_options", "logprobs", "top_logprobs", "prompt_logprobs", "n", "seed", "sampling_seed", "user", "stop",
    "stop_token_ids", "ignore_eos", "include_stop_str_in_output", "skip_special_tokens", "spaces_between_special_tokens",
    "return_token_ids", "return_tokens", "return_tokens_as_token_ids", "add_special_tokens", "chat_template",
    "chat_template_kwargs", "add_generation_prompt", "continue_final_message", "priority", "request_id", "rid", "return_logprob",
    "top_logprobs_num", "logprob_start_len", "return_text_in_logprobs", "token_ids_logprob", "sampling_params", "n_probs",
    "post_sampling_probs", "cache_prompt", "id_slot", "timings_per_token", "n_keep", "t_max_predict_ms", "truncate_prompt_tokens",
    "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "repeat_penalty",
    "repeat_last_n", "metadata", "store", "service_tier", "echo", "no_stop_trim", "n_discard", "n_indent", "lora", "stop_regex",
    "samplers", "dynatemp_exponent", "dry_base", "dry_allowed_length", "dry_penalty_last_n", "dry_sequence_breakers",
    "xtc_threshold", "mirostat_tau", "mirostat_eta", "min_keep", "chat_format", "reasoning_format", "reasoning_in_content",
    "generation_prompt", "thinking_forced_open", "return_progress", "response_fields", "preserved_tokens", "grammar_triggers",
    "backend_sampling", "around_stop", "safety_identifier", "parallel_tool_calls", "verbosity", "cache_salt", "adaptive_decay",
    "return_meta_info", "background", "stop_trim", "detokenize", "output_kind", "skip_clone", "reasoning_effort", "include_reasoning",
    "prediction", "kv_transfer_params", "bootstrap_host", "bootstrap_port", "bootstrap_room", "lora_path", "session_params",
    "return_hidden_states", "modalities", "image_data", "mm_processor_kwargs",
})  # fmt: skip
#: What switches something on that does: name -> values that leave it off (null always does).
_OFF: dict[str, tuple[Any, ...]] = {
    "logit_bias": ({}, []),
    "allowed_token_ids": ([],),
    "bad_words": ([],),
    "min_tokens": (0,),
    "min_new_tokens": (0,),
    "min_completion_tokens": (0,),
    "best_of": (1,),
    "use_beam_search": (False,),
    "length_penalty": (1, 1.0),
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "tool_choice": ("none",),
    "grammar": ("",),
    "grammar_lazy": (False,),
    "json_schema": ({}, ""),
    "mirostat": (0,),
    "dynatemp_range": (0, 0.0),
    "xtc_probability": (0, 0.0),
    "dry_multiplier": (0, 0.0),
    "typical_p": (1, 1.0),
    "typ_p": (1, 1.0),
    "top_n_sigma": (-1, -1.0, 0, 0.0),
    "tfs_z": (1, 1.0),
    "adaptive_target": (-1, -1.0, 0),
    "custom_params": ({},),
    "watermarking": (False,),
}
#: Settings of speculation that llama.cpp echoes: they change how tokens are drafted, not what they are drawn from.
_SPECULATION = "speculative."


#: Engines that go on after an end of text where they are told to; others forbid it.
_GO_ON = ("vllm", "sglang")


def parameters(asked: Mapping[str, Any] | None, engine: str = "") -> dict[str, Any]:
    """Columns of RESPONSE from a request to an engine (its body, with SGLang's `sampling_params` inside)."""
    if asked is None:
        return {}
    inner = asked.get("sampling_params")
    given: dict[str, Any] = {**asked, **inner} if isinstance(inner, Mapping) else dict(asked)
    extra = given.pop("extra_body", None)
    given.update(extra if isinstance(extra, Mapping) else {})
    found: dict[str, Any] = {
        "temperature": number(given.get("temperature")),
        "top_p": number(given.get("top_p")),
        "top_k": _top_k(given.get("top_k")),
        "min_p": number(given.get("min_p")),
        "repetition_penalty": number(given.get("repetition_penalty", given.get("repeat_penalty"))),
        "presence_penalty": number(given.get("presence_penalty")) or 0.0,
        "frequency_penalty": number(given.get("frequency_penalty")) or 0.0,
        "seed": _seed(given.get("seed", given.get("sampling_seed"))),
        "asked_k": _asked_k(given),
        "stops": 4 if given.get("stop") or given.get("stop_regex") else 1,
        "steered": "ignore_eos" if given.get("ignore_eos") is True and engine not in _GO_ON else steered(given),
    }
    ids = given.get("prompt_token_ids", given.get("input_ids", given.get("prompt")))
    if isinstance(ids, list) and ids and all(isinstance(i, int) and not isinstance(i, bool) for i in ids):
        found["prompt_token_ids"] = ids
    return found


def steered(given: Mapping[str, Any]) -> str | None:
    """The name of the first thing in a request that forces tokens or changes their chances beyond the sampling parameters."""
    if given.get("echo") is True:
        return "echo"
    for name, value in given.items():
        if value is None or name in _HARMLESS or name.startswith(_SPECULATION):
            continue
        if name not in _OFF or not any(value == off for off in _OFF[name]):
            return str(name)[:60]
    return None


def _top_k(value: Any) -> int | None:
    """0 for the spellings of none: -1, 0, and SGLang's 1 << 30."""
    found = whole(value)
    return None if found is None else 0 if found <= 0 or found >= 1 << 30 else found


def _seed(value: Any) -> int | None:
    """None for what stands for a random one: vLLM's and llama.cpp's -1."""
    found = whole(value)
    return None if found == -1 else found


def _asked_k(given: Mapping[str, Any]) -> int | None:
    for name in ("top_logprobs_num", "n_probs", "top_logprobs", "logprobs"):
        value = given.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def number(value: Any) -> float | None:
    """A finite number; None for anything else."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None


def whole(value: Any) -> int | None:
    """An integer within 64 bits; None for anything else."""
    good = isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 63
    return int(value) if good else None
