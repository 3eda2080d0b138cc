"""Requests that begin in one input and finish in another, and what the clocks of the two differ by.

A request is followed from one part to the next where the next one begins with the context that the last one ended with. The clocks
are held against each other by steps that both inputs recorded, or by requests that went over in both directions: time never runs
backwards on the way. Requests that go one way alone bound the difference on one side; then the clocks are not aligned.
"""

from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from sdtrace.audit.parts import goes_on, of_several

#: Steps that both inputs recorded, or requests either way, that align two clocks.
_FEWEST = 3
Basis = Literal["shared steps", "requests both ways"]


@dataclass(frozen=True)
class Clock:
    """How far the second input's clock is ahead of the first one's, in seconds, and its spread."""

    offset: float
    low: float
    high: float
    basis: Basis
    count: int


@dataclass(frozen=True)
class Joined:
    """`requests` begin in the first input and go on in the second. `clock` is None where the two cannot be aligned; `at_most` is then
    what their difference is bounded by. `pause`: s between the last step here and the first one there, the median; None where the
    clocks are not aligned."""

    first: str
    second: str
    requests: int
    clock: Clock | None
    at_most: float | None
    pause: float | None

    def row(self) -> dict[str, Any]:
        """For the document."""
        clock = self.clock and {
            "ahead_s": self.clock.offset,
            "low_s": self.clock.low,
            "high_s": self.clock.high,
            "basis": self.clock.basis,
            "n": self.clock.count,
        }
        told = {"begin": self.first, "finish": self.second, "requests": self.requests}
        return told | {"clock": clock, "ahead_at_most_s": self.at_most, "pause_s": self.pause}

    def says(self) -> str:
        """A sentence for people."""
        many = f"{self.requests:,} request{'s begin' if self.requests > 1 else ' begins'}"
        went = f"{many} in {self.first} and {'go' if self.requests > 1 else 'goes'} on in {self.second}"
        if self.clock is not None:
            at, n = self.clock, self.clock.count
            spread = f"{at.low:+.3g} to {at.high:+.3g} s, by {n:,} {at.basis}"
            return f"{went}; the clock there is {at.offset:+.3g} s off the first one ({spread})"
        if self.at_most is None:
            return f"{went}; the two clocks are not aligned: steps have no times"
        takes = "it takes requests both ways, or steps that both recorded"
        ahead = self.at_most
        bound = f"ahead by {ahead:.3g} s at the most" if ahead >= 0 else f"behind by {-ahead:.3g} s at least"
        return f"{went}; the two clocks are not aligned ({takes}): the second is {bound}"


def joined(
    parts: pl.DataFrame | None, sample: pl.DataFrame | None, repeated: pl.DataFrame | None
) -> tuple[Joined, ...]:
    """Pairs of inputs, the most requests first. `parts`: `sdtrace.audit.parts`; `sample` and `repeated`: steps that were first and
    steps under the same keys, with `path` and `at`."""
    rows = of_several(parts)
    if rows is None:
        return ()
    before = [
        pl.col(name).shift(1).over("request_id").alias(f"before_{name}") for name in ("path", "run_id", "rank", "ends")
    ]
    went = rows.with_columns(*before, goes_on=goes_on()).filter("goes_on")
    went = went.with_columns(wait=pl.col("begins") - pl.col("before_ends"))
    shared = _shared(sample, repeated)
    found = []
    for (first, second), rows in went.group_by("before_path", "path", maintain_order=True):
        back = went.filter((pl.col("before_path") == second) & (pl.col("path") == first))
        together = shared.get((str(first), str(second)))
        one_process = (pl.col("run_id") == pl.col("before_run_id")) & pl.col("rank").eq_missing(pl.col("before_rank"))
        if together is None and rows.filter(~one_process | (pl.col("wait") < 0)).is_empty():
            continue  # the files of one process
        found.append(_pair(str(first), str(second), rows, back, together))
    return tuple(sorted(found, key=lambda one: (-one.requests, one.first, one.second)))


def _pair(first: str, second: str, rows: pl.DataFrame, back: pl.DataFrame, shared: pl.Series | None) -> Joined:
    waits, returns = (frame["wait"].drop_nulls() for frame in (rows, back))
    n = rows["request_id"].n_unique()
    clock: Clock | None = None
    if shared is not None and len(shared) >= _FEWEST:
        low, middle, high = (_quantile(shared, share) for share in (0.05, 0.5, 0.95))
        clock = Clock(middle, low, high, "shared steps", len(shared))
    elif min(len(waits), len(returns)) >= _FEWEST:
        high, low = _quantile(waits, 0.0), -_quantile(returns, 0.0)
        if low <= high:  # otherwise one of the clocks moved
            clock = Clock((low + high) / 2, low, high, "requests both ways", len(waits) + len(returns))
    pause = None if clock is None or waits.is_empty() else max(_quantile(waits, 0.5) - clock.offset, 0.0)
    at_most = None if clock is not None or waits.is_empty() else _quantile(waits, 0.0)
    return Joined(first, second, n, clock, at_most, pause)


def _quantile(values: pl.Series, share: float) -> float:
    return float(values.quantile(share, "linear") or 0.0)


def _shared(sample: pl.DataFrame | None, repeated: pl.DataFrame | None) -> dict[tuple[str, str], pl.Series]:
    """at there minus at here of steps that two inputs recorded, both ways, by the pair."""
    if sample is None or repeated is None or sample.is_empty():
        return {}
    again = repeated.select("hash", "step", there="path", late="at")
    both = sample.select("hash", "step", here="path", at="at").join(again, on=["hash", "step"], how="inner")
    both = both.with_columns(off=pl.col("late") - pl.col("at")).drop_nulls("off")
    found: dict[tuple[str, str], pl.Series] = {}
    for (here, there), rows in both.group_by("here", "there", maintain_order=True):
        found[str(here), str(there)] = rows["off"]
        found[str(there), str(here)] = -rows["off"]
    return found
