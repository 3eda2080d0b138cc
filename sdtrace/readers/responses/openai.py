"""OpenAI completions and chat completions, as vLLM, SGLang, llama.cpp and others answer them, whole or chunk by chunk.

A completion lists the top k and the emitted token beside them. A chat completion of vLLM lists k tokens of which the emitted
one is always one, so that the k-th best may be missing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sdtrace.readers.responses.parameters import whole
from sdtrace.readers.responses.position import Position, floored, joined, key

Node = Mapping[str, Any]
#: Fields of a choice that only TensorRT-LLM's server has (serve/openai_protocol.py).
_TENSORRT = frozenset({"avg_decoded_tokens_per_iter", "disaggregated_params", "context_logits", "mm_embedding_handle"})


def rows(node: Node) -> Iterator[dict[str, Any]]:
    """Columns of RESPONSE, one dict a choice that has logprobs."""
    choices = node.get("choices")
    for n, choice in enumerate(choices if isinstance(choices, list) else ()):
        if not isinstance(choice, Mapping) or not isinstance(choice.get("logprobs"), Mapping):
            continue
        held = choice["logprobs"]
        found = _chat(held) if isinstance(held.get("content"), list) else _completion(held)
        if found is None:
            continue
        ids = choice.get("token_ids")
        if isinstance(ids, list) and len(ids) == len(found) and all(whole(i) is not None for i in ids):
            found = [_with_id(position, i) for position, i in zip(found, ids, strict=True)]
        prompt = choice.get("prompt_token_ids", node.get("prompt_token_ids"))
        more = (
            {"prompt_token_ids": prompt}
            if isinstance(prompt, list) and all(whole(i) is not None for i in prompt)
            else {}
        )
        usage = node.get("usage")
        counted = (
            whole(usage.get("completion_tokens")) if isinstance(usage, Mapping) and len(choices or ()) == 1 else None
        )
        yield joined(found, "among" if isinstance(held.get("content"), list) else "beside") | more | {
            "request_id": node.get("id"),
            "choice": whole(choice.get("index")) if "index" in choice else n,
            "engine": engine(node, choice),
            "version": node.get("system_fingerprint"),
            "model": node.get("model"),
            "finish_reason": choice.get("finish_reason"),
            "completion_tokens": counted,
        }  # fmt: skip


def engine(node: Node, choice: Node) -> str:
    """Whose answer it is, where a field of its own tells. TensorRT-LLM has vLLM's fields and more; what is null it leaves out."""
    if _TENSORRT & choice.keys() or ("token_ids" in choice and "finish_reason" not in choice):
        return "openai"
    if "timings" in node or str(node.get("system_fingerprint") or "").startswith("b"):
        return "llama.cpp"
    if "metadata" in node or "matched_stop" in choice:
        return "sglang"
    if "stop_reason" in choice or "prompt_logprobs" in node or "kv_transfer_params" in node or "token_ids" in choice:
        return "vllm"
    return "openai"


def _with_id(position: Position, token: int) -> Position:
    """The position with the id of its emitted token, in the list too; other listed tokens keep their text's number."""
    top = [token if one == position.token else one for one in position.top]
    return Position(token, position.logprob, top, position.top_logprobs)


def _completion(held: Node) -> list[Position] | None:
    tokens, logprobs, top = held.get("tokens"), held.get("token_logprobs"), held.get("top_logprobs")
    if not isinstance(tokens, list) or not isinstance(logprobs, list) or len(tokens) != len(logprobs):
        return None
    tops = top if isinstance(top, list) and len(top) == len(tokens) else [None] * len(tokens)
    found = []
    for token, logprob, listed in zip(tokens, logprobs, tops, strict=True):
        mine = listed if isinstance(listed, Mapping) else {}
        # two ids of one text are one entry of an object: what it lists there is not known
        lost = any("\ufffd" in str(text) for text in (token, *mine))
        entries = [] if lost else [(key(None, text), floored(value)) for text, value in mine.items()]
        found.append(Position.of(key(None, token), floored(logprob), entries))
    return found


def _chat(held: Node) -> list[Position] | None:
    found = []
    for one in held["content"]:
        if not isinstance(one, Mapping):
            return None
        listed = one.get("top_logprobs")
        entries = [
            (_token(other), floored(other.get("logprob")))
            for other in (listed if isinstance(listed, list) else ())
            if isinstance(other, Mapping)
        ]
        found.append(Position.of(_token(one), floored(one.get("logprob")), entries))
    return found


def _token(one: Node) -> int:
    """A token by its id, its bytes, or its text."""
    spelled = one.get("bytes")
    text = one.get("token")
    if isinstance(spelled, list) and "\ufffd" in str(text):
        text = f"bytes:{spelled}"
    return key(one.get("id"), text)
