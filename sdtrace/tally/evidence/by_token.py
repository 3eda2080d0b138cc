"""Tokens by whatever is known before the draw, as `by_step` has acceptances: of the first piece of some batches, which costs little.

A quantity is a value of a token minus its mean, 0 in every part of a trace that is chosen before the draw:

    emitted   accepted - min(1, q/p) at the emitted token (SD202)
    leaning   the same, weighed by the logarithm of q there
    drafted   q(x) - sum q^2 (SD211); v is its square
    alone     p(y) - sum p^2 of tokens that the target draws alone (SD212), which have no position; v is its square

The frame token_slices has the sums by slice, token_sums those by request.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl

from sdtrace.schema.arrays import Floats, Ints
from sdtrace.tally.evidence.by_step import DEEPEST, NUMBERS, SUMS, by_known, by_request, framed, table
from sdtrace.tally.evidence.slots import PIECE, Slots
from sdtrace.tally.evidence.sums import Tosses
from sdtrace.tally.evidence.weights import lean
from sdtrace.verify.scope import Scope

TOKEN_SLICES = table(quantity=pl.String, by=pl.String, value=pl.String, **NUMBERS)
TOKEN_SUMS = table(quantity=pl.String, request_id=pl.String, hash=pl.UInt64, **NUMBERS)

#: Of stretches of _STRETCH lines of an input, one in _EVERY is looked at: batches that begin in it, the first one always.
_STRETCH, _EVERY = 1 << 16, 16


class ByTokens:
    """The sums of one scope: a table (4, n) of its first n steps, and one (4, DEEPEST) of positions, for each quantity."""

    def __init__(self, scope: Scope) -> None:
        self._scope, self._steps = scope, _steps(scope)
        self._held: dict[str, tuple[Floats, Floats]] = {}

    def emitted(self, here: Slots, mine: Tosses, q_y: Floats) -> None:
        """Acceptances of some slots given their emitted tokens, with q there."""
        if not len(mine.at) or here.row[0] >= self._steps:
            return
        n = int(np.searchsorted(here.row[mine.at], self._steps))
        at, b, weight = mine.at[:n], mine.chance[:n], lean(q_y[:n])
        d, v = mine.hit[:n] - b, b * (1.0 - b)
        s = b * mine.spread if isinstance(mine.spread, float) else mine.spread[:n]
        row, place = here.row[at], here.place[at]
        self._add("emitted", row, place, {"n": None, "d": d, "v": v, "s": s})
        d *= weight
        v *= weight
        v *= weight
        self._add("leaning", row, place, {"d": d, "v": v})

    def add(self, quantity: str, row: Ints, place: Ints | None, value: Floats, half: Floats) -> None:
        """Values in [-1, 1] of unknown variance, whose steps `row` rise, and how far rounding can have moved each."""
        n = int(np.searchsorted(row, self._steps))
        value = value[:n]
        sums = {"n": None, "d": value, "v": value * value, "s": half[:n]}
        self._add(quantity, row[:n], place if place is None else place[:n], sums)

    def _add(self, quantity: str, row: Ints, place: Ints | None, values: Mapping[str, Floats | None]) -> None:
        """`values` of some of SUMS; None for one of each."""
        if not len(row):
            return
        if quantity not in self._held:
            self._held[quantity] = np.zeros((len(SUMS), self._steps)), np.zeros((len(SUMS), DEEPEST))
        by_step, by_place = self._held[quantity]
        first, last = int(row[0]), int(row[-1]) + 1
        near = row - first
        place = None if place is None else np.minimum(place, DEEPEST - 1)
        for name, value in values.items():
            i = SUMS.index(name)
            by_step[i, first:last] += np.bincount(near, value, last - first)
            if place is not None:
                by_place[i] += np.bincount(place, value, DEEPEST)

    def frames(self, known: Mapping[str, pl.Series]) -> dict[str, pl.DataFrame]:
        """`token_slices` and `token_sums`; `known`: what is known of every step of the scope before its draws."""
        if not self._held:
            return {"token_slices": TOKEN_SLICES, "token_sums": TOKEN_SUMS}
        if "leaning" in self._held:
            for mine, whole in zip(self._held["leaning"], self._held["emitted"], strict=True):
                mine[[0, 3]] = whole[[0, 3]]  # of the same tokens; a weight is 1 at most
        steps = self._scope.steps.head(self._steps)
        by_step = np.concatenate([one for one, _ in self._held.values()])
        by_place = np.concatenate([one for _, one in self._held.values()])
        at, sums = by_known(
            by_step, by_place, {n: v.head(self._steps) for n, v in known.items()}, steps["step"].to_numpy()
        )
        first, by_one = by_request(steps["hash"].to_numpy(), by_step)
        requests = {name: steps[name][first] for name in ("request_id", "hash")}
        return {
            "token_slices": self._long(TOKEN_SLICES, at, sums),
            "token_sums": self._long(TOKEN_SUMS, requests, by_one),
        }

    def _long(self, like: pl.DataFrame, at: Mapping[str, pl.Series], sums: Floats) -> pl.DataFrame:
        """Sums (4 quantities, places) below each other, quantity by quantity."""
        of = sums.reshape(len(self._held), len(SUMS), -1)
        place = np.tile(np.arange(of.shape[2]), len(self._held))
        quantity = pl.Series(list(self._held))[np.repeat(np.arange(len(self._held)), of.shape[2])]
        below = {name: values[place] for name, values in at.items()} | {"quantity": quantity}
        return framed(self._scope, like, below, of.transpose(1, 0, 2).reshape(len(SUMS), -1))


def _steps(scope: Scope) -> int:
    """How many steps are looked at, from the first, in batches that are looked at: all up to one piece, half a piece of more, since what
    large inputs cost is watched."""
    line, count = scope.steps["line"][0] or 0, scope.pos.count
    if (line // _STRETCH) % _EVERY:
        return 0
    if len(scope.pos.row) <= PIECE:
        return len(count)
    return int(np.searchsorted(np.cumsum(count[: PIECE // 2]), PIECE // 2, side="right"))
