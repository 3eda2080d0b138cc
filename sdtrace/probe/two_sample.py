"""Whether two servers draw the same: sampled answers to the same prompts, with other seeds, compared by their token ids."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from sdtrace.schema.arrays import Floats
from sdtrace.stats.sign_flip import Flipped, sign_flip

#: Pairs from which answers are compared: fewer tell nothing at SURE. P-values from which two servers differ, and are suspected.
LEAST, LEVEL, SURE = 12, 1e-2, 1e-3
#: Times that an id stands in all answers together to be counted by itself.
_OFTEN = 5
#: What a token that was masked adds to a surprisal, in nats.
_MOST = 20.0
WORDS = {
    "first": "their first tokens", "ids": "how often each token stands in them", "best": "how often a token is the best one",
    "surprisal": "their surprisal", "distinct": "how many of their tokens are distinct",
}  # fmt: skip


def two_sample(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> Flipped | None:
    """Rows of RESPONSE, the one of each server; None where there are fewer than LEAST, or none differs from the other."""
    if len(pairs) < LEAST:
        return None
    sides = [[one for one, _ in pairs], [other for _, other in pairs]]
    first = [_counts([row["token_ids"][:1] for row in side]) for side in sides]
    ids = [_counts([row["token_ids"] for row in side]) for side in sides]
    found = {"first": _differences(first, 2), "ids": _differences(ids, _OFTEN)}
    for name, value in (("best", _best), ("surprisal", _surprisal), ("distinct", _distinct)):
        values = [[value(row) for row in side] for side in sides]
        if all(v is not None for side in values for v in side):
            one, other = (np.array(side, dtype=np.float64) for side in values)
            found[name] = (one - other)[:, None]
    return sign_flip(found)


def _counts(answers: Sequence[Sequence[int]]) -> list[Counter[int]]:
    return [Counter(answer) for answer in answers]


def _differences(sides: Sequence[Sequence[Counter[int]]], least: int) -> Floats:
    """(pairs, ids): how much more often an id stands in the one answer than in the other."""
    total = sum((one for side in sides for one in side), Counter[int]())
    known = sorted(token for token, n in total.items() if n >= least)
    made = [[[one[token] for token in known] for one in side] for side in sides]
    one, other = (np.array(side, dtype=np.float64).reshape(len(side), len(known)) for side in made)
    return one - other


def _best(row: dict[str, Any]) -> float | None:
    tops = [
        (token, top[int(np.argmax(values))])
        for token, top, values in zip(row["token_ids"], row["top_ids"], row["top_logprobs"], strict=True)
        if top
    ]
    return None if len(tops) < len(row["token_ids"]) else sum(a == b for a, b in tops) / len(tops)


def _surprisal(row: dict[str, Any]) -> float | None:
    known = [min(-v, _MOST) for v in row["logprobs"] if v is not None and not math.isnan(v)]
    return None if len(known) < len(row["token_ids"]) else sum(known) / len(known)


def _distinct(row: dict[str, Any]) -> float:
    return len(set(row["token_ids"])) / len(row["token_ids"])
