"""Where a step's time went: parts that add up to its wall time, whatever was recorded and whatever overlapped."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

#: Parts in the order in which overlapped time is taken from them: a draft hides first, the verifying pass last.
_HIDES = ("draft", "sample", "verify")
_SUMS = {"draft": ("wd", "has_d"), "verify": ("wv", "has_v"), "sample": ("ws", "has_s")}


@dataclass(frozen=True)
class Ledger:
    """Mean ms of an engine step. `parts` (draft, verify, sample) are None where never recorded; with `unattributed` they
    add up to `step`. `hidden`: recorded time of parts that ran beside others and cost no wall time."""

    steps: float
    step: float
    parts: Mapping[str, float | None]
    unattributed: float
    hidden: float

    @property
    def overhead(self) -> float:
        """Everything but drafting and verifying."""
        return (self.parts["sample"] or 0.0) + self.unattributed


def ledger(cost: pl.DataFrame) -> Ledger | None:
    """The means over rows of the tally's frame `cost`; None where no step has a time."""
    total = cost.select(pl.col("w", "wt", "wh", *(name for pair in _SUMS.values() for name in pair)).sum()).to_dicts()[
        0
    ]
    steps = float(total["w"])
    if steps <= 0 or total["wt"] <= 0:
        return None
    parts = {name: float(total[sums]) / steps if total[known] else None for name, (sums, known) in _SUMS.items()}
    return exposed(steps, float(total["wt"]) / steps, parts, float(total["wh"]) / steps)


def exposed(steps: float, step: float, parts: Mapping[str, float | None], hidden: float) -> Ledger:
    """A ledger from mean times as recorded: what parts overlap is taken from the draft first."""
    shown = dict(parts)
    left = hidden
    for name in _HIDES:
        mean = parts[name]
        taken = min(left, mean or 0.0)
        left -= taken
        shown[name] = None if mean is None else mean - taken
    rest = step - sum(part or 0.0 for part in shown.values())
    return Ledger(steps, step, {name: shown[name] for name in _SUMS}, max(rest, 0.0), hidden)
