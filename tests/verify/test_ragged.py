"""List columns as flat arrays: what a list of Python says, however the column is laid out in memory."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from sdtrace.verify.ragged import ragged

LISTS: dict[str, list[list[Any] | None]] = {
    "no row": [],
    "no entry": [[], []],
    "whole": [[1, 2], [3, 4], [5, 6]],
    "of different lengths": [[1, 2, 3], [], [4]],
    "with nulls": [[1, None, 3], [], [None]],
    "with null lists": [[1, 2], None, [3], None],
    "with both": [[3], None, [None, 2], [], [5]],
    "null lists alone": [None, None],
}
KINDS = {"ids": (pl.Int64, int, -1), "numbers": (pl.Float64, float, np.nan), "flags": (pl.Boolean, bool, -1)}


def laid_out(values: list[list[Any] | None], dtype: pl.DataType) -> list[pl.Series]:
    """The same column: as it is, cut from a longer one, in chunks, and with entries behind its null lists."""
    kind = pl.List(dtype)
    plain = pl.Series("x", values, dtype=kind)
    longer = pl.Series("x", [[values[0][0]] if values and values[0] else None, *values, None], dtype=kind)
    chunks = pl.concat([plain[:1], plain[1:]], rechunk=False)
    full = pl.Series("x", [[values[0][0]] if one is None and values[0] else one or [] for one in values], dtype=kind)
    masked = pl.select(pl.when(pl.Series([one is not None for one in values], dtype=pl.Boolean)).then(full)).to_series()
    return [plain, longer[1:-1], chunks, masked]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LISTS)
def test_entries_starts_and_nulls(name: str, kind: str) -> None:
    dtype, of, absent = KINDS[kind]
    lists = [None if one is None else [None if v is None else of(v) for v in one] for one in LISTS[name]]
    entries = [v for one in lists for v in one or []]
    for column in laid_out(lists, dtype()):
        found = ragged(column)
        assert found.count.tolist() == [len(one or []) for one in lists]
        want = np.array([absent if v is None else v for v in entries], dtype=float)
        taken = [found.values[a : a + n] for a, n in zip(found.start, found.count, strict=True)]
        np.testing.assert_array_equal(np.concatenate([*taken, []]), want)
        told = None if found.nulls is None else found.nulls.tolist()
        assert told == ([v is None for v in entries] if None in entries else None)
        row = np.repeat(np.arange(len(lists)), 4)
        index = np.tile(np.arange(4), len(lists))
        spread = [-7 if j >= len(one or []) else (one or [])[j] for one in lists for j in range(4)]
        want = np.array([absent if v is None else v for v in spread], dtype=float)
        np.testing.assert_array_equal(found.at(row, index, -7).astype(float), want)
