"""What a vLLM log announces besides figures: the configuration, fallbacks, lossy and synthetic settings."""

import re
from collections.abc import Sequence

import polars as pl

from sdtrace.schema.trace import Event

_METHOD = re.compile(r"[Ss]peculative_?[Cc]onfig.*?method['\"=: ]+(\w+)")
_K = re.compile(r"num_spec(?:ulative)?_tokens['\"=: ]+(\d+)")
_VERSION = re.compile(r"(?:LLM engine \(v|vLLM API server version |Initializing a V\d LLM engine \(v)(\d+\.\d+\.\d+)")

#: pattern, kind, our sentence
_KNOWN = (
    (
        r"synthetic_acceptance|rejection_sample_method['\"=: ]+synthetic|[Ss]ynthetic (?:acceptance|rejection)",
        "synthetic",
        "synthetic acceptance is on: decisions do not look at the models",
    ),
    (
        r"typical_acceptance_sampler|acceptance_method['\"=: ]+typical",
        "lossy",
        "typical acceptance is configured: the text does not follow the target",
    ),
    (
        r"rejection_sample_method['\"=: ]+fly",
        "lossy",
        "a lossy acceptance method (fly) is configured",
    ),
    (
        r"will run multiple times of forward on same MTP layer",
        "note",
        "one MTP layer is run once a drafted token: later positions may be accepted less",
    ),
    (
        r"disabling stats logging",
        "silent",
        "several API servers: vLLM logs no statistics at all",
    ),
    (
        r"Model Runner V2 does not yet support",
        "fallback",
        "the engine fell back to its older model runner",
    ),
    (
        r"[Ss]peculative decoding is (?:not supported|disabled|ignored)|[Dd]isabl\w+ speculative decoding",
        "off",
        "speculative decoding was switched off",
    ),
    (
        r"[Aa]sync scheduling (?:is )?(?:not supported|disabled|will be disabled).*[Ss]pec",
        "fallback",
        "asynchronous scheduling is off because of speculation",
    ),
    (
        r"EngineDeadError",
        "died",
        "the engine died: the log holds its stack trace",
    ),
    (
        r"min_p, logit_bias|min_p and logit_bias",
        "fallback",
        "min_p and logit_bias have no effect together with speculation",
    ),
)


_ANY = "|".join([*(pattern for pattern, _, _ in _KNOWN), _METHOD.pattern, _VERSION.pattern])


def configured_length(events: Sequence[Event]) -> int | None:
    """The longest configured draft that these events tell."""
    found = (re.search(r"\bk=(\d+)", e.value or "") for e in events if e.kind == "config")
    return max((int(m[1]) for m in found if m), default=None)


def announced(path: str, lines: pl.DataFrame, seen: set[str]) -> list[Event]:
    """Events of lines; each kind of announcement once, at its first line."""
    found = []
    for number, text in lines.filter(pl.col("text").str.contains(_ANY)).select("line", "text").iter_rows():
        told: list[tuple[str, str, str | None]] = [
            (kind, what, None) for pattern, kind, what in _KNOWN if re.search(pattern, text)
        ]
        if method := _METHOD.search(text):
            k = _K.search(text)
            value = f"method={method[1]}" + (f" k={k[1]}" if k else "")
            told.append(("config", "speculation is configured", value))
        if version := _VERSION.search(text):
            told.append(("version", "the engine's version", version[1]))
        for sort, says, detail in told:
            key = f"{sort} {says} {detail}"
            if key not in seen:
                seen.add(key)
                found.append(Event(path, number, None, "vllm", sort, says, detail))
    return found
