"""How deep drafts survive: hazards, Kaplan-Meier with Greenwood's variance, bounds beyond what was recorded.

n_a is right-censored at the number of verified tokens. That is harmless where the length of a draft was decided before
it was seen, and a mistake where drafting stopped because the next token looked doubtful.
"""

import math
from dataclasses import dataclass

import numpy as np

from sdtrace.schema.arrays import Floats, Ints
from sdtrace.tuning.path.token_path import Text

#: Tests at a position before its hazard is used.
ENOUGH = 30
#: Standard errors between the hazards of short and long drafts above which stopping is called informative.
INFORMATIVE = 4.0


@dataclass(frozen=True)
class Survival:
    """By position j: `reached` (tested), `accepted`, `alive` = S_{j+1} = prod of hazards, `spread` = sd of ln S."""

    reached: Ints
    accepted: Ints
    alive: Floats
    spread: Floats

    @property
    def depth(self) -> int:
        """Positions with enough tests."""
        return len(self.alive)


def survival(reached: Ints, accepted: Ints) -> Survival:
    """Kaplan-Meier: hazards h_j = accepted_j / reached_j, var(ln S_j) = sum (1 - h) / (n h) (Greenwood 1926)."""
    enough = int(np.argmin(np.append(reached >= ENOUGH, False)))
    n, h = reached[:enough], accepted[:enough] / np.maximum(reached[:enough], 1)
    with np.errstate(divide="ignore"):
        variance = np.cumsum(np.where(h > 0, (1 - h) / (n * np.maximum(h, 1e-300)), math.inf))
    return Survival(n, accepted[:enough], np.cumprod(h).astype(np.float64), np.sqrt(variance))


def of_text(text: Text) -> Survival:
    """Survival over the recorded steps. A step tests positions 0 .. min(n_a, verified - 1)."""
    known = text.n_a >= 0
    tested = np.minimum(text.n_a + 1, text.verified)[known]
    width = int(text.verified.max(initial=0)) + 1
    reached = _beyond(tested, width)
    accepted = _beyond(np.minimum(text.n_a, text.verified)[known], width)
    return survival(reached, accepted)


def _beyond(counts: Ints, width: int) -> Ints:
    """How many counts exceed j, for j = 0 .. width - 1."""
    ends = np.bincount(np.maximum(counts, 0), minlength=width)[:width]
    return np.asarray(len(counts) - np.cumsum(ends), dtype=np.int64)


def tokens(alive: Floats, tau: int) -> float | None:
    """E = 1 + sum_{j <= tau} S_j; None beyond the recorded depth."""
    return None if tau > len(alive) else 1.0 + float(alive[:tau].sum())


def bounds(alive: Floats, tau: int) -> tuple[float, float]:
    """[1 + sum S_j, 1 + sum S_j + S_d (tau - d)] with d the recorded depth: nothing else is identified beyond it."""
    depth = min(tau, len(alive))
    low = 1.0 + float(alive[:depth].sum())
    last = float(alive[depth - 1]) if depth else 1.0
    return low, low + last * (tau - depth)


def stopping(text: Text) -> float | None:
    """How much lower hazards are just before a draft was ended early, in standard errors; None where none was.

    At the same position, drafts that stop right after it are compared with drafts that go on. A length that was decided
    before anything was seen makes no difference; one that follows the drafter's confidence makes a large one.
    """
    longest = int(text.verified.max(initial=0))
    known = (text.n_a >= 0) & (text.verified > 0)
    if not known.any() or (text.verified[known] == longest).all():
        return None
    top = variance = 0.0
    for j in range(longest - 1):
        tested = known & (text.verified > j) & (text.n_a >= j)
        short, long = tested & (text.verified == j + 1), tested & (text.verified > j + 1)
        a, b = int(short.sum()), int(long.sum())
        if min(a, b) < 5:
            continue
        passed = text.n_a > j
        pooled = float(passed[tested].mean())
        weight = a * b / (a + b)
        top += weight * (float(passed[long].mean()) - float(passed[short].mean()))
        variance += weight * pooled * (1 - pooled)
    return top / math.sqrt(variance) if variance > 0 else 0.0
