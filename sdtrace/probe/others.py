"""Seeded answers that their own stream does not explain: whether another request's stream of the same probe does."""

import math
from collections.abc import Sequence

import numpy as np

from sdtrace.responses.readings import LEVEL
from sdtrace.responses.seeded import ODDS, seeded
from sdtrace.schema.arrays import Floats
from sdtrace.schema.responses import Response

#: Neighbours that are tried: the seeds of requests up to so many places away.
NEAR = 12


def another_stream(rows: Sequence[Response]) -> tuple[int, float] | None:
    """How many places away the request is whose seed explains the answers, and the log of the e-value; None where none does."""
    known = [(row, seed) for row in rows if (seed := row["seed"]) is not None]
    best: tuple[int, float] | None = None
    for shift in [s for n in range(1, NEAR + 1) for s in (n, -n)]:
        accounts: dict[tuple[str, bool, str], Floats] = {}
        for row, seed in known:
            for one in seeded({**row, "seed": seed + shift}, steps=False):
                key = one.stream, one.untempered, one.basis
                accounts[key] = accounts.get(key, np.zeros(len(ODDS))) + np.array(one.logs)
        if not accounts:
            continue
        # one stream and one basis for all answers: the best of so many accounts, odds and neighbours was taken
        log_e = max(float(logs.max()) for logs in accounts.values()) - math.log(len(ODDS) * 2 * NEAR * len(accounts))
        if best is None or log_e > best[1]:
            best = shift, log_e
    return best if best is not None and best[1] >= LEVEL else None
