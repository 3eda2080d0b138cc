"""The tally under the laws that were chosen for its runs: each of its frames is filtered once, whoever asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from sdtrace.audit.parts import moved
from sdtrace.diagnosis.law_choice import Choice
from sdtrace.tally.tally import Tally, add


@dataclass(frozen=True)
class Chosen:
    """A tally and the law of each of its runs. A step is in the tally once for every law that was tried on it, and here once.

    `moved`: parts of requests that another run began (`sdtrace.audit.parts.moved`).
    """

    tally: Tally = field(default_factory=Tally)
    choices: Mapping[str, Choice] = field(default_factory=dict)
    moved: pl.DataFrame = field(default_factory=lambda: moved(None))
    _frames: dict[str, pl.DataFrame] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def rows(self) -> pl.Expr:
        """Rows of the law that was chosen for their run; temperature-0 requests are greedy under any run."""
        laws = {run: choice.law for run, choice in self.choices.items()}
        law = pl.col("run_id").replace_strict(list(laws), list(laws.values()), default=None, return_dtype=pl.String)
        mine = (pl.col("law") == law).fill_null(value=False) if laws else pl.lit(value=False)
        # what no law judges counts in the figures
        return mine | pl.col("law").is_in(["greedy", "unknown"])

    def frame(self, name: str) -> pl.DataFrame:
        """The sums of that name (one of those that have a law) under the chosen laws."""
        if name not in self._frames:
            whole = self.tally.frame(name)
            self._frames[name] = whole if whole.is_empty() else whole.filter(self.rows)
        return self._frames[name]

    @cached_property
    def requests(self) -> pl.DataFrame:
        """The frame of requests, each of them once: parts that another run began are added to its row, under the law there."""
        rows = self.frame("requests")
        if self.moved.is_empty() or rows.is_empty():
            return rows
        of = rows.join(self.moved.drop("hash"), on=["run_id", "request_id"], how="left", maintain_order="left")
        of = of.with_columns(run_id=pl.coalesce("began_in", "run_id"), hash=pl.coalesce("head", "hash"))
        of = of.sort(pl.col("began_in").is_not_null(), maintain_order=True)
        first = [pl.col("law").first().over("run_id", "request_id")]
        return add("requests", [of.with_columns(first).select(rows.columns)])

    def once(self, hashes: pl.Series) -> pl.Series:
        """`hash` of parts as that of the request that they are a part of."""
        if self.moved.is_empty():
            return hashes
        return hashes.replace(self.moved["hash"], self.moved["head"])

    @cached_property
    def steps(self) -> pl.DataFrame | None:
        """The sampled steps under the chosen laws."""
        return None if self.tally.steps is None else self.tally.steps.filter(self.rows)
