"""What engines say of themselves, as tables of data by engine; the line of a log is looked up here."""

from collections.abc import Iterable

from sdtrace.readers.logs.announcements import llamacpp, sglang, sglang_passes, vllm
from sdtrace.readers.logs.announcements.announcement import Announcement
from sdtrace.schema.trace import Event

TABLES: dict[str, tuple[Announcement, ...]] = {
    "vllm": vllm.ROWS,
    "sglang": sglang.ROWS + sglang_passes.ROWS,
    "llama.cpp": llamacpp.ROWS,
}
BY_KEY: dict[str, Announcement] = {row.key: row for rows in TABLES.values() for row in rows}


def needles(engine: str) -> tuple[bytes, ...]:
    """What lines of an engine are searched for."""
    return tuple(dict.fromkeys(row.needle.encode() for row in TABLES[engine]))


def said(engine: str, path: str, line: int, at: float | None, message: str) -> list[Event]:
    """What a message accuses its engine of. `message` begins behind the engine's stamp: user text never does."""
    return [
        Event(path, line, at, engine, "accusation", row.says, row.cause, row.key)
        for row in TABLES[engine]
        if row.needle in message and row.pattern.match(message)
    ]


def speaking(engine: str, text: str) -> bool:
    """Whether a line holds the words of an announcement anywhere."""
    return any(needle in text for needle in _WORDS[engine])


def _words(rows: Iterable[Announcement]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.needle for row in rows))


_WORDS = {engine: _words(rows) for engine, rows in TABLES.items()}
