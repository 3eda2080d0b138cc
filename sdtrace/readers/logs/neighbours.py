"""A stamped line that does not fit the lines around it: one that somebody else wrote, in the engine's form.

A prompt that is printed as it is can hold a line in an engine's envelope. Its author does not see the log: the line names
another process or module, is stamped out of order, has other fields or another draft length, stands where no such line
stands, breaks the identities of its counts, or is a total that comes and goes. One line alone among several that agree is set
aside, with the reason. Where lines differ anyway, none is.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from sdtrace.readers.logs.dialect import Envelope
from sdtrace.readers.logs.fields import fields
from sdtrace.readers.logs.place import place_of
from sdtrace.schema.arrays import Floats

#: Lines that must agree before one that does not is set aside.
LEAST = 3
#: Seconds by which lines of several threads may be out of order.
_SLACK = 5.0
_DIGITS = re.compile(r"[0-9]+")


def strangers(envelope: Envelope, heard: pl.DataFrame) -> dict[int, str]:
    """Lines of a frame (line, text) that are alone in their process, module, fields, place or time, each with the reason."""
    text = pl.col("text")
    stamp = fields(heard["text"], {n: getattr(envelope, n) or "()" for n in ("who", "where", "clock")}, envelope.usual)
    who, where, clock = (stamp[name].fill_null("") for name in ("who", "where", "clock"))
    told = heard.select(
        "line",
        kind=text.str.extract(f"({envelope.speaks})").str.replace_all("[0-9]+", "0"),
        who=pl.concat_str(place_of(text), pl.lit(" "), who),
        where=where,
        clock=clock,
        fields=text.str.count_matches(": ", literal=True),
        items=text.str.count_matches(", ", literal=True),
    ).drop_nulls("kind")
    if told.height <= LEAST:
        return {}
    found = dict.fromkeys(_other_process(told), "no other line is of its process")
    before = pl.col("kind").shift(1).over("who")
    for _, mine in told.with_columns(before=before).group_by("kind", maintain_order=True):
        if mine.height > LEAST:
            found |= dict.fromkeys(_other(mine, "where"), "the others come from another place in the engine's source")
            found |= dict.fromkeys(_fewer(mine) if envelope.fixed else (), "it does not have the fields of the others")
            found |= dict.fromkeys(_lonely(mine, envelope), "it stands alone, the others behind another line")
    one = told["who"].n_unique() == 1
    for mine in [told] if one else told.partition_by("who", maintain_order=True):
        found |= dict.fromkeys(_misplaced(mine), "its time is not between those of its neighbours")
    return found


def _other_process(rows: pl.DataFrame) -> list[int]:
    """Lines whose process has no other line, where three times as many are of processes that have."""
    counted = rows.with_columns(n=pl.len().over("who"))
    alone = counted.filter(pl.col("n") == 1)
    return alone["line"].to_list() if LEAST * alone.height <= rows.height - alone.height else []


def _other(mine: pl.DataFrame, name: str) -> list[int]:
    """The one line that differs in a column in which all others agree."""
    counts = mine[name].value_counts()
    if counts.height != 2 or counts["count"].min() != 1:
        return []
    rare = counts.filter(pl.col("count") == 1)[name]
    return mine.filter(pl.col(name).is_in(rare.implode()))["line"].to_list() if len(rare) == 1 else []


def _fewer(mine: pl.DataFrame) -> list[int]:
    """The one line with fewer fields, or with another number of items in as many fields, than all others have.

    A record that was cut has fewer of both: that is for its reader to say.
    """
    odd = _other(mine.with_columns(shape=pl.col("fields") * 4096 + pl.col("items")), "shape")
    if not odd:
        return []
    one, usual = mine.filter(pl.col("line") == odd[0]), mine.filter(pl.col("line") != odd[0])
    fewer, same = one["fields"][0] < usual["fields"][0], one["fields"][0] == usual["fields"][0]
    return odd if same or fewer else []


def _lonely(mine: pl.DataFrame, envelope: Envelope) -> list[int]:
    """The one line that does not stand behind a line of the kind that all others stand behind."""
    behind = dict(envelope.follows).get(mine["kind"][0])
    if behind is None:
        return []
    return _other(mine.drop_nulls("before").with_columns(behind=pl.col("before") == behind), "behind")


def _misplaced(rows: pl.DataFrame) -> list[int]:
    """Lines that alone step out of an order of time that their neighbours keep."""
    clocks = rows["clock"].str.zfill(32)
    if not (clocks < clocks.shift(1)).any():
        return []
    at = _seconds(rows["clock"].to_list())
    found = sorted(set(_steps(at, dated=":" in rows["clock"][0])))
    return [rows["line"][i] for i in found] if LEAST * len(found) < len(at) else []


def _steps(at: Floats, *, dated: bool) -> Iterator[int]:
    for i in (np.flatnonzero(at[1:] < at[:-1] - _SLACK) + 1).tolist():
        if i + 1 < len(at) and at[i + 1] >= at[i - 1] - _SLACK:
            yield i  # back, and on again
        elif i >= 2 and at[i] >= at[i - 2] - _SLACK:
            yield i - 1  # ahead, and back again
        elif i + 1 == len(at) and dated:
            yield i


def _seconds(clocks: Sequence[str]) -> Floats:
    """Clocks as seconds that are good for comparing. Those of one form are read at once, by their columns of digits."""
    joined = "".join(clocks)
    if joined.isascii() and len(set(map(len, clocks))) == 1:
        signs = np.frombuffer(joined.encode(), dtype=np.uint8).reshape(len(clocks), -1)
        digit = (signs >= ord("0")) & (signs <= ord("9"))
        if (digit == digit[0]).all():
            form = "".join("0" if is_digit else "-" for is_digit in digit[0])
            values = (signs - np.uint8(ord("0"))).astype(np.float64)
            numbers = [
                values[:, m.start() : m.end()] @ 10.0 ** np.arange(m.end() - m.start() - 1, -1, -1)
                for m in _DIGITS.finditer(form)
            ]
            at: Floats = np.zeros(len(clocks)) + _clock(numbers, dated=":" in clocks[0])
            return at
    return np.array([_clock([int(n) for n in _DIGITS.findall(c)], dated=":" in c) for c in clocks], dtype=np.float64)


def _clock(numbers: Sequence[Any], *, dated: bool) -> Any:
    """`m.ss.mmm.uuu`, or the date's and the time's numbers in their order, as seconds; numbers, or columns of them."""
    if not dated:
        minutes, seconds, ms, us = [*numbers[-6:], 0, 0, 0, 0][:4]
        return minutes * 60 + seconds + ms / 1e3 + us / 1e6
    *date, hour, minute, second = [0, 0, 0, *numbers[-6:]][-6:]
    days = (date[0] * 12 + date[1]) * 31 + date[2]
    return days * 86_400 + hour * 3600 + minute * 60 + second


def unlike(windows: pl.DataFrame) -> dict[int, str]:
    """Windows whose counts alone cannot be, or whose totals come and go, where several of their kind are sound."""
    found: dict[int, str] = {}
    for (basis,), mine in windows.group_by("basis", maintain_order=True):
        if mine.height <= LEAST:
            continue
        if basis in ("interval", "request", "iteration", "round"):
            for _, same in mine.group_by("engine", "surface", maintain_order=True):
                found |= dict.fromkeys(_broken(same), "its counts do not fit each other, those of the other lines do")
        elif basis == "lifetime":
            for _, same in mine.group_by("engine", "surface", "series", maintain_order=True):
                found |= dict.fromkeys(_spikes(same), "its totals are not continued by the lines behind it")
    return found


def _broken(same: pl.DataFrame) -> list[int]:
    accepted, drafted, k = pl.col("accepted"), pl.col("drafted"), pl.col("k")
    many = (accepted > drafted) | (drafted > 1.02 * k * pl.col("drafts") + k)
    rate = (pl.col("said_rate") - accepted / drafted).abs() > 0.0051
    known = same.filter(accepted.is_not_null() & drafted.is_not_null()).with_columns(
        broken=many.fill_null(value=False) | rate.fill_null(value=False)
    )
    if known.height <= LEAST or known["broken"].sum() != 1:
        return []
    return known.filter("broken")["line"].to_list()


def _spikes(same: pl.DataFrame) -> list[int]:
    """A total above or below both its neighbours, which go on from one another."""
    if same.height <= LEAST:
        return []
    value = pl.col("drafted")
    before, after = value.shift(1), value.shift(-1)
    on = after >= before
    return same.filter((on & ((value > after) | (value < before))).fill_null(value=False))["line"].to_list()
