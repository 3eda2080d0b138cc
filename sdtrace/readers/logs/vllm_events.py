"""What a vLLM log announces besides figures: the configuration, fallbacks, lossy and synthetic settings."""

import re
from collections.abc import Sequence

import polars as pl

from sdtrace.readers.logs import announcements
from sdtrace.readers.logs.announced import Announced, configured, events
from sdtrace.readers.logs.clock import stamped
from sdtrace.readers.logs.settings import on
from sdtrace.schema.trace import LENGTH, METHOD, Event

#: What stands in front of a message: process, level, clock, module and line.
_STAMP = re.compile(
    r"(?:\([\w ]{1,80}?(?: rank=\d{1,9})? pid=\d{1,12}[^)]{0,80}\) )?[A-Z]{1,12} "
    r"\d\d-\d\d \d\d:\d\d:\d\d \[?(?P<file>[\w./]{1,200}):(?P<at_line>\d{1,9})\] ?"
)

_CONFIG = "[Ss]peculative_?[Cc]onfig"
_METHOD = re.compile(_CONFIG + rf"(?:(?!{_CONFIG}|method['\"=: ]).)*+method['\"=: ]++(\w+)")
_K = re.compile(r"num_spec(?:ulative)?_tokens['\"=: ]+(\d+)")
#: A length that the engine chose itself, with its method.
_CHOSEN = re.compile(
    r"Defaulted num_speculative_tokens to (?P<k>\d{1,4}) for (?P<method>\w{1,20}) decoding"
    r"|Loaded (?P<custom>custom) proposer class '[^']{0,200}' with num_speculative_tokens=(?P<n>\d{1,4})"
)
_VERSION = re.compile(r"(?:LLM engine \(v|vLLM API server version |Initializing a V\d LLM engine \(v)(\d+\.\d+\.\d+)")

#: pattern, kind, our sentence
_KNOWN = (
    (
        re.compile(r"rejection_sample_method['\"=: ]+synthetic|[Ss]ynthetic (?:acceptance|rejection) "),
        "synthetic",
        "synthetic acceptance is on: decisions do not look at the models",
    ),
    (
        re.compile(r"(?:acceptance_method|acceptance-method)['\"=: ]+typical"),
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
        re.compile(r"[Dd]isabling num_speculative_tokens_per_batch_size|Dynamic speculative decoding is not supported"),
        "schedule",
        "the draft length does not follow the batch size: the schedule was switched off, speculation is on",
    ),
    (
        re.compile(
            r"(?:^|[^c] )[Ss]peculative decoding is (?:not supported|disabled|ignored)"
            r"|[Dd]isabl(?:e|ed|es|ing) speculative decoding"
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
    (re.compile(r"[Rr]eset prefix cache"), "cache", "the prefix cache was emptied"),
    (re.compile(r"\b[Pp]reempted\b"), "cache", "a request was preempted: its cache is computed anew"),
    (
        re.compile(r"min_p, logit_bias|min_p and logit_bias"),
        "fallback",
        "min_p and logit_bias have no effect together with speculation",
    ),
)


#: A setting that makes acceptance synthetic where it has a value.
_SYNTHETIC = ("synthetic_acceptance_rate", "synthetic_acceptance_rates", "synthetic_acceptance_length")
#: A node that computes prompts for others to decode: it drafts nothing by design.
_PREFILL = re.compile(r"kv_role['\"=: ]+kv_producer")
_ERROR = re.compile(r"\bERROR \d\d-\d\d ")
_ANY = "|".join(
    [
        *(pattern.pattern for pattern, _, _ in _KNOWN),
        *(
            _CONFIG,
            r"num_speculative_tokens(?: to |=)\d",
            _VERSION.pattern,
            _PREFILL.pattern,
            _ERROR.pattern,
            _SYNTHETIC[0],
        ),
        *(re.escape(needle.decode()) for needle in announcements.needles("vllm")),
    ]
)
#: Seconds within which a repeated start or error is one.
_SAME = 60.0
#: Announcements are stamped WARNING or ERROR, but for a few that fall back.
NEEDLES = (
    b"peculative",
    b"ejection_sample",
    b"disabling stats logging",
    b"acceptance_method",
    b"synthetic",
    b"Model Runner V2",
    b"Initializing a V",
    b"EngineDeadError",
    b"WARNING",
    b"ERROR",
    b"alling back",
    b"kv_role",
    b"vLLM API server version",
    b"reset prefix cache",
    b"reempted",
)


def configured_length(heard: Sequence[Event]) -> int | None:
    """The longest configured draft that these events tell."""
    return max((int(e.settings[LENGTH]) for e in heard if LENGTH in e.settings), default=None)


def announced(path: str, lines: pl.DataFrame, seen: set[str], newest: float) -> list[Event]:
    """Events of lines (text, ts); each kind of announcement once, at its first line. `newest`: the year of a stamp without one."""
    found = []
    for number, text, ts in lines.filter(pl.col("text").str.contains(_ANY)).select("line", "text", "ts").iter_rows():
        at = stamped(text, ts, newest)
        for event in _of_line(path, number, at, text):
            often = event.kind in ("version", "error", "died", "cache")
            key = f"{event.kind} {event.what} {event.value} {int((at or 0) // _SAME) if often else ''}"
            if key not in seen:
                seen.add(key)
                found.append(event)
    return found


def corrupted(path: str, engine_lines: pl.DataFrame, seen: set[str], newest: float) -> list[Event]:
    """Requests that the statistics line counts as corrupted: NaN in their logits. At the first line that counts one."""
    row = announcements.BY_KEY["vllm-corrupted"]
    if row.key in seen:
        return []
    held = engine_lines.filter(pl.col("text").str.contains("orrupted", literal=True))
    for number, text, ts in held.select("line", "text", "ts").iter_rows():
        if row.key not in seen and (told := row.pattern.search(text)):
            seen.add(row.key)
            at = stamped(text, ts, newest)
            return [Event(path, number, at, "vllm", "accusation", row.says, f"{told[1]} requests", row.key)]
    return []


def _of_line(path: str, number: int, at: float | None, text: str) -> list[Event]:
    told = [Announced(kind, what) for pattern, kind, what in _KNOWN if pattern.search(text)]
    if any(on(text, name) for name in _SYNTHETIC):
        told.append(Announced("synthetic", _KNOWN[0][2]))
    k = _K.search(text)
    if (method := _METHOD.search(text)) and (k is None or int(k[1]) > 0):
        settings = {METHOD: method[1]} if method[1] != "None" else {}
        settings |= {LENGTH: k[1]} if k else {}
        told += [configured("speculation is configured", settings)] if settings else []
    if chosen := _CHOSEN.search(text):
        settings = {METHOD: chosen["method"] or chosen["custom"], LENGTH: chosen["k"] or chosen["n"]}
        told.append(configured("speculation is configured", settings))
    if _PREFILL.search(text):
        told.append(Announced("role", "a prefill node: it drafts nothing by design", "prefill"))
    if version := _VERSION.search(text):
        told.append(Announced("version", "the engine's version", version[1]))
    stamp = _STAMP.search(text)
    if stamp and _ERROR.search(stamp[0]):
        told.append(Announced("error", "the engine logged an error", f"{stamp['file']}:{stamp['at_line']}"))
    message = text[stamp.end() if stamp else 0 :].lstrip()
    return events(told, path, number, at, "vllm") + announcements.said("vllm", path, number, at, message)
