"""A finding about the record as a cause."""

from collections.abc import Mapping
from typing import Any

from sdtrace.results.cause import Cause, first_command
from sdtrace.results.cause_words import WORDS


def cause_of(name: str, headline: str, row: Mapping[str, Any]) -> Cause:
    """The cause `name` with one row of evidence, proved."""
    side, blame, _, advice, *_ = WORDS[name]
    evidence = (dict(row),)
    command = first_command(evidence)
    return Cause(name, side, "proved", (), headline, evidence, advice, blame, 1, command=command)
