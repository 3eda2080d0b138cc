"""Watermarked verification: draws are keyed by a secret and by the last tokens (Kirchenbauer et al. 2023; Aaronson's Gumbel rule;
vLLM `watermarking_config`, SGLang `watermark_state`).

Lawful for whoever does not know the key, and every decision can be recomputed; but equal contexts draw equal numbers, in one
request and in many, so draws are neither independent nor, over few contexts, uniform, and no mean over tokens has the
variance that independent draws give it.
"""

import json
from typing import Any

import polars as pl

from sdtrace.schema.run import Run

_WORD = "watermark"
_OFF = frozenset({"", "0", "false", "none", "null", "no", "off", "disabled"})
#: How deep a configuration is looked into.
_DEPTH = 4


def watermarked(run: Run) -> bool:
    """Whether a run's `config` or `rule_params` name a watermark that is on."""
    return any(_in_text(text) for text in (run.config, run.rule_params))


def tagged(tags: pl.Series) -> bool:
    """Whether any request's tags name a watermark that is on. `tags`: JSON texts, n entries."""
    if tags.dtype != pl.String or tags.null_count() == len(tags):
        return False
    named = tags.filter(tags.str.to_lowercase().str.contains(_WORD, literal=True).fill_null(value=False))
    return any(_in_text(text) for text in named.unique())


def _in_text(text: str | None) -> bool:
    if not text or _WORD not in text.lower():
        return False
    try:
        return _on(json.loads(text), _DEPTH)
    except (ValueError, RecursionError):
        return False


def _on(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        return any(
            (_WORD in str(key).lower() and _truthy(held)) or (depth > 0 and _on(held, depth - 1))
            for key, held in value.items()
        )
    return isinstance(value, list) and depth > 0 and any(_on(held, depth - 1) for held in value)


def _truthy(held: Any) -> bool:
    if isinstance(held, str):
        return held.strip().lower() not in _OFF
    if isinstance(held, dict):
        enabled = held.get("enabled", held.get("enable", True))
        return bool(held) and _truthy(enabled)
    return bool(held)
