"""Sums under keys are those of polars whatever order rows stand in; threads do every job once and tell of errors."""

from collections.abc import Iterator
from threading import Barrier, get_ident
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from sdtrace.audit.workers import pulled
from sdtrace.tally.group_runs import grouped

RUNS = st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 2), st.integers(1, 9)), max_size=6)
VALUES = {"i": st.integers(-5, 5), "f": st.floats(-8, 8, width=16), "b": st.booleans()}


@st.composite
def tables(draw: st.DrawFn) -> pl.DataFrame:
    """Runs of equal keys, which may come back later, with values of which some are null."""
    keys = [(name, number) for name, number, n in draw(RUNS) for _ in range(n)]
    n = len(keys)
    columns: dict[str, Any] = {
        name: draw(st.lists(st.none() | values, min_size=n, max_size=n)) for name, values in VALUES.items()
    }
    schema = {"k": pl.String, "n": pl.Int64, "i": pl.Int64, "f": pl.Float64, "b": pl.Boolean, "none": pl.Float64}
    made = {"k": [k for k, _ in keys], "n": [n for _, n in keys], **columns, "none": [None] * n}
    return pl.DataFrame(made, schema=schema)


@given(tables())
def test_sums_are_those_of_polars(table: pl.DataFrame) -> None:
    found = grouped(
        table, ["k", "n"], ["i", "f", "b"], {"first": "i"}, {"low": "f", "no": "none"}, {"high": "i", "none": "none"}
    )
    wanted = table.group_by("k", "n", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("rows"),
        first=pl.col("i").first(),
        low=pl.col("f").min(),
        no=pl.col("none").min(),
        high=pl.col("i").max(),
        none=pl.col("none").max(),
        i=pl.col("i").sum(),
        f=pl.col("f").sum(),
        b=pl.col("b").sum(),
    )
    assert_frame_equal(found, wanted, check_dtypes=False, abs_tol=1e-9)


def test_known_sums_are_not_looked_at() -> None:
    table = pl.DataFrame({"k": [1, 1, 1, 1, 2, 2, 2, 2], "x": range(8), "y": range(8), "ones": 1, "zeros": 7})
    known = {"y": "x", "ones": "rows", "zeros": None, "nowhere": "rows"}
    found = grouped(table, ["k"], ["x", "y", "ones", "zeros", "nowhere"], known=known)
    assert found.select("x", "y", "ones", "zeros", "nowhere").rows() == [(6, 6, 4, 0, 4), (22, 22, 4, 0, 4)]


def test_threads_do_every_job_once_and_side_by_side() -> None:
    meet, done, who = Barrier(3, timeout=20), [], set()

    def work(job: int) -> None:
        if job < 3:
            meet.wait()  # three threads are here at once, or this breaks
        who.add(get_ident())
        done.append(job)

    pulled(iter(range(40)), work, 3)
    assert sorted(done) == list(range(40))
    assert len(who) == 3


@pytest.mark.parametrize("error", [ValueError("no more"), StopIteration("no more")])
@pytest.mark.parametrize("where", ["jobs", "work"])
def test_an_error_is_raised_and_ends_the_work(where: str, error: Exception) -> None:
    done: list[int] = []

    def jobs() -> Iterator[int]:
        for job in range(1000):
            if where == "jobs" and job == 5:
                raise error
            yield job

    def work(job: int) -> None:
        if where == "work" and job == 5:
            raise error
        done.append(job)

    # Python makes a RuntimeError of a generator's StopIteration
    with pytest.raises((type(error), RuntimeError)):
        pulled(jobs(), work, 3)
    assert len(done) < 1000


def test_threads_work_under_the_settings_of_their_caller() -> None:
    meet, seen = Barrier(3, timeout=20), []

    def work(job: int) -> None:
        meet.wait()
        seen.append(np.geterr()["divide"])

    with np.errstate(divide="raise"):
        pulled(iter(range(3)), work, 3)
    assert seen == ["raise"] * 3
