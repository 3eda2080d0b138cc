"""What a line of a log announces, by kind and value, and the events that it becomes."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sdtrace.schema.trace import Event


class Announced(NamedTuple):
    """An announcement: `what` is our sentence, `value` what the log gives for it, `settings` what it sets, by name."""

    kind: str
    what: str
    value: str | None = None
    settings: Mapping[str, str] | None = None


def configured(what: str, settings: Mapping[str, str]) -> Announced:
    """An announcement of settings, whose value is all of them: `method=eagle k=3`."""
    return Announced("config", what, " ".join(f"{name}={value}" for name, value in settings.items()), settings)


def events(heard: Iterable[Announced], path: str, line: int, at: float | None, engine: str) -> list[Event]:
    """What stands in one line, as events of an input."""
    return [Event(path, line, at, engine, one.kind, one.what, one.value, settings=one.settings or {}) for one in heard]
