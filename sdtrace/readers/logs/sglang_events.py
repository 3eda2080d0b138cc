"""What an SGLang log announces: the configuration of speculation, lossy thresholds, simulated acceptance, fallbacks."""

import re

from sdtrace.schema.trace import Event

NEEDLES = (b"ServerArgs(", b"SIMULATE_ACC", b"plain decode fallback", b"peculative")
_FIELD = {
    "method": re.compile(r"\bspeculative_algorithm='(\w+)'"),
    "k": re.compile(r"\bspeculative_num_draft_tokens=(\d+)"),
    "steps": re.compile(r"\bspeculative_num_steps=(\d+)"),
    "topk": re.compile(r"\bspeculative_eagle_topk=(\d+)"),
}
_THRESHOLD = re.compile(r"\bspeculative_accept_threshold_(single|acc)=(0?\.\d+|0)\b")
_VERSION = re.compile(r"\bsglang(?: version|_version|==)[ =:'\"]*(\d+\.\d+\.\d+\w*)", re.IGNORECASE)
_KNOWN = (
    (
        re.compile(r"SGLANG_SIMULATE_ACC_LEN"),
        "synthetic",
        "simulated acceptance is on: accepted lengths are drawn, not decided",
    ),
    (re.compile(r"spec->plain decode fallback engaged"), "fallback", "generation fell back to plain decoding"),
    (
        re.compile(r"[Ss]peculative decoding is (?:disabled|not supported)"),
        "off",
        "speculative decoding was switched off",
    ),
)


def announced(path: str, line: int, text: str) -> list[Event]:
    """Events of a line."""
    told: list[tuple[str, str, str | None]] = [(kind, what, None) for p, kind, what in _KNOWN if p.search(text)]
    if "ServerArgs(" in text:
        values = {name: found[1] for name, pattern in _FIELD.items() if (found := pattern.search(text))}
        if "method" in values:
            shown = " ".join(f"{name}={value}" for name, value in values.items())
            told.append(("config", "speculation is configured", shown))
        for found in _THRESHOLD.finditer(text):
            what = "an acceptance threshold below 1 is configured: the text does not follow the target"
            told.append(("lossy", what, f"threshold_{found[1]}={found[2]}"))
    if version := _VERSION.search(text):
        told.append(("version", "the engine's version", version[1]))
    return [Event(path, line, None, "sglang", kind, what, value) for kind, what, value in told]
