"""E-values of emitted tokens against bounds of what they were drawn from.

A bet names a distribution a over the listed tokens and the rest, chosen before the token is seen. If the token is drawn from p, and
h bounds p from above, then a(y) / h(y) has a mean of at most 1: products over tokens, responses and nights are e-values, whatever
the text does and whenever one stops looking (Ville 1939; Grunwald, de Heide and Koolen 2024). Several bets are averaged.

rank: too many or too few tokens are the best one. rest: too many lie outside the listed ones. surprisal: the distribution is
sharper or flatter (p^b). cut: tokens that top-k, top-p or min-p take away.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from sdtrace.responses.bounds import Sampling, Weights, weights
from sdtrace.schema.arrays import Flags, Floats, Ints

#: Odds by which a bet takes the event to be more (or less) frequent than it should be.
RANK = (1.03, 1.1, 1.3, 2.0, 0.97, 0.9, 0.75, 0.4)
REST = (1.1, 1.3, 2.0, 4.0, 10.0, 30.0)
POWERS = (0.5, 0.75, 0.9, 1.1, 1.4, 2.0)
CUT = (30.0, 300.0)
#: How often a token beyond a cut is borne with: engines cut with arithmetic of their own.
_BORNE = 2e-3
BETS = {"rank": len(RANK), "rest": len(REST), "surprisal": len(POWERS), "cut": len(CUT)}
CODES = tuple(BETS)
#: Share of a surprisal bet that is put on p itself, so that no token costs more than this.
_HEDGE = 0.2


@dataclass(frozen=True)
class Rows:
    """Positions of one response: `ids`, `top` (n, k) what is listed whatever was emitted, best first, -inf behind its end; `edge` (n,): no
    token that is not listed has more than this; `place` (n,) the column of the emitted token, k where it is none of them; `error` (n, k):
    how far a value may be off; `seen` (n, k): tokens that came before."""

    ids: Ints
    top: Floats
    edge: Floats
    place: Ints
    error: Floats
    seen: Flags | None = None


@dataclass
class Sums:
    """What adds up: tokens, the events seen and the bounds of how many were to be expected, and the log of each bet's gain."""

    tokens: int = 0
    observed: float = 0.0
    low: float = 0.0
    high: float = 0.0
    variance: float = 0.0
    logs: list[float] = field(default_factory=list)

    @property
    def log_e(self) -> float:
        """Log of the mean over bets."""
        return mean(self.logs)


def mean(logs: list[float]) -> float:
    """Log of the mean of e-values, from their logs."""
    if not logs:
        return 0.0
    top = max(logs)
    return top + math.log(sum(math.exp(x - top) for x in logs) / len(logs))


def sums(rows: Rows, sampling: Sampling, lost: int) -> dict[str, Sums]:
    """By code. `lost`: tokens at the end that the record may lack because of what they were: each is taken for the worst one."""
    made = weights(rows.top, rows.edge, rows.error, sampling, rows.seen)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {
            "rank": _rank(rows, made, lost),
            "rest": _rest(rows, made, lost),
            "surprisal": _surprisal(rows, made, lost),
        }
        return found if sampling.uncut or sampling.penalised else found | {"cut": _beyond(rows, made, lost)}


def _rank(rows: Rows, made: Weights, lost: int) -> Sums:
    """Whether the token is the best one, or as good by what is printed."""
    k = rows.top.shape[1]
    best = rows.top == rows.top[:, :1]
    low, high = made.of_set(best)
    hit = (rows.place < k) & best[np.arange(len(best)), np.minimum(rows.place, k - 1)]
    return _events(hit, low, high, RANK, lost)


def _rest(rows: Rows, made: Weights, lost: int) -> Sums:
    """Whether the token is none of the listed ones."""
    k = rows.top.shape[1]
    low, _ = made.of_set(np.isfinite(rows.top))
    return _events(rows.place == k, np.zeros(len(low)), np.clip(1 - low, 1e-4, 1), REST, lost)


def _beyond(rows: Rows, made: Weights, lost: int) -> Sums:
    """Whether the token cannot have been left by the cuts."""
    gone = np.concatenate([made.high <= 0, made.rest_high[:, None] <= 0], axis=1)
    bound = np.full(len(gone), _BORNE)
    return _events(gone[np.arange(len(gone)), rows.place], np.zeros(len(gone)), bound, CUT, lost)


def _events(hit: Flags, low: Floats, high: Floats, odds: tuple[float, ...], lost: int) -> Sums:
    """Odds above 1 are held against the upper bound, others against the lower one."""
    low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
    middle = (low + high) / 2
    n = int(hit.sum())
    logs = []
    for theta in odds:
        bound = high if theta > 1 else low
        logs.append(n * math.log(theta) - float(np.log1p(bound * (theta - 1)).sum()) - lost * abs(math.log(theta)))
    return Sums(len(hit), float(n), float(low.sum()), float(high.sum()), float((middle * (1 - middle)).sum()), logs)


def _surprisal(rows: Rows, made: Weights, lost: int) -> Sums:
    """How improbable the tokens are, against powers of the distribution."""
    most, guess = made.most(), made.middle()
    n, k = rows.top.shape
    at = np.arange(n), rows.place
    bound = np.log(most[at])
    hedge = most[at] / most.sum(axis=1)
    logs = []
    with np.errstate(divide="ignore"):
        spread = np.log(np.maximum(guess[:, k - 1], 1e-12))
    for power in POWERS:
        bet = guess**power
        bet[:, k] = guess[:, k] * np.exp(
            spread * (power - 1)
        )  # the rest is many tokens, each below the last listed one
        bet /= bet.sum(axis=1, keepdims=True)
        gain = np.log((1 - _HEDGE) * bet[at] + _HEDGE * hedge) - bound
        logs.append(float(gain.sum()) - lost * math.log((k + 1) / _HEDGE))
    said = np.where(guess > 0, -guess * np.log(np.maximum(guess, 1e-300)), 0).sum(axis=1)
    seen = -np.log(np.maximum(guess[at], 1e-300))
    spreadth = np.where(guess > 0, guess * np.log(np.maximum(guess, 1e-300)) ** 2, 0).sum(axis=1) - said**2
    return Sums(n, float(seen.sum()), float(said.sum()), float(said.sum()), float(np.maximum(spreadth, 0).sum()), logs)
