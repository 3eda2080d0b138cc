"""What one engine writes into a text log: which lines matter, and what they say."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from sdtrace.schema.counters import Row
from sdtrace.schema.trace import Event, Loss


@dataclass
class Heard:
    """What a dialect made of some lines: rows of windows (or a frame of them), events, and the lines it used.

    `steps` (columns of a step, and `line`) and `runs` are of lines that carry single decisions; each stands on one line.
    """

    rows: list[Row] = field(default_factory=list)
    frames: list[pl.DataFrame] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    steps: list[Row] = field(default_factory=list)
    runs: list[Row] = field(default_factory=list)
    used: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Envelope:
    """How an engine stamps its lines, as patterns that polars and re both read.

    `stamp` ends where the message begins; `begins` is how a message with figures begins, `speaks` what a line with figures
    holds anywhere. Lines behind a stamped one that `goes_on` matches belong to its record. `who` (process or ranks), `where`
    (module and line) and `clock` are taken from a stamped line by their first group; `follows` are the kinds of line (as
    `speaks` finds them) that stand behind a line of another kind; `fixed`: the fields of a kind of line are always the same.
    `usual` finds the groups who, where and clock at once in the usual stamp (see `fields`).
    """

    stamp: str
    begins: str
    speaks: str
    goes_on: re.Pattern[str] | None = None
    who: str | None = None
    where: str | None = None
    clock: str | None = None
    follows: tuple[tuple[str, str], ...] = ()
    fixed: bool = False
    usual: str | None = None


@dataclass(frozen=True)
class Dialect:
    """`needles` are byte strings of which every line of interest has one; `mark` tells the dialect from a head.

    `listen(path)` gives a function that is called with frames of (line, text), in order, and remembers what it must.
    """

    name: str
    engine: str
    says: str
    #: what is looked for, in the words of the lines
    looks_for: str
    needles: tuple[bytes, ...]
    mark: re.Pattern[str]
    listen: Callable[[str], Callable[[pl.DataFrame], Heard]]
    #: what the middle of a large file is searched for, and what is wanted of the few lines before each hit
    main: tuple[bytes, ...] = ()
    before: tuple[bytes, ...] = ()
    envelope: Envelope | None = None
    #: what the middle of a large file is searched for besides: few and rare words of announcements, of which those lines are looked at
    #: that hold a needle too, other than a level that many lines have
    alarms: tuple[bytes, ...] = ()
    #: more needles, which only a small log is searched for: what the others hold already where the engine stamps its lines
    asides: tuple[bytes, ...] = ()


def number(text: str | None) -> float | None:
    """A printed number; None where there is none or it is no number (nan)."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value - value == 0 else None
