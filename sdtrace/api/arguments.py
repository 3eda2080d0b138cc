"""Arguments of a program, which no option has looked at: each is taken as it is meant, or refused with the way out."""

import math
import os
from collections.abc import Sequence
from datetime import datetime

from sdtrace.audit.audit import Span
from sdtrace.errors import UsageError
from sdtrace.pipeline import Inputs
from sdtrace.readers import Opened

#: Unix seconds, or a time with its zone.
Moment = float | datetime


def given(inputs: Inputs) -> Inputs:
    """The inputs as they can be read. Raises UsageError where they are no paths, or none."""
    if isinstance(inputs, str | os.PathLike):
        return inputs
    rows = list(inputs) if isinstance(inputs, Sequence) and not isinstance(inputs, bytes) else None
    if not rows or not all(isinstance(one, str | os.PathLike | Opened) for one in rows):
        raise UsageError(f"no input: {inputs!r:.80}", "give a path, an address, or a list of them")
    return inputs


def conditions(where: str | Sequence[str]) -> list[str]:
    """One condition, or several."""
    return [where] if isinstance(where, str) else list(where)


def between(since: Moment | None, until: Moment | None) -> Span:
    """Both ends in Unix seconds. Raises UsageError for what is no time, or one without a zone."""
    return _seconds("since", since), _seconds("until", until)


def _seconds(name: str, moment: Moment | None) -> float | None:
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return moment.timestamp()
    if moment is None or (isinstance(moment, int | float) and math.isfinite(moment)):
        return moment
    raise UsageError(f"{name}={moment!r:.60} is no time", "give Unix seconds, or a datetime with its zone (tzinfo=UTC)")


def positive(**figures: float | None) -> None:
    """Raises UsageError for a figure that is known and not above 0."""
    for name, value in figures.items():
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"{name}={value} is not above 0", "leave it out where it is not known")
