"""Seeded answers that their own stream does not explain: whether another request's stream of the same probe does."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sdtrace.responses.readings import LEVEL
from sdtrace.responses.seeded import ODDS, seeded

#: Neighbours that are tried: the seeds of requests up to so many places away.
NEAR = 12


def another_stream(rows: Sequence[dict[str, Any]]) -> tuple[int, float] | None:
    """How many places away the request is whose seed explains the answers, and the log of the e-value; None where none does."""
    known = [row for row in rows if row["seed"] is not None]
    best: tuple[int, float] | None = None
    for shift in [s for n in range(1, NEAR + 1) for s in (n, -n)]:
        logs = np.zeros(len(ODDS))
        for row in known:
            found = seeded({**row, "seed": row["seed"] + shift})
            if found:
                logs += np.array(max(found, key=lambda one: max(one.logs)).logs)
        log_e = float(logs.max()) - math.log(len(ODDS) * 2 * NEAR)
        if best is None or log_e > best[1]:
            best = shift, log_e
    # the better of several accounts of each response was taken: that much is taken off
    return best if best is not None and best[1] - len(known) * math.log(4) >= LEVEL else None
