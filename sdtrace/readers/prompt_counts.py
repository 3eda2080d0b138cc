"""How long a request's prompt was and how much of it came from the prefix cache, in the words of every engine."""

from collections.abc import Mapping
from typing import Any

from sdtrace.readers.counts import number

#: As a window's `said` names them.
PROMPT, CACHED = "prompt tokens", "cached tokens"


def prompt_counts(node: Mapping[str, Any]) -> dict[str, float]:
    """What an object of a response or log tells, {} where it tells nothing: SGLang's meta_info, OpenAI's usage, llama.cpp's timings.

    llama.cpp's prompt_n are the tokens that were processed, its cache_n those that were not.
    """
    usage = node.get("usage")
    inner = usage if isinstance(usage, dict) else node
    details = inner.get("prompt_tokens_details")
    prompt = number(inner.get("prompt_tokens"))
    cached = number(details.get("cached_tokens")) if isinstance(details, dict) else number(inner.get("cached_tokens"))
    if prompt is None and (processed := number(node.get("prompt_n"))) is not None:
        cached = number(node.get("cache_n"))
        prompt = processed + (cached or 0.0)
    told = {PROMPT: prompt, CACHED: cached}
    return {name: float(value) for name, value in told.items() if value is not None and value >= 0}
