"""Whether a seeded request's own draws explain a token: explained (1), contradicted (-1), or not to be told (0).

Rows are what is known: log probabilities of some tokens with bounds, after everything that shapes them. `band` is how far one may
be off, in nats, beyond those bounds.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdtrace.schema.arrays import Flags, Floats, Ints
from sdtrace.verify.streams import mersenne, murmur, philox

Answers = npt.NDArray[np.int8]
#: Of a seed, positions and token ids of one shape.
Noise = Callable[[int, Ints, Ints], Floats]


@dataclass(frozen=True)
class Known:
    """`ids`, `log_p` (n, k): listed tokens, best first, -inf where there is none; `high`, `low` (n, k): bounds of their probability; `kept`
    (n, k): not cut away for certain; `place` (n,): the emitted token's column, k where it is not listed; `token`, `own` (n,): the
    emitted token and its log probability, NaN where that is not known."""

    ids: Ints
    log_p: Floats
    high: Floats
    low: Floats
    kept: Flags
    place: Ints
    token: Ints
    own: Floats


@dataclass(frozen=True)
class Explained:
    """`answer` (n,); `plain` (n,): the token is what the stream draws from the row, without a draft; `chance` (n,): at most how
    probable that is of a stream that the token does not depend on."""

    answer: Answers
    plain: Flags
    chance: Floats


@dataclass(frozen=True)
class _Race:
    """log p + Gumbel noise of the listed tokens (n, k) against the emitted one (n,): `beaten` (n, k) by which of them, `at` and `place` its
    cell, `listed` whether it has one, `told` whether its own log p (`own`) is known."""

    at: Ints
    place: Ints
    listed: Flags
    told: Flags
    own: Floats
    score: Floats
    beaten: Flags

    def explained(self, known: Known, answer: Answers) -> Explained:
        """With what a plain draw would have been, and its chance."""
        plain = self.listed & (self.score.argmax(axis=1) == self.place)
        chance = np.where(self.listed, known.high[self.at, self.place], np.exp(self.own))
        return Explained(answer, plain, np.clip(chance, 0, 1))


def _race(known: Known, band: float, position: Ints, noise: Callable[[Ints, Ints], Floats]) -> _Race:
    """`noise` of positions and token ids of one shape."""
    n, k = known.ids.shape
    at, listed = np.arange(n), known.place < k
    place = np.minimum(known.place, k - 1)
    real = known.ids >= 0
    score = np.where(
        real, known.log_p + np.where(real, noise(position[:, None], np.where(real, known.ids, 0)), 0.0), -np.inf
    )
    told = np.isfinite(known.own) & (known.token >= 0)
    own = np.where(told, known.own, -np.inf)
    mine = own + np.where(told, noise(position, np.where(told, known.token, 0)), 0.0)
    beaten = known.kept & real & (score - band > mine[:, None] + band)
    beaten[at, place] &= ~listed
    return _Race(at, place, listed, told, own, score, beaten)


def gumbel_argmax(known: Known, seed: int, position: Ints, band: float, noise: Noise = murmur.gumbel) -> Explained:
    """vLLM's model runner V2 with one-hot drafts, or none: y is lawful where it was drafted and u < p(y), or where it is the argmax of
    log p + noise, or the second where the first was drafted and u >= p(first). Which of them happened need not be known."""
    race = _race(known, band, position, lambda at, ids: noise(seed, at, ids))
    at, place, listed, own, beaten = race.at, race.place, race.listed, race.own, race.beaten
    u = philox.uniform(seed, position).astype(np.float64)
    accepted = u < np.where(listed, known.high[at, place], np.exp(own)) * np.exp(band)
    count = beaten.sum(axis=1)
    first = np.where(count == 1, beaten.argmax(axis=1), 0)
    # the second is drawn anew among what is left, where the first was drafted and rejected
    second = (count == 1) & (u >= known.low[at, first] * np.exp(-band))
    lawful = accepted | (count == 0) | second
    answer = np.where(~race.told, 0, np.where(lawful, 1, -1)).astype(np.int8)
    return race.explained(known, answer)


def inverse_cdf(known: Known, seed: int, first: int, band: float) -> Explained:
    """llama.cpp: draw t belongs to token t, whatever was drafted; a token is where the draw falls in the running sum, most probable first.
    `first` is the number of the response's first token among the draws of its seed."""
    n, k = known.ids.shape
    at, listed = np.arange(n), known.place < k
    place = np.minimum(known.place, k - 1)
    u = mersenne.doubles(seed, first + n)[first:]
    wide = np.expm1(band)
    ends_high, ends_low = np.cumsum(known.high, axis=1), np.cumsum(known.low, axis=1)
    begin_low = ends_low[at, place] - known.low[at, place]
    inside = (u >= begin_low - wide) & (u <= ends_high[at, place] + wide)
    beyond = u >= ends_low[:, -1] - wide
    answer = np.where(listed, np.where(inside, 1, -1), np.where(beyond, 0, -1)).astype(np.int8)
    middle = (known.high + known.low) / 2
    running = np.cumsum(middle, axis=1)
    plain = listed & (u < running[at, place]) & (u >= running[at, place] - middle[at, place])
    return Explained(answer, plain, np.clip(np.where(listed, known.high[at, place], 1.0), 0, 1))


def plain_argmax(known: Known, seed: int, position: Ints, band: float) -> Explained:
    """SGLang without speculation: y is the argmax of log p + noise."""
    race = _race(known, band, position, lambda at, ids: murmur.gumbel_sglang(seed, at, ids))
    answer = np.where(~race.told, 0, np.where(race.beaten.any(axis=1), -1, 1)).astype(np.int8)
    return race.explained(known, answer)
