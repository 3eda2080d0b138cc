"""Sums of runs, the shortcut of tables whose keys stand together, are those of any order."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from sdtrace.tally import group_sums as module
from sdtrace.tally.group_sums import group_sums, sums_of_any_order

Call = tuple[list[str], list[str], dict[str, str], dict[str, str], dict[str, str]]
ASKED: Call = (
    ["k", "n"],
    ["i", "f", "b", "none", "zero", "three", "half", "all", "never"],
    {"one": "i", "word": "k"},
    {"low": "f", "no": "none", "low_i": "i"},
    {"high": "i", "none_high": "none", "high_f": "f"},
)

#: Columns that say the same of every row.
_SAME: dict[str, Any] = {"zero": 0.0, "three": 3, "half": 0.5, "all": True, "never": False}


def _table(sizes: list[int], nulls: float, seed: int) -> pl.DataFrame:
    """Runs of so many rows, every third under a null key; a share of the values is null."""
    rng = np.random.default_rng(seed)
    number = np.repeat(np.arange(len(sizes)), sizes)
    n = len(number)

    def some(values: Any) -> pl.Series:
        column = pl.Series(values)
        return column.set(pl.Series(rng.random(n) < nulls), None) if nulls else column

    return pl.DataFrame(
        {
            "k": pl.Series([None if g % 3 == 2 else f"k{g // 2}" for g in number.tolist()], dtype=pl.String),
            "n": number,
            "i": some(rng.integers(-5, 6, n)),
            "f": some(rng.normal(size=n)),
            "b": some(rng.random(n) < 0.5),
            "none": pl.Series([None] * n, dtype=pl.Float64),
            **{name: pl.Series([one]).new_from_index(0, n) for name, one in _SAME.items()},
        }
    )


@pytest.mark.parametrize("nulls", [0.0, 0.3, 0.95])
@pytest.mark.parametrize("seed", range(4))
def test_sums_of_runs_are_those_of_any_order(nulls: float, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [int(size) for size in np.random.default_rng(seed).integers(4, 40, 300)]
    table = _table(sizes, nulls, seed)
    wanted = sums_of_any_order(table, *ASKED)
    monkeypatch.setattr(module, "sums_of_any_order", None)  # the shortcut is taken, or this breaks
    assert_frame_equal(group_sums(table, *ASKED), wanted, abs_tol=1e-12)


def _back(table: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([table, table.head(9)])


def _nan(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(f=pl.when(pl.col("i") == 1).then(float("nan")).otherwise("f"))


def _small(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(pl.col("i").cast(pl.Int8))


@pytest.mark.parametrize(
    ("sizes", "change"),
    [
        ([9] * 600, _back),
        ([9] * 600, _nan),
        ([9] * 600, _small),
        ([1, 5] * 1000, pl.DataFrame.clone),
        ([9] * 3, pl.DataFrame.clone),
        ([], pl.DataFrame.clone),
    ],
    ids=[
        "a key comes back",
        "a least value of NaN",
        "small numbers, whose sums are wider",
        "short runs",
        "few rows",
        "no row",
    ],
)
def test_other_tables_are_added_up_in_any_order(sizes: list[int], change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    table = change(_table(sizes, 0.1, 0))
    wanted = sums_of_any_order(table, *ASKED)
    monkeypatch.setattr(module, "sums_of_runs", None)
    assert_frame_equal(group_sums(table, *ASKED), wanted)
