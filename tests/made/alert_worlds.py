"""What an engine's counters do, by the alert that it is to fire."""

from dataclasses import dataclass


@dataclass(frozen=True)
class World:
    """Per sample: draft tokens, accepted share and emitted tokens, before and after the onset; one engine alone changes."""

    rate: float = 0.6
    then: float = 0.6
    drafted: int = 2000
    then_drafted: int = 2000
    only: str = ""


HEALTHY = World()
FAULTS = {
    "SpeculationAcceptsNothing": World(then=0.002),
    "SpeculationDoesNotPay": World(rate=0.03, then=0.03),
    "SpeculationAcceptanceFell": World(then=0.35),
    "SpeculationSeriesApart": World(rate=0.6, then=0.2, only="b"),
    "SpeculationAcceptsEverything": World(then=1.0),
    "SpeculationCountersImpossible": World(then=1.4),
    "SpeculationStopped": World(then_drafted=0),
}
