"""Figures that a tool prints once, one a line: the fields of a block become one window, whose row is made anew as they come.

A block ends where its heading, or a field that it has, comes again.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from sdtrace.readers.logs.clock import iso
from sdtrace.readers.logs.dialect import Heard, number
from sdtrace.schema.counters import Row

#: A field that is printed once a position gives a list.
Values = dict[str, Any]


@dataclass(frozen=True)
class Block:
    """`fields`: name -> pattern whose last group is the value, and whose first of two is a position; `row` makes the window.

    `heading` begins a block. `texts` are fields that are no numbers; other lines of the block (`also`) are used and not read.
    """

    fields: Mapping[str, re.Pattern[str]]
    row: Callable[[Values], Row | None]
    heading: re.Pattern[str] | None = None
    texts: frozenset[str] = frozenset()
    also: re.Pattern[str] | None = None


@dataclass
class _Open:
    values: Values = field(default_factory=dict)
    row: Row | None = None
    pending: list[int] = field(default_factory=list)  #: lines that are used once there is a row


def listener(block: Block) -> Callable[[str], Any]:
    """What a dialect's `listen` is made of."""

    def listen(path: str) -> Any:
        now = _Open()

        def hear(rows: pl.DataFrame) -> Heard:
            nonlocal now
            heard = Heard()
            for line, text in rows.iter_rows():
                if block.heading is not None and block.heading.search(text):
                    now = _Open(pending=[line])
                elif (told := _field(block, text)) is not None:
                    now = _take(block, line, text, told, now, heard)
                elif block.also is not None and block.also.search(text):
                    heard.used.add(line)
            return heard

        return hear

    return listen


def _field(block: Block, text: str) -> tuple[str, int | None, Any] | None:
    """(field, position, value) of a line."""
    for name, pattern in block.fields.items():
        if m := pattern.search(text):
            told = m[m.re.groups].strip()
            value = told if name in block.texts else number(told.replace(",", ""))
            if value is not None:
                return name, int(m[1][-9:]) if m.re.groups == 2 else None, value
    return None


def _take(block: Block, line: int, text: str, cell: tuple[str, int | None, Any], now: _Open, heard: Heard) -> _Open:
    name, position, value = cell
    listed = now.values.get(name, [])
    if (name in now.values and position is None) or (position is not None and position != len(listed)):
        now, listed = _Open(), []
    now.pending.append(line)
    now.values[name] = value if position is None else [*listed, value]
    made = block.row(now.values)
    if made is None:
        return now
    if now.row is None or not any(row is now.row for row in heard.rows):
        now.row = {"line": line, "at": iso(text[:100])}
        heard.rows.append(now.row)
    heard.used |= set(now.pending)
    now.pending.clear()
    now.row |= made
    return now
