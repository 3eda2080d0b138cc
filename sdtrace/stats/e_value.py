"""E-values of sums of martingale differences: from the sum and its variance alone, at any size of the sample.

For differences D <= 1 of conditional variance v, exp(x sum D - (e^x - 1 - x) sum v) has a mean of 1 at most (Bennett 1962;
Freedman 1975). Where the variance is not known, sum D^2 stands for it, and -log(1 - x) - x for the other factor (Fan, Grama and Liu
2015). Both signs of several x are averaged: the mean of e-values is one.
"""

import math

_BETS = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2)


def log_e(d: float, v: float, s: float = 0.0, *, exact: bool = True) -> float:
    """Log of the e-value against mean 0 of differences in [-1, 1] with sum `d`. `v`: sum of their variances, of their squares where
    not `exact`; `s`: how far rounding can have moved the sum, taken off."""
    logs = []
    for x in _BETS:
        if exact:
            logs += [x * (sign * d - s) - v * (math.expm1(x) - x) for sign in (1, -1)]
        elif x < 1:
            logs += [x * (sign * d - s) - v * (-math.log1p(-x) - x) for sign in (1, -1)]
    top = max(logs)
    return top + math.log(sum(math.exp(value - top) for value in logs) / len(logs))
