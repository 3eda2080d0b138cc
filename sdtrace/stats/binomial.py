"""Tails of the binomial distribution, of any number of trials: terms are taken by their logarithms, which no number overflows."""

import math

#: A term below this share of the sum ends it.
_NOTHING = 1e-17


def at_least(hits: int, n: int, share: float = 0.5) -> float:
    """P(X >= hits) for X binomial of n trials with chance `share`, which lies within (0, 1); with one half, the sign test."""
    if hits <= 0:
        return 1.0
    if hits > n:
        return 0.0
    if hits <= n * share:  # the sum runs away from the mean
        return 1.0 - at_least(n - hits + 1, n, 1.0 - share)
    term = total = math.exp(log_choose(n, hits) + hits * math.log(share) + (n - hits) * math.log1p(-share))
    odds = share / (1.0 - share)
    for i in range(hits, n):
        term *= (n - i) / (i + 1) * odds
        total += term
        if term <= _NOTHING * total:
            break
    return min(1.0, total)


def at_most(hits: int, n: int, share: float = 0.5) -> float:
    """P(X <= hits), as `at_least`."""
    return at_least(n - hits, n, 1.0 - share)


def log_choose(n: float, k: float) -> float:
    """The logarithm of n over k; counts may be fractions."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
