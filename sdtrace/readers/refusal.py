"""Why a reader is not the one: the first line that it refuses, and what it looked for in it."""

import re
from functools import lru_cache

from sdtrace.readers.io.source import Source

#: How a line of JSON begins; `[section]` and `[2026-11-24 ...]` begin no list.
_JSON = re.compile(rb"(data:\s*)?(\{\s*([\"}]|$)|\[\s*([\"{\[\]]|$))")
NOT_HEARD, NO_OBJECT, PARQUET = "no line of its kind", "no JSON object of its kind", "Parquet, not text"


def placed(looks_for: str, why: str, src: Source) -> str:
    """The reason with the number of the first line and what is not in it.

    Reasons that name a line already, and those of folders and Parquet files, stay as they are.
    """
    if src.is_folder or src.head.startswith(b"PAR1") or why.startswith(("line ", "does not begin with PAR1")):
        return why
    number, line = _first(src.head)
    if why == NO_OBJECT and (what := _kind(src.head, line)) != "JSON":
        return f"line {number}: {what}, not a JSON object with {looks_for}"
    if why in (NO_OBJECT, NOT_HEARD):
        behind = "nor in the records behind it" if why == NO_OBJECT else "nor in samples of the file"
        return f"line {number}: no {looks_for}, {behind}"
    return f"line {number}: {why}"


def nobody(src: Source, readers: int) -> str:
    """What there is in a file that no reader knows."""
    number, line = _first(src.head)
    return f"line {number}: {_kind(src.head, line)} in which none of {readers} readers finds what it looks for"


def _kind(head: bytes, line: bytes) -> str:
    """binary, JSON or text, by a line of the head."""
    if b"\0" in head[:4096] or not _readable(line):
        return "binary"
    return "JSON" if _JSON.match(line) else "text"


def _readable(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return error.start > len(line) - 4  # a sample may end within a character
    return True


@lru_cache(maxsize=4)
def _first(head: bytes) -> tuple[int, bytes]:
    """The first line that is neither blank nor a remark."""
    lines = [(n, line.strip()) for n, line in enumerate(head.split(b"\n"), 1) if line.strip()]
    return next((pair for pair in lines if not pair[1].startswith(b"#")), lines[0] if lines else (1, b""))
