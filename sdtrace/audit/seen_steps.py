"""Steps under a key that is taken: shards that overlap, a file that was given twice, ids that say too little. The first one counts."""

from dataclasses import dataclass, field

import polars as pl

from sdtrace.readers.inputs import Input
from sdtrace.schema.trace import REPEATED, Loss

#: Repeated steps that are kept to be compared.
KEPT = 4_000


@dataclass
class SeenSteps:
    """What inputs held before; memory is two numbers a step, and nothing where there is one input."""

    requests: list[pl.DataFrame] = field(default_factory=list)
    current: list[pl.DataFrame] = field(default_factory=list)
    known: set[int] = field(default_factory=set)

    def fresh(self, steps: pl.DataFrame) -> pl.Series:
        """Which of the keyed steps stand in no earlier input."""
        keys = steps.select("hash", "step")
        self.current.append(keys)
        every = keys["hash"].unique()
        if self.known.isdisjoint(every):
            return pl.Series([True]).new_from_index(0, keys.height)
        before = pl.concat(self.requests).filter(pl.col("hash").is_in(every.implode())).unique()
        seen = keys.join(before.with_columns(seen=True), on=["hash", "step"], how="left", maintain_order="left")["seen"]
        return seen.is_null()

    def kept(self, steps: pl.DataFrame, read: Input, path: str, repeated: "RepeatedSteps") -> pl.DataFrame:
        """The fresh ones of keyed steps; the others are booked as lost, and remembered as repeated."""
        fresh = self.fresh(steps)
        if fresh.all():
            return steps
        again = steps.filter(~fresh)
        request, step, line = again.select("request_id", "step", "line").row(0)
        what = f"{REPEATED} {request!r}, step {step}, in another input"
        read.steps -= again.height
        read.losses.append(Loss(path, line, what, again.height, "give each step once: shards overlap", "repeated"))
        repeated.add(again, path)
        return steps.filter(fresh)

    def next_input(self) -> None:
        """The input ends: what it held was before."""
        self.requests += self.current
        self.known.update(*(frame["hash"].unique() for frame in self.current))
        self.current = []


@dataclass
class RepeatedSteps:
    """Whole requests of lowest hash, as many repeated steps as KEPT: those whose first ones the sample of steps has."""

    rows: pl.DataFrame | None = None

    def add(self, steps: pl.DataFrame, path: str) -> None:
        """Keyed steps of an input, or those of another audit."""
        mine = steps if "path" in steps.columns else steps.with_columns(path=pl.lit(path))
        rows = mine if self.rows is None else pl.concat([self.rows, mine], how="diagonal_relaxed")
        if rows.height > KEPT:
            limit = rows["hash"].bottom_k(KEPT + 1).max()
            few = rows.filter(pl.col("hash") < limit)
            rows = few if few.height else rows.filter(pl.col("hash") == limit).head(KEPT)
        self.rows = rows
