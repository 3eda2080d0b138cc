"""A finding about the record as a cause."""

from collections.abc import Mapping
from typing import Any

from sdtrace.results.cause import Cause, with_command
from sdtrace.results.cause_words import WORDS


def cause_of(name: str, headline: str, row: Mapping[str, Any]) -> Cause:
    """The cause `name` with one row of evidence, proved."""
    side, blame, _, advice, *_ = WORDS[name]
    evidence = (dict(row),)
    return Cause(name, side, "proved", (), headline, evidence, with_command(advice, evidence), blame, 1)
