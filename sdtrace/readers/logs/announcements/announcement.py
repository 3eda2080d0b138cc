"""One thing that an engine says of itself: how the line is known, what it means, which cause it names and what to do."""

import re
from dataclasses import dataclass

from sdtrace.results.words import Certainty


@dataclass(frozen=True)
class Announcement:
    """A row of a table of announcements.

    `needle` stands in every such line; `pattern` is matched where the engine's message begins, behind its stamp. `says` is our
    sentence, never the log's. `cause` and `certainty` are what it accuses of, None for a notice: `proved` where the engine says
    that it happened, `suspected` where it says that it may. `sample` is such a message, as the release writes it.
    """

    key: str
    needle: str
    pattern: re.Pattern[str]
    says: str
    cause: str
    certainty: Certainty
    advice: str
    sample: str


def table(*rows: tuple[str, str, str, str, str, Certainty, str, str]) -> tuple[Announcement, ...]:
    """Rows (key, needle, pattern, says, cause, certainty, advice, sample) as announcements."""
    return tuple(
        Announcement(key, needle, re.compile(pattern), says, cause, certainty, advice, sample)
        for key, needle, pattern, says, cause, certainty, advice, sample in rows
    )
