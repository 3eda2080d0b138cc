"""Lists of different lengths as one flat array with offsets."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from sdtrace.schema.arrays import Flags, Ints


@dataclass(frozen=True)
class Ragged:
    """A list column as one flat array: the entries of row i are values[start[i] : start[i] + count[i]]."""

    values: npt.NDArray[np.generic]
    start: Ints
    count: Ints
    nulls: Flags | None = None  #: which values were null, where any was

    def at(self, row: Ints, index: Ints, absent: float | int | bool) -> npt.NDArray[np.generic]:
        """Entry `index` of list `row` for equal-length arrays of both; `absent` where the list is too short."""
        if not len(self.values):
            return np.full(len(row), absent)
        taken = np.empty(len(row), dtype=self.values.dtype)
        for begin in range(0, len(row), _BLOCK):
            rows, at = row[begin : begin + _BLOCK], index[begin : begin + _BLOCK]
            piece = self.values.take(self.start[rows] + at, mode="clip")
            np.putmask(piece, (at < 0) | (at >= self.count[rows]), absent)
            taken[begin : begin + _BLOCK] = piece
        return taken


#: Entries that are gathered at a time: pieces that stay in the processor's cache are twice as fast.
_BLOCK = 65_536


_NUMBERS = (pl.List(pl.Int64), pl.List(pl.Float64))


def ragged(column: pl.Series) -> Ragged:
    """Flatten a list column. Null numbers become NaN; null ids and null lists of them count as absent entries (-1)."""
    lists = column.rechunk().to_arrow()
    offset = lists.offsets.to_numpy()
    start, count = offset[:-1] - offset[:1], np.diff(offset)
    # the usual case: nothing is copied
    if not lists.null_count and not lists.values.null_count and column.dtype in _NUMBERS:
        return Ragged(lists.values.to_numpy()[offset[0] : offset[-1]], start, count)
    if lists.null_count:  # a null list may cover entries, which are nobody's
        count = np.where(lists.is_valid().to_numpy(zero_copy_only=False), count, 0)
        start = np.cumsum(count) - count
    flat = lists.flatten()
    nulls = flat.is_null().to_numpy(zero_copy_only=False) if flat.null_count else None
    if column.dtype == pl.List(pl.Boolean):
        flat = flat.cast(pa.int8())
    if nulls is not None and not pa.types.is_floating(flat.type):
        flat = flat.fill_null(-1)
    return Ragged(flat.to_numpy(zero_copy_only=False), start, count, nulls)


def heads(lists: Ragged, part: slice, kept: Ints) -> npt.NDArray[np.generic]:
    """The first `kept` entries of every list of a part, one after the other."""
    start, count = lists.start[part], lists.count[part]
    values = lists.values[start[0] : start[-1] + count[-1]] if len(start) else lists.values[:0]
    beyond = np.flatnonzero(count > kept)  # a bonus token, as a rule
    if not len(beyond):
        return values
    start = start - start[0]
    wanted = np.ones(len(values), dtype=bool)
    if (count[beyond] == kept[beyond] + 1).all():
        wanted[start[beyond] + kept[beyond]] = False
    else:
        wanted = np.arange(len(values)) - np.repeat(start, count) < np.repeat(kept, count)
    return np.asarray(values[np.flatnonzero(wanted)])
