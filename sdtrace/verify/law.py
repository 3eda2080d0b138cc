"""What a verification law is to the audit: a way to recompute decisions, and the facts that checks ask of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtrace.schema.arrays import Floats
from sdtrace.verify.band import Rounding
from sdtrace.verify.positions import Positions


@dataclass(frozen=True)
class Bands:
    """How far logged target and draft probabilities may be from the compared ones."""

    p: Rounding
    q: Rounding


@dataclass(frozen=True)
class Judged:
    """Recomputed decisions over verified positions (m entries each).

    `decision`: 1 agree, -1 disagree, 0 undecidable; 0 where not tested. `tested`: a decision was made there.
    `expected`: the probability of acceptance before r is drawn, NaN where the record does not give it.
    """

    decision: npt.NDArray[np.int8]
    tested: npt.NDArray[np.bool_]
    expected: Floats


Judge = Callable[[Positions, Mapping[str, Any], Bands], Judged]


@dataclass(frozen=True)
class Law:
    """One rule of vocabulary: its name, its sentence, and what the token after the accepted block must be.

    `residual` is one of ratio (y has p > q), without-x (p without x), same (the token that p's own draw gave),
    argmax, block, or None where the law promises nothing. `draws` says whether decisions need a uniform.
    """

    name: str
    says: str
    lossless: bool
    draws: bool
    residual: str | None
    judge: Judge


def tested_only(decision: npt.NDArray[np.int8], pos: Positions) -> npt.NDArray[np.int8]:
    """Decisions at untested positions are not read; a padding id (negative) is no token and proves nothing."""
    return np.asarray(decision * (pos.tested & (pos.token >= 0)), dtype=np.int8)


def undecided(pos: Positions) -> Judged:
    """Nothing can be decided: the run does not declare what its law needs."""
    m = len(pos.row)
    return Judged(np.zeros(m, dtype=np.int8), pos.tested, np.full(m, np.nan))
