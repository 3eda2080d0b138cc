"""What a vLLM log announces besides figures: the configuration, fallbacks, lossy and synthetic settings."""

import re
from collections.abc import Sequence

import polars as pl

from sdtrace.schema.trace import Event

_CONFIG = "[Ss]peculative_?[Cc]onfig"
_METHOD = re.compile(_CONFIG + rf"(?:(?!{_CONFIG}|method['\"=: ]).)*+method['\"=: ]++(\w+)")
_K = re.compile(r"num_spec(?:ulative)?_tokens['\"=: ]+(\d+)")
_VERSION = re.compile(r"(?:LLM engine \(v|vLLM API server version |Initializing a V\d LLM engine \(v)(\d+\.\d+\.\d+)")

#: pattern, kind, our sentence
_KNOWN = (
    (
        re.compile(
            r"synthetic_acceptance|rejection_sample_method['\"=: ]+synthetic|[Ss]ynthetic (?:acceptance|rejection)"
        ),
        "synthetic",
        "synthetic acceptance is on: decisions do not look at the models",
    ),
    (
        re.compile(r"typical_acceptance_sampler|acceptance_method['\"=: ]+typical"),
        "lossy",
        "typical acceptance is configured: the text does not follow the target",
    ),
    (
        re.compile(r"rejection_sample_method['\"=: ]+fly"),
        "lossy",
        "a lossy acceptance method (fly) is configured",
    ),
    (
        re.compile(r"will run multiple times of forward on same MTP layer"),
        "note",
        "one MTP layer is run once a drafted token: later positions may be accepted less",
    ),
    (
        re.compile(r"disabling stats logging"),
        "silent",
        "several API servers: vLLM logs no statistics at all",
    ),
    (
        re.compile(r"Model Runner V2 does not yet support"),
        "fallback",
        "the engine fell back to its older model runner",
    ),
    (
        re.compile(
            r"[Ss]peculative decoding is (?:not supported|disabled|ignored)|[Dd]isabl(?:e|ed|es|ing) speculative decoding"
        ),
        "off",
        "speculative decoding was switched off",
    ),
    (
        re.compile(r"[Aa]sync scheduling (?:is )?(?:not supported|disabled|will be disabled).{0,160}?[Ss]pec"),
        "fallback",
        "asynchronous scheduling is off because of speculation",
    ),
    (
        re.compile(r"EngineDeadError"),
        "died",
        "the engine died: the log holds its stack trace",
    ),
    (
        re.compile(r"min_p, logit_bias|min_p and logit_bias"),
        "fallback",
        "min_p and logit_bias have no effect together with speculation",
    ),
)


_ANY = "|".join([*(pattern.pattern for pattern, _, _ in _KNOWN), _CONFIG, _VERSION.pattern])


def configured_length(events: Sequence[Event]) -> int | None:
    """The longest configured draft that these events tell."""
    found = (re.search(r"\bk=(\d+)", e.value or "") for e in events if e.kind == "config")
    return max((int(m[1]) for m in found if m), default=None)


def announced(path: str, lines: pl.DataFrame, seen: set[str]) -> list[Event]:
    """Events of lines; each kind of announcement once, at its first line."""
    found = []
    for number, text in lines.filter(pl.col("text").str.contains(_ANY)).select("line", "text").iter_rows():
        told: list[tuple[str, str, str | None]] = [
            (kind, what, None) for pattern, kind, what in _KNOWN if pattern.search(text)
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
