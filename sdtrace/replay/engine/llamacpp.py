"""llama.cpp as verifier: it scores no given ids, but it tells the row behind any prompt, one request a position.

One token is asked for behind ids[:i], with the raw log probabilities of the best ones beside it (`n_probs`); the prompt is cached, so that
each costs one token. Nothing is drafted for a single token, so that its row is told whatever the server speculates with.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sdtrace.readers.responses.position import Position, floored, joined, key

#: Tokens listed at each position: more than the chain's top-k of 40, so that what it keeps is known whole.
TOP = 100
#: The chain's own default, said: with it the candidates stand best first, which the draw of a seed depends on.
TOP_K = 40


def score(ids: Sequence[int], begin: int) -> list[tuple[str, dict[str, Any]]]:
    """A request for each of ids[begin:]."""
    return [
        ("/completion", {
            "prompt": list(ids[:i]), "n_predict": 1, "n_probs": TOP, "post_sampling_probs": False, "temperature": 0.0,
            "top_k": TOP_K, "cache_prompt": True,
        })
        for i in range(begin, len(ids))
    ]  # fmt: skip


def scored(answers: Sequence[Any], ids: Sequence[int], begin: int) -> dict[str, Any] | None:
    """Lists of RESPONSE for ids[begin:]; None where a row is missing. A token that is none of the listed ones has at most the last
    one's log probability: that stands for it, and `unlisted` says at which places."""
    found, unlisted = [], []
    for i, answer in zip(range(begin, len(ids)), answers, strict=True):
        row = _row(answer)
        if not row:
            return None
        mine = dict(row)
        if ids[i] not in mine:
            unlisted.append(i - begin)
        found.append(Position.of(ids[i], mine.get(ids[i], min(mine.values())), row))
    return joined(found, "top") | {"basis": "raw", "asked_k": TOP, "temperature_last": True, "unlisted": unlisted}


def _row(answer: Any) -> list[tuple[int, float]]:
    told = answer.get("completion_probabilities") if isinstance(answer, Mapping) else None
    first = told[0] if isinstance(told, list) and told else None
    top = first.get("top_logprobs") if isinstance(first, Mapping) else None
    entries = [
        (key(one.get("id"), one.get("token")), floored(one.get("logprob")))
        for one in (top if isinstance(top, list) else ())
        if isinstance(one, Mapping)
    ]
    return [(token, value) for token, value in entries if value is not None]


def complete(prompt: Sequence[int], given: Mapping[str, Any], k: int) -> tuple[str, dict[str, Any]]:
    """Tokens with their log probabilities; what is drafted comes without them."""
    body = {
        "prompt": list(prompt), "n_predict": given["max_tokens"], "temperature": given["temperature"], "top_k": TOP_K,
        "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repeat_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0,
        "dry_multiplier": 0.0, "xtc_probability": 0.0, "n_probs": k, "cache_prompt": False, "return_tokens": True,
    }  # fmt: skip
    return "/completion", body | ({} if given.get("seed") is None else {"seed": given["seed"]})
