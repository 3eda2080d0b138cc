"""What is usual for a service: its nights without a fault, by median, so that a bad one does not move the level."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from sdtrace.history.fall import BACK
from sdtrace.history.trend import faulty
from sdtrace.schema.json_values import Json

#: The fewest nights that make a level.
FEWEST = 5
#: Standard deviations of a normal distribution in its median absolute deviation.
_MAD = 1.4826


@dataclass(frozen=True)
class Usual:
    """Acceptance of draft tokens over nights, 0 to 1: median, and scatter as a standard deviation (1.48 MAD)."""

    service: str
    median: float
    scatter: float
    nights: int

    @property
    def least(self) -> float:
        """Below this it is none of the usual nights: three scatters, and at least a tenth, below the median."""
        return max(0.0, min(self.median - 3 * self.scatter, 0.9 * self.median))


def usual(records: Sequence[Json], service: str) -> Usual | None:
    """Of the last nights (trend.BACK at most) that held no fault; None where they are fewer than FEWEST."""
    bad = faulty(records, service)
    sound = [r["services"][service] for r in records if service in r["services"] and r["night"] not in bad]
    values = [s["figures"]["rate_of_drafted"] for s in sound if s["figures"].get("rate_of_drafted") is not None][-BACK:]
    if len(values) < FEWEST:
        return None
    level = median(values)
    return Usual(service, level, _MAD * median(abs(v - level) for v in values), len(values))
