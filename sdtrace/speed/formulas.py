"""Closed forms of speculative decoding's speed (Leviathan et al. 2023, section 3). p: acceptance a, k drafted tokens a step.

a is the chance that a drafted token is accepted, taken as independent of its position; c is the time of one draft token
and `ops` the arithmetic of one draft token, both over those of one pass of the target. A measured accepted / drafted is
not a: use `tokens_from_survival` with measured rates by position instead.
"""

from collections.abc import Sequence
from itertools import accumulate


def tokens_per_step(a: float, k: int) -> float:
    """Expected tokens of a step: (1 - a^(k+1)) / (1 - a), Leviathan et al. 2023, equation 1."""
    if a >= 1.0:
        return float(k + 1)
    return float((1 - a ** (k + 1)) / (1 - a))


def improvement(a: float, k: int, c: float) -> float:
    """Expected factor of wall time: tokens per step / (k c + 1), Leviathan et al. 2023, theorem 3.8."""
    return tokens_per_step(a, k) / (k * c + 1)


def operations(a: float, k: int, ops: float) -> float:
    """Expected factor of arithmetic operations: (k ops + k + 1) / tokens per step, Leviathan et al. 2023, theorem 3.11."""
    return (k * ops + k + 1) / tokens_per_step(a, k)


def best_tau(a: float, c: float, most: int = 64) -> int:
    """The k up to `most` with the greatest improvement; the smallest of equals."""
    return max(range(most + 1), key=lambda k: (improvement(a, k, c), -k))


def tokens_from_counts(steps: float, accepted: float) -> float:
    """Tokens per drafting step from counters: 1 + accepted / steps. Raises ZeroDivisionError without a step."""
    return 1 + accepted / steps


def hazards(survival: Sequence[float]) -> list[float | None]:
    """Conditional acceptance by position, S_j / S_(j-1), from marginal acceptance S_j; None behind a position at 0."""
    before = [1.0, *survival[:-1]]
    return [s / b if b > 0 else None for s, b in zip(survival, before, strict=True)]


def survival(conditional: Sequence[float]) -> list[float]:
    """Marginal acceptance by position from the conditional one: the running product."""
    return list(accumulate(conditional, lambda s, h: s * h))


def tokens_from_survival(marginal: Sequence[float]) -> float:
    """Tokens per step from measured marginal acceptance: 1 + sum of S_j. Exact whatever the acceptance depends on."""
    return 1 + sum(marginal)


def speedup(tokens: float, plain_ms: float, step_ms: float) -> float:
    """Factor over plain decoding at equal batch: tokens per step x plain step / step."""
    return tokens * plain_ms / step_ms


def break_even(step_ms: float, plain_ms: float) -> float:
    """Tokens per step at which speculation neither gains nor loses: step / plain step."""
    return step_ms / plain_ms
