"""Small shares of clustered trials: an e-value against a share that is not small, and an upper bound of the share."""

import math
from collections.abc import Iterable

from sdtrace.stats.binomial import log_choose

#: Correlation of two trials of one cluster: requests whose shares differ by a standard deviation of 0.08 around 0.15, 0.11 around 0.5.
CORRELATION = 0.05


def log_pmf(hits: float, trials: float, mean: float, correlation: float) -> float:
    """Log of the chance of `hits` in `trials` where the share of a cluster is Beta(m (1 - c) / c, (1 - m) (1 - c) / c).

    Counts may be fractions: the gamma function takes the place of factorials.
    """
    weight = (1 - correlation) / correlation
    a, b = mean * weight, (1 - mean) * weight
    return log_choose(trials, hits) + _log_beta(hits + a, trials - hits + b) - _log_beta(a, b)


def log_e_small(
    clusters: Iterable[tuple[float, float]], least: float, small: tuple[float, ...], correlation: float = CORRELATION
) -> float:
    """Log of an e-value against "the share is `least` or more", from (hits, trials) of independent clusters.

    The likelihood ratio of one of the `small` shares, the same in every cluster, to the beta-binomial of mean `least`; the
    mean over `small` is an e-value, since the mean of e-values is one. A ratio that falls with every hit has its greatest mean
    at `least` itself (stochastic order), so the whole hypothesis is covered.
    """
    known = [(min(hits, trials), trials) for hits, trials in clusters if trials > 0]
    base = sum(log_pmf(hits, trials, least, correlation) for hits, trials in known)
    logs = [
        sum(log_choose(t, h) + h * math.log(share) + (t - h) * math.log1p(-share) for h, t in known) - base
        for share in small
    ]
    top = max(logs)
    return top + math.log(sum(math.exp(value - top) for value in logs) / len(logs))


def upper(hits: float, trials: float, level: float = 0.99) -> float:
    """Upper confidence bound of a share: Chernoff's, trials x KL(hits / trials, bound) = -log(1 - level); exact at 0 hits."""
    if trials <= 0:
        return 1.0
    share = min(hits / trials, 1.0)
    wanted = -math.log1p(-level) / trials
    low, high = share, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _divergence(share, middle) < wanted else (low, middle)
    return high


def inflation(clusters: Iterable[tuple[float, float]]) -> float:
    """Pearson's chi-square over its degrees of freedom, 1 at least: how much more clusters differ than independent trials."""
    known = [(h, t) for h, t in clusters if t > 0]
    total = sum(t for _, t in known)
    share = sum(h for h, _ in known) / total if total else 0.0
    if len(known) < 2 or not 0 < share < 1:
        return 1.0
    squares = sum((h - share * t) ** 2 / (t * share * (1 - share)) for h, t in known)
    return max(1.0, squares / (len(known) - 1))


def _divergence(p: float, q: float) -> float:
    first = p * math.log(p / q) if p > 0 else 0.0
    return first + ((1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0) if q < 1 else math.inf


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
