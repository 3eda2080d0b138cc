"""The best tau: the least time per token over all of them, since staircase costs have more than one descent.

R(k) = (1 + sum of S_j) / c(k), Leviathan et al. 2023 with the cost as a function; k = 0 is one of the candidates.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sdtrace.schema.arrays import Floats

#: Draws of the bootstrap; requests are drawn, never steps.
DRAWS = 200


@dataclass(frozen=True)
class Optimum:
    """`tau` is the best, `probability` how often it is in the bootstrap, `gain` over what was recorded (0.1 = 10% faster)."""

    tau: int
    probability: float
    gain: float | None
    low: float | None
    high: float | None


def optimum(
    tokens: Floats, times: dict[int, Floats], current: int | None, recorded: Floats | None = None
) -> Optimum | None:
    """From tokens (R) and the time that every tau takes for each request (R). None without a candidate.

    `recorded` (R): the time of the steps as they were, where it is not that of one length.
    """
    taus = sorted(times)
    if not taus or not tokens.sum():
        return None
    spent = np.stack([times[k] for k in taus], axis=1)
    weight = weights(len(tokens))
    drawn = weight @ spent
    best = int(np.argmin(spent.sum(axis=0)))
    won = np.argmin(drawn, axis=1)
    gain: list[float | None] = [None, None, None] if taus[best] != current or recorded is not None else [0.0] * 3
    now = recorded if recorded is not None or current is None else times.get(current)
    if now is not None and gain[0] is None:
        ratio = (weight @ now) / drawn[:, best] - 1.0
        whole = float(now.sum() / spent[:, best].sum()) - 1.0
        gain = [whole, *(float(q) for q in np.quantile(ratio, [0.025, 0.975]))]
    return Optimum(taus[best], float(np.mean(won == best)), *gain)


@lru_cache(maxsize=8)
def weights(requests: int) -> Floats:
    """How often each request is drawn, (DRAWS, R); the same for the same number of requests."""
    rng = np.random.default_rng(requests)
    return rng.multinomial(requests, np.full(requests, 1.0 / requests), DRAWS).astype(np.float64)
