"""Whether contradictions are the noise of a recorded p: few, near the boundary, on both sides of it."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

import polars as pl

from sdtrace.stats.binomial import at_most
from sdtrace.tally.margins import upper

#: The largest margin that noise may make; where no uniform is logged, so that both sides cannot be seen.
LARGEST, UNSEEN = 0.12, 0.05
#: Of the decisions nearer than the median contradiction, the share that contradicts at the least: noise turns a third.
DENSE = 0.1
#: The same where nothing else explains the contradictions, and most of them are near: noise with a long tail, or more of it.
WIDEST, HALF = 0.5, 0.07
#: The same of contradictions that are few, or stand on one side because no uniform is logged (there HALF holds); of those that are both.
_FEW_WIDEST, _FEW_HALF = 0.25, 0.12
_FEW_UNSEEN_WIDEST, _FEW_UNSEEN_HALF = 0.3, 0.15
#: Contradictions from which one side alone tells; how far beyond what was seen noise is allowed to go.
SIDED, BEYOND = 8, 1.5
#: Share of the side that noise makes fewer contradictions of (5 of 20, as simulated with 8%; the rest of a block is not tested after
#: a rejection), and the chance below which that side is missing for another reason.
_LESS, _CHANCE = 0.25, 1e-3
#: So few contradictions, so near the boundary, are enough: decisions turned round at random hardly ever fall there.
_NONE, _TINY = 3, 0.08
#: Nor are fewer than SIDED within this of the boundary any rule's: a lenient one accepts up to some per cent beyond it.
_HAIR = {"accepted": 0.01, "rejected": 0.02}


@dataclass(frozen=True)
class Margins:
    """Contradictions of a run by side, and their margins |ln r - ln p/q| (upper ends of narrow cells)."""

    accepted: int
    rejected: int
    recovered: int
    median: float
    largest: float

    @property
    def many(self) -> bool:
        """So many that a rule may be told from them."""
        return self.accepted + self.rejected >= SIDED

    def says(self, width: float | None) -> str:
        """In words. `width`: of a law whose margins are widths of p."""
        said = f"{self.accepted + self.rejected:,} decisions contradict the law"
        if width is not None:
            said += f", none where p may be off by {width:.1%}"
        else:
            said += (
                f" by a margin of {self.median:.2%} in the median and {self.largest:.2%} at the most "
                f"({self.accepted:,} accepted, {self.rejected:,} rejected)"
            )
        return f"{said}, {self.recovered:,} recovered tokens" if self.recovered else said


def told(rows: pl.DataFrame) -> Margins | None:
    """The margins of one run's rows of the frame `margins`; None where nothing contradicts."""
    wrong = sorted(rows.filter(pl.col("wrong") > 0).select("cell", "side", "wrong").rows())
    if not wrong:
        return None
    by: Counter[str] = Counter()
    for _, side, n in wrong:
        by[side] += n
    reached = list(accumulate(n for _, _, n in wrong))
    half = wrong[bisect_left(reached, reached[-1] / 2)]
    return Margins(by["accepted"], by["rejected"], by["recovered"], upper(half[0]), upper(wrong[-1][0]))


def near_boundary(rows: pl.DataFrame) -> pl.DataFrame:
    """Decisions near the boundary, right ones too, of one run's rows of the frame `margins`; none where no uniform is logged."""
    return rows.filter((pl.col("near") > 0) & (pl.col("side") != "recovered"))


def cut(rows: pl.DataFrame) -> str | None:
    """What says that decimals were cut off, not rounded: of all contradictions none is left then. `rows` of the frame `digits`."""
    if rows.is_empty():
        return None
    wrong, left = rows.select("wrong", "left").sum().row(0)
    return (
        f"contradictions of the law: {wrong:,}, and 0 if decimals were cut off, not rounded"
        if wrong and not left
        else None
    )


def reach(rows: pl.DataFrame, block: bool, explained: Callable[[], bool]) -> float | None:
    """How far a recorded p may be from the compared one, relative to itself, where noise is what contradictions are; else None.

    `rows`: of one run, of the frame `margins`; `block`: the law decides over blocks. `explained`: whether a wrong rule may fit instead;
    asked only where noise is large, contradictions are many, and uniforms are logged: without them a rule explains impossible
    rejections alone, as a little noise does.
    """
    width, seen = of_block(rows) if block else imprecise(rows), told(rows)
    if width is not None or seen is None:
        return width
    broad = wide(rows, block)
    if broad is not None and seen.many and not near_boundary(rows).is_empty() and explained():
        return None
    return broad


def imprecise(rows: pl.DataFrame) -> float | None:
    """How far a recorded p may be from the compared one, relative to itself, if that explains every contradiction."""
    seen = told(rows)
    if seen is None or seen.largest > LARGEST:
        return None
    near = near_boundary(rows)
    if near.is_empty():
        return BEYOND * seen.largest if seen.largest <= UNSEEN else None
    decided = seen.accepted + seen.rejected
    few = decided <= _NONE and seen.largest <= _TINY
    few |= decided < SIDED and seen.largest <= _HAIR["accepted" if seen.accepted else "rejected"]
    # no rule is known that rejects a little too much: a recorded p that is too high throughout is
    high = seen.largest <= UNSEEN and seen.accepted <= 0.1 * seen.rejected
    if decided and not few and not (_dense(near, seen) and (high or _both_sides(near, seen, decided))):
        return None
    return BEYOND * seen.largest


def wide(rows: pl.DataFrame, block: bool) -> float | None:
    """How far a recorded p may be from the compared one where its noise is large: half of the contradictions are near the boundary, a
    few of them far from it, on both sides alike. Rules of the wrong kind look like that too, so that none may fit.

    Where no uniform is logged, only rejections contradict: that half of them are near is all that can be asked, whatever may fit.
    """
    seen = told(rows)
    if seen is None or seen.largest > WIDEST:
        return None
    near = near_boundary(rows)
    decided = seen.accepted + seen.rejected
    half, widest = (_FEW_UNSEEN_HALF, _FEW_UNSEEN_WIDEST) if near.is_empty() else (_FEW_HALF, _FEW_WIDEST)
    few = decided <= _NONE and (seen.median <= half or (not decided and seen.recovered <= _NONE))
    if near.is_empty() and not seen.accepted and seen.median <= HALF:
        few, widest = True, WIDEST
    few |= block and decided < SIDED and seen.median <= _HAIR["rejected"]
    if few and seen.largest <= widest:
        return BEYOND * seen.largest
    if seen.largest <= LARGEST or seen.median > HALF:
        return None
    sides = min(seen.accepted, seen.rejected) > 0.1 * decided or (not block and _both_sides(near, seen, decided))
    return BEYOND * seen.largest if sides and (block or _dense(near, seen)) else None


def of_block(rows: pl.DataFrame) -> float | None:
    """The same for a law whose decisions hold products of many p: their margins are the least widths of p that leave no
    contradiction. Noise makes some on both sides, or so few that one side shows them all by chance."""
    seen = told(rows)
    if seen is None or seen.largest > LARGEST:
        return None
    decided = seen.accepted + seen.rejected
    # a block that ends shows one acceptance, and a rejection at every position behind it
    few = SIDED if 2 * seen.accepted > decided else 2 * SIDED
    if decided >= few and min(seen.accepted, seen.rejected) <= 0.1 * decided:
        return None
    return BEYOND * seen.largest


def _dense(near: pl.DataFrame, seen: Margins) -> bool:
    """Decisions turned round at random contradict as seldom near the boundary as far from it."""
    within = near.filter(pl.col("cell").map_elements(upper, return_dtype=pl.Float64) <= seen.median * 1.001)
    return float(within["wrong"].sum()) >= DENSE * float(within["near"].sum())


def _both_sides(near: pl.DataFrame, seen: Margins, decided: int) -> bool:
    """Whether contradictions are on both sides, or are too few to tell that the other one is missing.

    A lenient rule accepts everything up to its threshold, and a strict one rejects it: no right decision of the other side stands
    beside its contradictions. Where those of noise do, the other side may be empty by chance: of 14 against 1 nothing is said.
    """
    few = min(seen.accepted, seen.rejected)
    if few > 0.1 * decided:
        return True
    other = "rejected" if seen.accepted > seen.rejected else "accepted"
    edge = 0.8 * seen.largest
    beside = near.filter(
        (pl.col("side") == other) & (pl.col("cell").map_elements(upper, return_dtype=pl.Float64) <= edge)
    )
    right = float((beside["near"] - beside["wrong"]).sum())
    return at_most(few, decided, _LESS) >= _CHANCE and 2 * right >= decided
