"""The tally under the laws that were chosen for its runs: each of its frames is filtered once, whoever asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from sdtrace.diagnosis.law_choice import Choice
from sdtrace.tally.tally import Tally


@dataclass(frozen=True)
class Chosen:
    """A tally and the law of each of its runs. A step is in the tally once for every law that was tried on it, and here once."""

    tally: Tally = field(default_factory=Tally)
    choices: Mapping[str, Choice] = field(default_factory=dict)
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
    def steps(self) -> pl.DataFrame | None:
        """The sampled steps under the chosen laws."""
        return None if self.tally.steps is None else self.tally.steps.filter(self.rows)
