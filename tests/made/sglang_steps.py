"""SGLang's seeded speculation in small: drafts in a chain, coins by its keys, answers as /generate gives them. It shares no law."""

from typing import Any

import numpy as np

V, PROMPT = 200, 11


def _hash(*words: int) -> int:
    """MurmurHash3_x86_32 of whole words, seed 0."""
    h = 0
    for k in words:
        k = k * 0xCC9E2D51 & 0xFFFFFFFF
        h ^= ((k << 15 | k >> 17) & 0xFFFFFFFF) * 0x1B873593 & 0xFFFFFFFF
        h = ((h << 13 | h >> 19) & 0xFFFFFFFF) * 5 + 0xE6546B64 & 0xFFFFFFFF
    h ^= 4 * len(words)
    h = (h ^ h >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return h ^ h >> 16


def coin(seed: int, before: int, column: int) -> float:
    """Of a step whose root stands behind `before` tokens."""
    drawn = np.float32(_hash(seed & 0xFFFFFFFF, seed >> 32, before, column) / (2**32 - 1))
    return float(min(drawn, np.float32(1 - 2.0**-24)))


def rows(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, V) log probabilities, peaked as a language model's."""
    logits = rng.uniform(0.8, 3.0, (n, 1)) * rng.standard_exponential((n, V))
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))


def written(log_p: np.ndarray, seed: int, drafted: int, rng: np.random.Generator, fault: str = "") -> list[int]:
    """Tokens of a request; `fault`: forced (5% of rejected drafts are kept), stale (rows one behind inside a step), stream."""
    own, found = seed + (fault == "stream"), [int(np.argmax(log_p[0]))]
    while len(found) < len(log_p):
        before = PROMPT + len(found) - 1
        for j in range(drafted + 1):
            t = len(found)
            if t == len(log_p):
                break
            left = np.exp(log_p[t - 1] if fault == "stale" and j else log_p[t])
            if j < drafted:
                x = int(np.argmax(log_p[t] + 0.8 * rng.standard_normal(V)))
                if coin(own, before, j) < left[x] or (fault == "forced" and rng.random() < 0.05):
                    found.append(x)
                    continue
                left[x] = 0
            edge = np.cumsum(left)
            found.append(int(np.searchsorted(edge, coin(own, before, drafted + 1) * edge[-1], side="right")))
            break
    return found


def answer(seed: int, drafted: int, fault: str = "", tokens: int = 80) -> dict[str, Any]:
    """A request with its answer."""
    rng = np.random.default_rng(seed)
    log_p = rows(tokens, rng)
    ids = written(log_p, seed, drafted, rng, fault)
    tops = [[[float(p[i]), int(i), None] for i in np.argsort(-p)[:20]] for p in log_p]
    params = {
        "max_new_tokens": tokens, "temperature": 1.0, "top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0,
        "presence_penalty": 0.0, "frequency_penalty": 0.0, "ignore_eos": True, "sampling_seed": seed,
    }  # fmt: skip
    asked = {
        "input_ids": list(range(PROMPT)),
        "sampling_params": params,
        "return_logprob": True,
        "top_logprobs_num": 20,
    }
    meta = {
        "id": f"r{seed}", "finish_reason": {"type": "length"}, "prompt_tokens": PROMPT, "completion_tokens": tokens,
        "output_token_logprobs": [[float(p[i]), i, None] for p, i in zip(log_p, ids, strict=True)], "output_top_logprobs": tops,
    }  # fmt: skip
    return {"request": asked, "response": {"text": "", "meta_info": meta}}
