"""Evidence that may be looked at every night: e-processes, their start unknown, and e-BH over many of them.

An e-process starts at 1 and under the null its mean is at most 1 at any time that it is stopped, so that its ever
exceeding 1/a has a chance of a at most (Ville). Several bets are averaged; averages over nights at which a change could
have begun keep the property (a mixture with weights that sum to 1).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class Process:
    """One e-process. `logs` are the logs of its bets, each mixed over the nights at which it could have begun."""

    bets: int
    nights: int = 0
    logs: list[float] = field(default_factory=list)

    def add(self, gains: Sequence[float]) -> None:
        """One night: the log of what each bet gained in it."""
        self.nights += 1
        n = self.nights
        before = self.logs or [-math.inf] * self.bets
        begin = -math.log(n * (n + 1))
        self.logs = [_log_sum((log, begin)) + gain for log, gain in zip(before, gains, strict=True)]

    @property
    def log_e(self) -> float:
        """Log of the e-value; the weight of starts that have not come yet stays at 1."""
        if not self.nights:
            return 0.0
        return _log_sum((_log_sum(self.logs) - math.log(self.bets), -math.log(self.nights + 1)))


def e_bh(log_e: Mapping[str, float], q: float) -> set[str]:
    """Keys that e-BH rejects at false discovery rate q, under any dependence (Wang and Ramdas 2022)."""
    ordered = sorted(log_e.items(), key=lambda item: -item[1])
    m, chosen = len(ordered), 0
    for k, (_, log) in enumerate(ordered, start=1):
        if log >= math.log(m / (q * k)):
            chosen = k
    return {key for key, _ in ordered[:chosen]}


def _log_sum(logs: Sequence[float]) -> float:
    top = max(logs)
    return top if math.isinf(top) else top + math.log(sum(math.exp(x - top) for x in logs))
