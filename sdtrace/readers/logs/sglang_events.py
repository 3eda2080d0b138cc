"""What an SGLang log announces: the configuration of speculation, lossy thresholds, simulated acceptance, fallbacks."""

import re

from sdtrace.readers.logs import announcements
from sdtrace.readers.logs.announced import Announced, configured, events
from sdtrace.readers.logs.clock import iso
from sdtrace.readers.logs.settings import on
from sdtrace.schema.trace import LENGTH, METHOD, Event

#: What stands in the announcements of the table; several rows share one.
_ANNOUNCED = (
    *(
        b"draft",
        b"alling back",
        b"falls back",
        b"weight",
        b"mismatch",
        b"erify",
        b"eager",
        b"canary",
        b"rammar",
        b"sanitized",
    ),
    *(
        b"Simulated acc",
        b"cuda graph",
        b"Bit mask",
        b"BOUNDARY_KV_FIX",
        b"params_dict",
        b"runtime target",
        b"index_share",
    ),
    *(b"Gluon kernel", b"once per forward", b"violation", b"sampling-accept"),
)
NEEDLES = (
    b"ServerArgs(",
    b"SIMULATE_ACC",
    b"simulate_acc",
    b"plain decode fallback",
    b"peculative",
    b"hit an exception",
    b"spec params updated",
    b"ransfer failed",
    b"block-wise rejection",
    b"gamma is not set",
    b"ejection sampling is enabled",
    b"Cache flushed",
    b"Retract requests",
    *_ANNOUNCED,
)
_FIELD = {
    METHOD: re.compile(r"\bspeculative_algorithm='(\w+)'"),
    LENGTH: re.compile(r"\bspeculative_num_draft_tokens=(\d+)"),
    "steps": re.compile(r"\bspeculative_num_steps=(\d+)"),
    "topk": re.compile(r"\bspeculative_eagle_topk=(\d+)"),
}
_THRESHOLD = re.compile(r"\bspeculative_accept_threshold_(single|acc)=(0?\.\d+|0)\b")
_VERSION = re.compile(r"\bsglang(?: version|_version|==)[ =:'\"]*(\d+\.\d+\.\d+\w*)", re.IGNORECASE)
_KNOWN = (
    (re.compile(r"spec->plain decode fallback engaged"), "fallback", "generation fell back to plain decoding"),
    (
        re.compile(r"(?:^|[^c] )[Ss]peculative decoding is (?:disabled|not supported)"),
        "off",
        "speculative decoding was switched off",
    ),
    (re.compile(r"\] Cache flushed|^Cache flushed"), "cache", "the cache was emptied"),
    (re.compile(r"Retract requests\."), "cache", "requests were retracted: their cache is computed anew"),
    (
        re.compile(r"speculative_adaptive disabled: "),
        "schedule",
        "the draft length does not adapt: the schedule was switched off, speculation is on",
    ),
)
#: What decides, and lengths that the engine chose itself: pattern of a message, the setting that it gives, our sentence.
_CHOSEN = (
    (re.compile(r"Rejection sampling is enabled for speculative decoding"), None, "sampled requests are verified by rejection sampling"),
    (re.compile(r"DSpark: sampled verify accepts use block-wise rejection"), None, "sampled requests are verified by whole blocks"),
    (re.compile(r"DSpark gamma is not set; defaulting to (\d{1,4})\."), "gamma", "the engine chose the draft length"),
    (
        re.compile(r"speculative_num_draft_tokens is (?:not set; defaulting|set) to (\d{1,4}) (?:by default )?for (?:DFLASH|ngram)"),
        "num_draft_tokens",
        "the engine chose the number of verified tokens",
    ),
)  # fmt: skip
_SIMULATED = ("SGLANG_SIMULATE_ACC_LEN", "simulate_acc_len")
#: What stands in front of a message: a clock and the ranks.
_STAMP = re.compile(r"\[(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: [A-Z_]+\d+)*\] ")
_ADAPTED = re.compile(r"[Aa]daptive spec params updated: .{0,60}?(\d{1,4}) -> (\d{1,4})")
_ERROR = re.compile(r"(\w{1,40} hit an exception|\w{0,40} ?[Tt]ransfer failed)")


def announced(path: str, line: int, text: str) -> list[Event]:
    """Events of a line."""
    stamp = _STAMP.search(text)
    message = text[stamp.end() if stamp else 0 :].lstrip()
    told = [Announced(kind, what) for p, kind, what in _KNOWN if p.search(text)]
    if any(on(text, name) for name in _SIMULATED):
        told.append(Announced("synthetic", "simulated acceptance is on: accepted lengths are drawn, not decided"))
    if "ServerArgs(" in text:
        told += _configured(text)
    if version := _VERSION.search(text):
        told.append(Announced("version", "the engine's version", version[1]))
    if switch := _ADAPTED.match(message):
        told.append(Announced("k", "the draft length was switched", f"{switch[1]} -> {switch[2]}"))
    for pattern, name, what in _CHOSEN:
        if chosen := pattern.match(message):
            told.append(
                Announced("note", what) if name is None else Announced("config", what, chosen[1], {name: chosen[1]})
            )
    if error := _ERROR.match(message):
        told.append(Announced("error", "the engine logged an error", error[1]))
    at = iso(text[:200])
    return events(told, path, line, at, "sglang") + announcements.said("sglang", path, line, at, message)


def _configured(text: str) -> list[Announced]:
    told: list[Announced] = []
    values = {name: found[1] for name, pattern in _FIELD.items() if (found := pattern.search(text))}
    if METHOD in values:
        told.append(configured("speculation is configured", values))
    if re.search(r"\bdisaggregation_mode='prefill'", text):
        told.append(Announced("role", "a prefill node: it drafts nothing by design", "prefill"))
    for found in _THRESHOLD.finditer(text):
        what = "an acceptance threshold below 1 is configured: the text does not follow the target"
        told.append(Announced("lossy", what, f"threshold_{found[1]}={found[2]}"))
    return told


def once(event: Event) -> tuple[str, str | None, int]:
    """What of an announcement is told once: a start and an error once a minute."""
    often = event.kind in ("version", "error", "cache") and event.at is not None
    return event.what, event.value, int((event.at or 0) // 60) if often else 0
