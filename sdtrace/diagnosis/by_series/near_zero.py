"""Acceptance near zero, in all or behind a position: no drafter of the target's vocabulary writes that.

A drafter that works guesses frequent words rightly: even one of another family, on hard text at temperature 1, has more than LEAST of
its first tokens accepted, and more than that of its second ones behind an accepted first. What lies far below has no state or not
the target's. Requests are clusters, so shares are beta-binomial: one request of hard text proves nothing. Lookups (n-gram,
suffix) are another matter: text without repetition gives them nothing to find.
"""

from dataclasses import dataclass

import polars as pl

from sdtrace.counters.series import Tally
from sdtrace.stats.beta_binomial import inflation, log_e_small, upper

#: Share of first tokens that the least of working drafters has accepted.
LEAST = 0.15
#: Shares that a broken one may have.
SMALL = (0.003, 0.02)
#: Above it a share is small, and not near zero.
NEAR = 0.03
#: Acceptances of a position that make exact zeros behind it tell something.
POSITIONS = 20


@dataclass(frozen=True)
class Rare:
    """`hits` of `trials` accepted at `position`; `log_e` against a working drafter; `bound` of the share, at 99%."""

    position: int
    hits: float
    trials: float
    bound: float
    log_e: float

    @property
    def near_zero(self) -> bool:
        return self.trials > 0 and self.hits <= NEAR * self.trials and self.bound <= 2 * NEAR


def first(t: Tally) -> Rare:
    """The first position: how many steps accepted anything."""
    return _rare(0, t.parts.select("first", "least").drop_nulls().rows())


def behind(t: Tally) -> Rare | None:
    """The first position behind an accepted one that is accepted next to never; None where there is none.

    A step is a trial of position j where j - 1 was accepted and more than j tokens were drafted. Where draft lengths are not
    printed, at least (drafted - j x steps) / (k - j) steps drafted so many.
    """
    rows = t.parts.filter(pl.col("positions").is_not_null() & (pl.col("listed_drafts") > 0))
    if rows.is_empty():
        return None
    widest = int(rows["positions"].list.len().to_numpy().max())
    for j in range(1, widest):
        clusters = [_trials(j, *row) for row in rows.select("positions", "listed_drafts", "listed_drafted").rows()]
        if sum(trials for _, trials in clusters) < POSITIONS:
            return None
        found = _rare(j, clusters)
        if found.near_zero:
            return found
    return None


def _trials(j: int, positions: list[float], steps: float, drafted: float) -> tuple[float, float]:
    before, here = (positions[i] or 0.0 if i < len(positions) else 0.0 for i in (j - 1, j))
    k = len(positions)
    long = min(steps, max(0.0, (drafted - j * steps) / (k - j))) if k > j else 0.0
    return here, max(here, before - (steps - long))


def _rare(position: int, clusters: list[tuple[float, float]]) -> Rare:
    clusters = [c for c in clusters if c[0] >= 0]  # counters that go back where nothing began anew are damaged
    hits, trials = (sum(c[i] for c in clusters) for i in (0, 1))
    spread = inflation(clusters)
    bound = upper(hits / spread, trials / spread)
    near = trials > 0 and hits <= NEAR * trials
    return Rare(position, hits, trials, bound, log_e_small(clusters, LEAST, SMALL) if near else 0.0)
