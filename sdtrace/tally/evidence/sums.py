"""From a statistic's values to one row of sums. Values come in pieces; a row is made of them all at the end."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.schema.arrays import Flags, Floats

Ints = npt.NDArray[np.intp]

#: How far rounding can have moved each of many chances: one number stands for that share of every chance.
Half = float | Floats

#: Alternatives that the e-processes bet on: a shift of the log odds of acceptance, or a stake on a bounded D.
THETAS = (-0.8, -0.4, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.4, 0.8)
BINS = 10
#: Cells of the chance that sums are first gathered in; four make a bin.
_CELLS = 40
_MIDDLE = (np.arange(_CELLS) + 0.5) / _CELLS
_HEAD = ("n", "d", "v", "k", "s")
COLUMNS: dict[str, type[pl.DataType]] = {
    "run_id": pl.String,
    "law": pl.String,
    "code": pl.String,
    "exact": pl.Boolean,
    **dict.fromkeys(_HEAD, pl.Float64),
    **{f"{name}{i}": pl.Float64 for name in "dvs" for i in range(BINS)},
    **{f"e{i}": pl.Float64 for i in range(len(THETAS))},
}


@dataclass(frozen=True)
class Tosses:
    """Slots whose outcome is open: 0 < chance < 1. `at`: their place among all slots; chance, outcome, and half width of what
    rounding leaves of the chance, of each. Many statistics are sums over the same ones."""

    at: Ints
    chance: Floats
    hit: Flags
    spread: Half


def tosses(chance: Floats, hit: Flags, spread: Half, of: Flags | None = None) -> Tosses:
    """Those of all slots, or of the slots `of`; a chance of 0, 1 or NaN says nothing."""
    inside = (chance > 0.0) & (chance < 1.0)
    at = np.flatnonzero(inside if of is None else inside & of)
    return Tosses(at, chance[at], hit[at], part_of(spread, at))


@dataclass
class Sums:
    """Rows of the evidence frame of one run and law, as they are added."""

    run_id: str
    law: str
    _coins: dict[str, "_Coins"] = field(default_factory=dict)
    _weighed: dict[str, "_Weighed"] = field(default_factory=dict)
    _bounded: dict[str, "_Bounded"] = field(default_factory=dict)
    _standard: dict[str, tuple[float, float, int]] = field(default_factory=dict)

    def frame(self) -> pl.DataFrame:
        """The rows so far."""
        rows = [row for code, coins in self._coins.items() for row in coins.rows(code)]
        rows += [values.row(code) for code, values in self._weighed.items()]
        rows += [values.row(code) for code, values in self._bounded.items()]
        rows += [
            _row(code, True, (n, value, variance, 0.0, 0.0)) for code, (value, variance, n) in self._standard.items()
        ]
        return pl.DataFrame([{"run_id": self.run_id, "law": self.law} | row for row in rows], schema=COLUMNS)

    def chances(
        self,
        code: str,
        chance: Floats,
        hit: Flags,
        spread: Half,
        later: Flags | None = None,
        group: Ints | None = None,
    ) -> None:
        """`hit` is a Bernoulli draw with that `chance` under the law: variance chance (1 - chance), exactly.

        `spread`: half width of what rounding leaves of each chance. A chance of 0 or 1 has no variance and is another
        check's matter. With `later`, the row CODE:first has the slots that come first in their step, and without `group`
        CODE:lenience weighs them by 1 / (1 - chance), CODE:forced by 1 / chance: the best weights against r <= p / (l q),
        l near 1, and against a share of acceptances whatever p and q say. `group` (0 to 9) takes the place of the bins
        of the chance.
        """
        mine = tosses(chance, hit, spread)
        late = 0 if later is None else int(np.count_nonzero(later))
        behind = None if later is None else later[mine.at]
        self.tossed(code, mine, len(chance), behind, late, None if group is None else group[mine.at])

    def tossed(
        self, code: str, mine: Tosses, n: int, later: Flags | None = None, late: int = 0, group: Ints | None = None
    ) -> None:
        """`chances` of `n` slots, `late` of them not the first of their step, that hold these tosses; `later` and `group` are those
        of the tosses."""
        cell = (mine.chance * _CELLS).astype(np.intp)
        parts, groups = 1 if later is None else 2, 1 if group is None else BINS
        if later is not None:
            cell += _CELLS * later
        if group is not None:
            cell += parts * _CELLS * group
        if (coins := self._coins.get(code)) is None:
            coins = self._coins[code] = _Coins(groups, parts, np.zeros((5, groups * parts * _CELLS)))
        coins.add(cell, mine, n, late)

    def weighed(self, code: str, weight: Floats, chance: Floats, hit: Flags, spread: Half, n: int) -> None:
        """As `chances`, each weighed by what was known before the draw; `n` slots, those of no weight too."""
        self._weighed.setdefault(code, _Weighed()).add(weight, chance, hit, spread, n)

    def bounded(self, code: str, value: Floats, spread: float) -> None:
        """`value` in [-1, 1] has mean 0 given the past; `spread` is the sum of half widths."""
        self._bounded.setdefault(code, _Bounded()).add(value, spread)

    def standard(self, code: str, value: float, variance: float, n: int) -> None:
        """A sum whose variance is known and whose terms are many and bounded."""
        before = self._standard.get(code, (0.0, 0.0, 0))
        self._standard[code] = (before[0] + value, before[1] + variance, before[2] + n)


def part_of(half: Half, which: Ints | Flags | slice) -> Half:
    """Of some of the chances only."""
    return half if isinstance(half, float) else half[which]


def _row(
    code: str, exact: bool, head: tuple[float, ...], bins: tuple[Floats, ...] = (), e: Floats | None = None
) -> dict[str, Any]:
    row: dict[str, Any] = {"code": code, "exact": exact}
    row |= dict(zip(_HEAD, map(float, head), strict=True))
    empty = np.zeros(BINS)
    for name, values in zip("dvs", bins or (empty, empty, empty), strict=True):
        row |= {f"{name}{i}": float(x) for i, x in enumerate(values)}
    return row | {f"e{i}": float(x) for i, x in enumerate(np.zeros(len(THETAS)) if e is None else e)}


@dataclass
class _Coins:
    """Sums by cell of the chance, `parts` times over (slots that come first in their step, later ones), for each group.

    `table` has a row each for slots, their hits, chances, squares of chances, and rounding.
    """

    groups: int
    parts: int
    table: Floats
    n: int = 0  #: slots, those of no variance too
    late: int = 0

    def add(self, cell: Ints, mine: Tosses, n: int, late: int) -> None:
        size, chance, hit, spread = self.table.shape[1], mine.chance, mine.hit, mine.spread
        self.table[0] += np.bincount(cell, minlength=size)
        for row, weights in enumerate((hit, chance, chance * chance), start=1):
            added = np.bincount(cell, weights=weights, minlength=size)
            self.table[row] += added
            if weights is chance and isinstance(spread, float):
                self.table[4] += spread * added
        if not isinstance(spread, float):
            self.table[4] += np.bincount(cell, weights=spread, minlength=size)
        self.n += n
        self.late += late

    def rows(self, code: str) -> list[dict[str, Any]]:
        table = self.table.reshape(5, self.groups, self.parts, _CELLS)
        found = [_cells(code, table.sum(axis=2), self.n)]
        if self.parts == 2:
            found.append(_cells(f"{code}:first", table[:, :, 0], self.n - self.late))
        if self.parts == 2 and self.groups == 1:
            found.append(self._weighted(f"{code}:lenience", 1.0 / np.maximum(1.0 - _MIDDLE, 0.1)))
            found.append(self._weighted(f"{code}:forced", 1.0 / _MIDDLE))
        return found

    def _weighted(self, code: str, w: Floats) -> dict[str, Any]:
        """The row whose terms are weighed by a function of the chance (one value a cell)."""
        n, hits, total, square, s = self.table.reshape(5, self.parts, _CELLS).sum(axis=1)
        d, v = hits - total, total - square
        skew = v * (1.0 - 2.0 * total / np.maximum(n, 1.0))
        head = (w * d).sum(), (w**2 * v).sum(), (w**3 * skew).sum(), (np.abs(w) * s).sum()
        return _row(code, True, (self.n, *head))


def _cells(code: str, table: Floats, slots: int) -> dict[str, Any]:
    """The row of cells (5, groups, _CELLS): bins are the groups, or tenths of the chance where there is one group."""
    n, hits, total, square, s = table
    mean = total / np.maximum(n, 1.0)
    d, v = hits - total, total - square
    bins = tuple(x.reshape(BINS, -1).sum(axis=1) for x in (d, v, s))
    head = (slots, d.sum(), v.sum(), (v * (1.0 - 2.0 * mean)).sum(), s.sum())
    return _row(code, True, head, bins, _bets(*(x.ravel() for x in (n, hits, mean, s))))


def _bets(n: Floats, hits: Floats, mean: Floats, s: Floats) -> Floats:
    """Log likelihood ratios of log odds + theta. log(1 + b c) is concave in b, so the mean of a cell bounds the
    process from below (Jensen), and the chance is taken at the end of its rounding that is worse for the bet."""
    theta = np.array(THETAS)[:, None]
    worst = np.clip(mean + np.sign(theta) * (s / np.maximum(n, 1.0)), 0.0, 1.0)
    return np.asarray(theta[:, 0] * hits.sum() - (n * np.log1p(np.expm1(theta) * worst)).sum(axis=1))


@dataclass
class _Weighed:
    """Sums of weighed hits minus chances: their variance, third moment and rounding."""

    n: int = 0
    head: Floats = field(default_factory=lambda: np.zeros(4))

    def add(self, w: Floats, chance: Floats, hit: Flags, spread: Half, n: int) -> None:
        v = w * w * (chance * (1.0 - chance))
        skew = w * v * (1.0 - 2.0 * chance)
        self.head += (w * (hit - chance)).sum(), v.sum(), skew.sum(), _moved(w, chance, spread)
        self.n += n

    def row(self, code: str) -> dict[str, Any]:
        return _row(code, True, (self.n, *self.head))


def _moved(w: Floats, chance: Floats, spread: Half) -> float:
    """How far rounding can have moved a weighed sum."""
    if not isinstance(spread, float):
        return float((np.abs(w) * spread).sum())
    return float((np.abs(w) * chance).sum()) * spread if spread else 0.0


_STAKES = 64


@dataclass
class _Bounded:
    """Moments of values in [-1, 1], and the values by cell for the bets on them."""

    n: int = 0
    head: Floats = field(default_factory=lambda: np.zeros(3))
    spread: float = 0.0
    count: Floats = field(default_factory=lambda: np.zeros(_STAKES))
    total: Floats = field(default_factory=lambda: np.zeros(_STAKES))

    def add(self, value: Floats, spread: float) -> None:
        square = value * value
        self.n += len(value)
        self.head += value.sum(), square.sum(), (square * value).sum()
        self.spread += spread
        cell = np.minimum(((value + 1.0) * (_STAKES / 2)).astype(np.intp), _STAKES - 1)
        self.count += np.bincount(cell, minlength=_STAKES)
        self.total += np.bincount(cell, weights=value, minlength=_STAKES)

    def row(self, code: str) -> dict[str, Any]:
        return _row(code, False, (self.n, *self.head, self.spread), e=self.stakes())

    def stakes(self) -> Floats:
        """Log wealth of betting theta on each value: sum log(1 + theta value), bounded from below by the chord of a cell.

        Rounding can have moved every value towards the bet: the worst of it is taken off.
        """
        low = np.arange(_STAKES) / (_STAKES / 2) - 1.0
        high = low + 2.0 / _STAKES
        mean = np.where(self.count > 0, self.total / np.maximum(self.count, 1), low)
        share = np.clip((mean - low) / (high - low), 0.0, 1.0)
        theta = np.array(THETAS)[:, None]
        chord = (1 - share) * np.log1p(theta * low) + share * np.log1p(theta * high)
        bet = np.abs(theta[:, 0])
        return np.asarray((self.count * chord).sum(axis=1) - bet * self.spread / (1.0 - bet))


def stakes(value: Floats, spread: float) -> Floats:
    """Log wealth of the bets THETAS on values of mean 0 in [-1, 1]; see `_Bounded.stakes`."""
    mine = _Bounded()
    mine.add(value, spread)
    return mine.stakes()
