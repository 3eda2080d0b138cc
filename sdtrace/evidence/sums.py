"""From a statistic's values to one row of sums."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

#: Alternatives that the e-processes bet on: a shift of the log odds of acceptance, or a stake on a bounded D.
THETAS = (-0.8, -0.4, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.4, 0.8)
BINS = 10
#: Cells of the chance that sums are first gathered in; four make a bin.
_CELLS = 40
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


@dataclass
class Sums:
    """Rows of the evidence frame of one run and law, as they are added."""

    run_id: str
    law: str
    rows: list[dict[str, Any]] = field(default_factory=list)

    def frame(self) -> pl.DataFrame:
        """The rows so far."""
        return pl.DataFrame(self.rows, schema=COLUMNS)

    def _row(
        self, code: str, exact: bool, head: tuple[float, ...], bins: tuple[Floats, ...] = (), e: Floats | None = None
    ) -> None:
        row: dict[str, Any] = {"run_id": self.run_id, "law": self.law, "code": code, "exact": exact}
        row |= dict(zip(_HEAD, map(float, head), strict=True))
        empty = np.zeros(BINS)
        for name, values in zip("dvs", bins or (empty, empty, empty), strict=True):
            row |= {f"{name}{i}": float(x) for i, x in enumerate(values)}
        row |= {f"e{i}": float(x) for i, x in enumerate(np.zeros(len(THETAS)) if e is None else e)}
        self.rows.append(row)

    def chances(self, code: str, chance: Floats, hit: Flags, spread: Floats, later: Flags | None = None) -> None:
        """`hit` is a Bernoulli draw with that `chance` under the law: variance chance (1 - chance), exactly.

        `spread`: half width of what rounding leaves of each chance. A chance of 0 or 1 has no variance and is another
        check's matter. With `later`, the rows CODE:first and CODE:later part the slots, and CODE:lenience weighs them
        by 1 / (1 - chance), the best weight against r <= p / (l q) with l near 1.
        """
        inside = (chance > 0.0) & (chance < 1.0)
        part = chance[inside]
        cell = (part * _CELLS).astype(np.intp)
        if later is not None:
            cell += _CELLS * later[inside]
        c = _Cells.of(cell, part, hit[inside], spread[inside], 2 if later is not None else 1)
        self._cells(code, c, len(chance))
        if later is not None:
            n_later = int(later.sum())
            self._cells(f"{code}:first", c.take(slice(0, _CELLS)), len(chance) - n_later)
            self._cells(f"{code}:later", c.take(slice(_CELLS, None)), n_later)
            middle = (np.arange(_CELLS * 2) % _CELLS + 0.5) / _CELLS
            w = 1.0 / np.maximum(1.0 - middle, 0.02)
            self._row(f"{code}:lenience", True, _weighted(c, w, len(chance)))

    def bent(self, code: str, chance: Floats, hit: Flags, spread: Floats) -> None:
        """As `chances`, each weighed by 3 chance^2 - 1: a bias that leans one way where the chance is small, the other
        where it is large, and may cancel on the whole."""
        inside = (chance > 0.0) & (chance < 1.0)
        c = _Cells.of((chance[inside] * _CELLS).astype(np.intp), chance[inside], hit[inside], spread[inside], 1)
        middle = (np.arange(_CELLS) + 0.5) / _CELLS
        self._row(code, True, _weighted(c, 3.0 * middle**2 - 1.0, len(chance)))

    def _cells(self, code: str, c: "_Cells", n: int) -> None:
        bins = tuple(x.reshape(-1, BINS, _CELLS // BINS).sum(axis=(0, 2)) for x in (c.d, c.v, c.s))
        skew = (c.v * (1.0 - 2.0 * c.mean)).sum()
        self._row(code, True, (n, c.d.sum(), c.v.sum(), skew, c.s.sum()), bins, c.bets())

    def bounded(
        self, code: str, value: Floats, spread: float, cell: npt.NDArray[np.intp] | None = None, n: int | None = None
    ) -> None:
        """`value` in [-1, 1] has mean 0 given the past; `spread` is the sum of half widths; `cell` its bin, if any."""
        square = value * value
        head = (n or len(value), value.sum(), square.sum(), (square * value).sum(), spread)
        bins: tuple[Floats, ...] = ()
        if cell is not None:
            d, v = (np.bincount(cell, weights=x, minlength=BINS).astype(np.float64) for x in (value, square))
            share = spread / max(np.abs(value).sum(), 1e-300)
            s = share * np.bincount(cell, weights=np.abs(value), minlength=BINS)
            bins = (d, v, s)
        self._row(code, False, head, bins, stakes(value, spread))

    def standard(self, code: str, value: float, variance: float, n: int) -> None:
        """A sum whose variance is known and whose terms are many and bounded."""
        self._row(code, True, (n, value, variance, 0.0, 0.0))


def _weighted(c: "_Cells", w: Floats, n: int) -> tuple[float, ...]:
    skew = c.v * (1.0 - 2.0 * c.mean)
    return n, (w * c.d).sum(), (w**2 * c.v).sum(), (w**3 * skew).sum(), (np.abs(w) * c.s).sum()


@dataclass(frozen=True)
class _Cells:
    """Sums by cell: slots, their chances, hits minus chances, variance, rounding, hits."""

    n: Floats
    total: Floats
    d: Floats
    v: Floats
    s: Floats
    hits: Floats

    @staticmethod
    def of(cell: npt.NDArray[np.intp], chance: Floats, hit: Flags, spread: Floats, parts: int) -> "_Cells":
        size = _CELLS * parts
        n = np.bincount(cell, minlength=size).astype(np.float64)
        hits = np.bincount(cell[hit], minlength=size).astype(np.float64)
        total, square, s = (
            np.bincount(cell, weights=x, minlength=size).astype(np.float64) for x in (chance, chance * chance, spread)
        )
        return _Cells(n, total, hits - total, total - square, s, hits)

    @property
    def mean(self) -> Floats:
        return np.asarray(self.total / np.maximum(self.n, 1.0))

    def take(self, which: slice) -> "_Cells":
        return _Cells(*(x[which] for x in (self.n, self.total, self.d, self.v, self.s, self.hits)))

    def bets(self) -> Floats:
        """Log likelihood ratios of log odds + theta. log(1 + b c) is concave in b, so the mean of a cell bounds the
        process from below (Jensen), and the chance is taken at the end of its rounding that is worse for the bet."""
        rounding = self.s / np.maximum(self.n, 1.0)
        out = []
        for theta in THETAS:
            mean = np.clip(self.mean + (rounding if theta > 0 else -rounding), 0.0, 1.0)
            out.append(theta * self.hits.sum() - (self.n * np.log1p(np.expm1(theta) * mean)).sum())
        return np.array(out)


_STAKES = 64


def stakes(value: Floats, spread: float) -> Floats:
    """Log wealth of betting theta on each value: sum log(1 + theta value), bounded from below by the chord of a cell.

    Rounding can have moved every value towards the bet: the worst of it is taken off.
    """
    cell = np.minimum(((value + 1.0) * (_STAKES / 2)).astype(np.intp), _STAKES - 1)
    n, total = np.bincount(cell, minlength=_STAKES), np.bincount(cell, weights=value, minlength=_STAKES)
    low = np.arange(_STAKES) / (_STAKES / 2) - 1.0
    high = low + 2.0 / _STAKES
    mean = np.where(n > 0, total / np.maximum(n, 1), low)
    share = np.clip((mean - low) / (high - low), 0.0, 1.0)
    out = []
    for theta in THETAS:
        wealth = (n * ((1 - share) * np.log1p(theta * low) + share * np.log1p(theta * high))).sum()
        out.append(wealth - abs(theta) * spread / (1.0 - abs(theta)))
    return np.array(out)
