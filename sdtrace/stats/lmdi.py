"""A change split exactly into its terms, and nothing left over.

Throughput is A / (D + V + O): tokens per step over draft, verify and other time. The logarithmic mean Divisia index
(Ang 2004) splits its log change into one number a term; they add up to the whole to the last digit. Everything takes
floats or numpy arrays alike, so that a jackknife runs all its replicates at once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def log_mean(a: Any, b: Any) -> Any:
    """(a - b) / (ln a - ln b), and a where the two are equal; for positive a and b."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    gap = np.log(a) - np.log(b)
    near = np.abs(gap) < 1e-9
    return np.where(near, (a + b) / 2, (a - b) / np.where(near, 1.0, gap))


def throughput_change(tokens: Sequence[Any], parts: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """The log change of tokens / sum(parts), by term: `acceptance` for the tokens, one for each part.

    `tokens` is (before, after); so is every part, in one unit of time. A part may be 0 on either side.
    """
    before, after = (sum(np.asarray(part[i], dtype=np.float64) for part in parts.values()) for i in (0, 1))
    mean = log_mean(after, before)
    found = {"acceptance": np.log(np.asarray(tokens[1], dtype=np.float64) / np.asarray(tokens[0], dtype=np.float64))}
    return found | {name: -(np.asarray(b) - np.asarray(a)) / mean for name, (a, b) in parts.items()}


def curve_and_batch(f00: Any, f01: Any, f10: Any, f11: Any) -> tuple[Any, Any]:
    """A change of verify time into (cost curve, verified tokens): Shapley over the two.

    fij is the curve of arm i at the tokens of arm j (0 before, 1 after).
    """
    return (f10 - f00 + f11 - f01) / 2, (f01 - f00 + f11 - f10) / 2


def mix_and_within(share: Sequence[Any], value: Sequence[Any]) -> tuple[Any, Any]:
    """A change of sum(share x value) into (change of the mix, change within), by stratum along the last axis.

    mix_s = (share1 - share0) (mean value of s - mean value of all), within_s = (value1 - value0) x mean share: both add
    up to the whole, and the centring moves nothing between the two because shares add up to 1.
    """
    share0, share1, value0, value1 = (np.asarray(x, dtype=np.float64) for x in (*share, *value))
    middle = (value0 + value1) / 2
    level = ((share0 + share1) / 2 * middle).sum(axis=-1, keepdims=True)
    return (share1 - share0) * (middle - level), (value1 - value0) * (share0 + share1) / 2
