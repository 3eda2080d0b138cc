"""The shapes in which engines answer, filled with made lists: vLLM completions and chat, SGLang /generate, llama.cpp /completion."""

import math
from collections.abc import Callable
from typing import Any

from sdtrace.schema.json_values import Json

Lists = dict[str, Any]


def _masked(value: float) -> float:
    """vLLM writes -inf so."""
    return -9999.0 if value == -math.inf else value


def _completion(asked: Any, lists: Lists, prompt: list[int], finish: str, n: int) -> Json:
    top = []
    for token, value, listed in zip(lists["tokens"], lists["logprobs"], lists["top"], strict=True):
        told = {f"token_id:{i}": _masked(v) for i, v in listed}
        top.append(told | {f"token_id:{token}": _masked(value)})
    logprobs = {
        "tokens": [f"token_id:{t}" for t in lists["tokens"]],
        "token_logprobs": list(map(_masked, lists["logprobs"])),
        "top_logprobs": top,
        "text_offset": [],
    }
    choice = {"index": 0, "text": "", "logprobs": logprobs, "finish_reason": finish, "stop_reason": None}
    choice |= {"token_ids": lists["tokens"], "prompt_token_ids": prompt}
    usage = {"prompt_tokens": len(prompt), "completion_tokens": len(lists["tokens"]) + (finish == "stop")}
    return {"id": f"cmpl-{n}", "object": "text_completion", "model": "made", "choices": [choice], "usage": usage}


def _chat(asked: Any, lists: Lists, prompt: list[int], finish: str, n: int) -> Json:
    content = []
    for token, value, listed in zip(lists["tokens"], lists["logprobs"], lists["top"], strict=True):
        # the emitted token is always one of the k: vLLM puts it first and stops after k
        told = [(token, value), *((i, v) for i, v in listed if i != token)][: asked.k]
        top = [{"token": f"token_id:{i}", "logprob": _masked(v), "bytes": None} for i, v in told]
        content.append({"token": f"token_id:{token}", "logprob": _masked(value), "bytes": None, "top_logprobs": top})
    choice = {"index": 0, "message": {"role": "assistant", "content": ""}, "logprobs": {"content": content}}
    choice |= {"finish_reason": finish, "stop_reason": None, "token_ids": lists["tokens"]}
    found = {"id": f"chatcmpl-{n}", "object": "chat.completion", "model": "made", "choices": [choice]}
    usage = {"completion_tokens": len(lists["tokens"]) + (finish == "stop")}
    return found | {"prompt_token_ids": prompt, "usage": usage}


def _sglang(asked: Any, lists: Lists, prompt: list[int], finish: str, n: int) -> Json:
    told = [[v, t, None] for t, v in zip(lists["tokens"], lists["logprobs"], strict=True)]
    top = [[[v, i, None] for i, v in listed] for listed in lists["top"]]
    meta = {"id": f"sgl-{n}", "finish_reason": {"type": finish}, "prompt_tokens": len(prompt)}
    meta |= {"output_token_logprobs": told, "output_top_logprobs": top}
    return {"text": "", "output_ids": lists["tokens"], "meta_info": meta}


def _llamacpp(asked: Any, lists: Lists, prompt: list[int], finish: str, n: int) -> Json:
    after = asked.basis == "processed"

    def entry(i: int, v: float) -> Json:
        return {"id": i, "token": "", "bytes": []} | ({"prob": math.exp(v)} if after else {"logprob": v})

    told = [
        entry(t, v) | {"top_probs" if after else "top_logprobs": [entry(i, w) for i, w in listed if w > -math.inf]}
        for t, v, listed in zip(lists["tokens"], lists["logprobs"], lists["top"], strict=True)
    ]
    settings = {
        "temperature": asked.temperature, "top_k": asked.top_k, "top_p": asked.top_p, "min_p": asked.min_p,
        "repeat_penalty": asked.repetition_penalty, "presence_penalty": asked.presence_penalty,
        "frequency_penalty": asked.frequency_penalty, "n_probs": asked.k, "seed": 4294967295,
        "samplers": ["temperature", "min_p", "top_k", "top_p"],
    }  # fmt: skip
    return {
        "content": "", "tokens": lists["tokens"], "stop": True, "stop_type": "limit" if finish == "length" else "eos",
        "model": "made", "generation_settings": settings, "tokens_predicted": len(told) + (finish == "stop"),
        "completion_probabilities": told,
    }  # fmt: skip


SHAPES: dict[str, Callable[[Any, Lists, list[int], str, int], Json]] = {
    "completion": _completion,
    "chat": _chat,
    "sglang": _sglang,
    "llamacpp": _llamacpp,
}
