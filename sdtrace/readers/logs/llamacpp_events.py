"""What a llama.cpp log announces: which speculation is configured, synthetic acceptance, replays on recurrent models."""

import re

from sdtrace.readers.logs import announcements
from sdtrace.readers.logs.announced import Announced, configured, events
from sdtrace.schema.trace import DRAFT_MODEL, LENGTH, METHOD, Event

NEEDLES = (
    b" E srv ",
    b" E slot ",
    *announcements.needles("llama.cpp"),
    b"partial sequence removal",
    b"speculative",
    b"n_max=",
    b"--spec-type",
    b"--model-draft",
    b" -md ",
    b"--draft-max",
    b"--spec-draft-n-max",
    b"synth-rates",
    b"restored context checkpoint",
    b"full prompt re-processing",
    b"context shift",
    b"build: ",
    b"build_info: ",
    b"build = ",
    b"build      : ",
)
_PHRASES = (
    (
        "synthetic speculative acceptance is enabled",
        "synthetic",
        "synthetic acceptance is on: decisions are random, the text is not valid",
    ),
    (
        "speculative decoding will use checkpoints",
        "replay",
        "the target is recurrent: drafts are replayed, and the statistics line counts the replays",
    ),
    (
        "does not support partial sequence removal",
        "replay",
        "the target cannot take tokens back: drafts are replayed, and builds to May 2026 count the replays in the request line",
    ),
    (
        "no implementations specified for speculative decoding",
        "inert",
        "the engine started no implementation of speculation",
    ),
    (
        "speculative decoding not supported",
        "off",
        "speculative decoding is not supported by this context: it is off",
    ),
)
_ADDED = re.compile(r"adding speculative implementation '([\w-]+)'")
_LENGTHS = re.compile(r"- n_max=(\d+), n_min=(\d+), p_min=([\d.]+)")
_TYPE, _MAX = re.compile(r"--spec-type[ =]([\w,-]+)"), re.compile(r"--(?:spec-draft-n-max|draft-max|draft) (\d+)")
#: How a build names itself: `build: 4970 (abc)`, `build_info: b8889-bcb5eeb64`, `main: build = 3000 (...)`.
_BUILD = re.compile(r"\bbuild(?:_info)?\s{0,8}[:=] b?(\d{3,6})(?=[ -]|$)")
_STAMP = re.compile(r"(?<!\d)\d{1,9}\.\d\d\.\d{3}\.\d{3} [IWED] ")
_ERROR = re.compile(r"\d\d\.\d{3}\.\d{3} E ((?:srv|slot) +[\w()~]{1,60}):")
_CACHE = re.compile(
    r"slot +update_slots: id +(\d+) \| task -?\d+ \| (?:restored context checkpoint|forcing full prompt re-processing|slot context shift)"
)
_PROGRAM = re.compile(r"llama-(?:server|cli|speculative)")
_DRAFTS = ("--spec-type", "--model-draft", "-md")


def announced(path: str, line: int, at: float | None, text: str) -> list[Event]:
    """Events of a line; an announcement inside quotes is user text."""
    told = [
        Announced(kind, what) for phrase, kind, what in _PHRASES if phrase in text and '"' not in text.split(phrase)[0]
    ]
    if found := _ADDED.search(text):
        told.append(configured("speculation is configured", {METHOD: found[1]}))
    if found := _LENGTHS.search(text):
        told.append(configured("draft length", {LENGTH: found[1], "n_min": found[2], "p_min": found[3]}))
    if _command(text):
        method, longest = _TYPE.search(text), _MAX.search(text)
        settings = {METHOD: method[1] if method else DRAFT_MODEL} | ({LENGTH: longest[1]} if longest else {})
        if method is None or method[1] != "none":
            told.append(configured("speculation is configured", settings))
    if (build := _BUILD.search(text[:300])) and '"' not in text[: build.start()]:
        told.append(Announced("version", "the build of the engine", f"b{build[1]}", {"build": build[1]}))
    if cache := _CACHE.search(text[:400]):
        told.append(Announced("cache", "a slot's context was restored, shifted or processed anew", cache[1]))
    if error := _ERROR.search(text[:160]):
        told.append(Announced("error", "the engine logged an error", error[1]))
    stamp = _STAMP.search(text[:160])
    return events(told, path, line, at, "llama.cpp") + announcements.said(
        "llama.cpp", path, line, at, text[stamp.end() if stamp else 0 :].lstrip()
    )


def _command(text: str) -> bool:
    """Whether a line holds the command that started a server or a tool with a drafter."""
    if not any(flag in text for flag in _DRAFTS) or not _PROGRAM.search(text):
        return False
    words = text.split()
    first = next((i for i, word in enumerate(words) if _PROGRAM.search(word)), len(words))
    flags = words[first + 1 :]
    return bool(flags) and flags[0].startswith("-") and any(word.partition("=")[0] in _DRAFTS for word in flags)


#: Drafts after which it is no chance that each had its first token accepted.
MANY = 50
ALL_TAKEN = (
    "#gen drafts = #acc drafts although tokens were rejected: on a recurrent or hybrid target drafts are replayed, and the "
    "replays count as accepted; the acceptance of this log is then too high"
)


def all_taken(statistics: re.Match[str]) -> bool:
    """Whether a statistics line counts every one of many drafts as accepted in part, and not all tokens."""
    drafts, accepted, tokens, taken = (int(statistics[name]) for name in ("gd", "ad", "gt", "at"))
    return drafts >= MANY and accepted == drafts and taken < tokens


def longest_draft(heard: list[Event]) -> int | None:
    """The configured draft length, where one of these events tells it."""
    return next((int(e.settings[LENGTH][:9]) for e in heard if LENGTH in e.settings), None)


def build(heard: list[Event]) -> int | None:
    """The number of the build, where one of these events tells it."""
    return next((int(e.settings["build"]) for e in heard if "build" in e.settings), None)
