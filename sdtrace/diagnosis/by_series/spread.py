"""How sure a ratio of counts is: clusters in order of time, neighbours alike, never surer than draws within requests allow."""

import math
from dataclasses import dataclass

from sdtrace.counters.series import Tally

#: Blocks of neighbouring clusters: what one window holds goes on in the next one.
BLOCKS = 10
#: Steps of one request are alike: 70 of them, correlated by 0.05, count as 70 / 4.5.
ALIKE = 4.5


@dataclass(frozen=True)
class Ratio:
    """sum(above) / sum(below), its variance, the degrees of freedom of that, and the steps behind it."""

    value: float
    variance: float
    freedom: int
    steps: float


def ratio(t: Tally, below: str) -> Ratio | None:
    """accepted / `below` (drafted or drafts), blocks as clusters (Cochran 1977); None where nothing is counted."""
    rows = t.parts.select("accepted", below, "least").drop_nulls().rows()
    whole, steps = sum(row[1] for row in rows), sum(row[2] for row in rows)
    if not whole or not steps:
        return None
    value = sum(row[0] for row in rows) / whole
    blocks = [rows[i * len(rows) // BLOCKS : (i + 1) * len(rows) // BLOCKS] for i in range(BLOCKS)]
    parts = [
        sum(a - value * b for a, b, _ in block) for block in (blocks if len(rows) > BLOCKS else [[r] for r in rows])
    ]
    size = len(parts)
    between = size / (size - 1) * sum(part**2 for part in parts) / whole**2 if size > 1 else 0.0
    one = value * (1 - min(value, 1.0)) if below == "drafted" else value * (1 + value) / 2  # of one step, at most
    within = ALIKE * max(one, 0.02) / steps
    return Ratio(value, max(between, within), size - 1 if between > within else 100, steps)


def tail(distance: float, variance: float, freedom: int) -> float:
    """Chance that Student's t lies below `distance` / error (Wallace 1959: t turned into a normal deviate)."""
    t = distance / math.sqrt(variance)
    z = (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t * t / freedom))
    return 0.5 * math.erfc(math.copysign(z, -t) / math.sqrt(2))
