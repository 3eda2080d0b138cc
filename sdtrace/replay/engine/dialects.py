"""How each engine is asked to score given ids, and how it is asked for tokens with logprobs; its answers as rows of RESPONSE."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sdtrace.readers.responses.position import Position, floored, joined, key
from sdtrace.replay.engine import llamacpp
from sdtrace.replay.engine.client import UNWILLING, Client, Engine, Job
from sdtrace.schema.responses import ScoredLists


def narrowed(engine: Engine, client: Client) -> Engine | None:
    """The engine asked for fewer of the best tokens, where it refused what it was asked and may do less."""
    return engine.fewer if UNWILLING in client.refused else None


def score(engine: Engine, ids: Sequence[int], begin: int) -> list[Job]:
    """What to ask for log probabilities of ids[begin:] given what stands before each, with the best of every row."""
    if engine.name == "llama.cpp":
        return llamacpp.score(ids, begin)
    if engine.name == "vllm":
        body: dict[str, Any] = {"model": engine.model, "prompt": list(ids), "max_tokens": 1, "temperature": 0.0}
        return [("/v1/completions", body | {"prompt_logprobs": engine.top})]
    params = {"max_new_tokens": 0, "temperature": 0.0}
    body = {"input_ids": list(ids), "sampling_params": params, "return_logprob": True}
    return [("/generate", body | {"logprob_start_len": max(begin - 1, 0), "top_logprobs_num": engine.top})]


def scored(engine: Engine, answers: Sequence[Any], ids: Sequence[int], begin: int) -> ScoredLists | None:
    """Lists of RESPONSE for ids[begin:]: raw logprobs of the engine's own model. None where the answers hold none."""
    if engine.name == "llama.cpp":
        return cast("ScoredLists | None", llamacpp.scored(answers, ids, begin))
    wanted, answer = range(begin, len(ids)), answers[0]
    positions = _vllm(answer, ids, wanted) if engine.name == "vllm" else _sglang(answer, ids, wanted)
    if positions is None:
        return None
    lists = joined(positions, "beside" if engine.name == "vllm" else "top")
    return cast("ScoredLists", lists | {"basis": "raw", "asked_k": engine.top})


def _vllm(answer: Any, ids: Sequence[int], wanted: range) -> list[Position] | None:
    choices = answer.get("choices")
    told = choices[0].get("prompt_logprobs") if isinstance(choices, list) and choices else None
    if not isinstance(told, list) or len(told) < len(ids):
        return None
    found = []
    for i in wanted:
        if not isinstance(told[i], Mapping):
            return None
        entries = [
            (int(t), floored(v.get("logprob"))) for t, v in told[i].items() if t.isdigit() and isinstance(v, Mapping)
        ]
        mine = dict(entries)
        found.append(Position.of(ids[i], mine.get(ids[i]), entries))
    return found


def _sglang(answer: Any, ids: Sequence[int], wanted: range) -> list[Position] | None:
    meta = answer.get("meta_info")
    told = meta.get("input_token_logprobs") if isinstance(meta, Mapping) else None
    top = meta.get("input_top_logprobs") if isinstance(meta, Mapping) else None
    if not isinstance(told, list) or not isinstance(top, list) or len(told) != len(top) or len(told) < len(wanted):
        return None
    found = []
    for i in wanted:
        at = i - len(ids)  # from the end: where the list begins depends on the release
        if told[at][1] != ids[i] or not isinstance(top[at], list):
            return None
        found.append(Position.of(ids[i], floored(told[at][0]), [(key(e[1], None), floored(e[0])) for e in top[at]]))
    return found


def complete(engine: Engine, prompt: Sequence[int] | str, given: Mapping[str, Any]) -> Job:
    """Tokens with their logprobs. `given`: max_tokens, temperature, seed (or None); everything else is said to be off (llama.cpp
    keeps its top-k). A prompt for llama.cpp is ids."""
    if engine.name == "llama.cpp":
        return llamacpp.complete([] if isinstance(prompt, str) else prompt, given, llamacpp.TOP)
    if engine.name == "vllm":
        return "/v1/completions", {
            "model": engine.model, "prompt": prompt if isinstance(prompt, str) else list(prompt), "max_tokens": given["max_tokens"],
            "temperature": given["temperature"], "top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0,
            "presence_penalty": 0.0, "frequency_penalty": 0.0, "seed": given.get("seed"), "logprobs": engine.top, "ignore_eos": True,
            "return_token_ids": True, "return_tokens_as_token_ids": True,
        }  # fmt: skip
    params = {
        "max_new_tokens": given["max_tokens"], "temperature": given["temperature"], "top_p": 1.0, "top_k": -1, "min_p": 0.0,
        "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "ignore_eos": True,
    }  # fmt: skip
    if given.get("seed") is not None:
        params["sampling_seed"] = given["seed"]
    body: dict[str, Any] = {"text": prompt} if isinstance(prompt, str) else {"input_ids": list(prompt)}
    return "/generate", body | {"sampling_params": params, "return_logprob": True, "top_logprobs_num": engine.top}
