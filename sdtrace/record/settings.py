"""What a server that is being recorded was told: the SDTRACE_RECORD variables, read once, refused by name where they cannot be meant."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from sdtrace.record.writer import TraceWriter

T = TypeVar("T")


class Refused(ValueError):
    """A variable that cannot be meant; the text names it, its value, and what it takes."""


def said(error: Exception) -> str:
    """The error for the server's log; one that is ours needs no name of a class."""
    return str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"


def options(env: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Arguments of TraceWriter. Raises Refused."""
    read = _Reader(env)
    encoding = read("SDTRACE_RECORD_ENCODING", "jsonl", str, lambda v: v in ("jsonl", "parquet"), "jsonl or parquet")
    sample = read("SDTRACE_RECORD_SAMPLE", 1.0, float, lambda v: 0.0 < v <= 1.0, "a share of the requests, as 0.1")
    mode = read("SDTRACE_RECORD_MODE", 0o600, _octal, lambda v: 0o600 <= v <= 0o777, "three octal digits, as 640")
    most = read("SDTRACE_RECORD_MAX_GB", None, float, lambda v: 0.0 < v < 1e9, "gigabytes, as 10")
    read("SDTRACE_RECORD_TOP", 0, int, lambda v: v >= 0, "a number of tokens, as 20")
    return {
        "encoding": encoding,
        "sample": sample,
        "mode": mode,
        "max_bytes": None if most is None else int(most * 1e9),
    }


def checked(env: Mapping[str, str] = os.environ) -> str | None:
    """What is in the way of the folder, to be said when the server starts; None for nothing. Raises Refused for other variables."""
    options(env)
    folder = Path(env["SDTRACE_RECORD"])
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
            return None
        why = "may not be written to" if there.is_dir() else "is no folder"
    except OSError as error:
        there, why = folder, str(error.strerror)
    return f"SDTRACE_RECORD={folder}: {there} {why}; nothing is recorded until it can be. Name a folder that the server may write to"


def writer(run: Mapping[str, Any]) -> TraceWriter:
    """The writer of an engine process into the folder that was asked for. Raises Refused."""
    return TraceWriter(os.environ["SDTRACE_RECORD"], run, **options())


def _octal(text: str) -> int:
    return int(text, 8)


class _Reader:
    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env

    def __call__(self, name: str, default: T, made: Callable[[str], T], good: Callable[[Any], bool], takes: str) -> T:
        text = self.env.get(name, "").strip()
        if not text:
            return default
        try:
            value = made(text)
        except ValueError:
            pass
        else:
            if good(value):
                return value
        raise Refused(f"{name}={text} is not {takes}")
