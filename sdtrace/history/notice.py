"""What a night has to tell a team: alarms that opened, alarms that closed, what stands, in values; words come later."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sdtrace.history.alarms import Alarm, alarms
from sdtrace.history.trend import FEWEST, metrics, series
from sdtrace.results.words import VerdictState
from sdtrace.schema.json_values import Json

#: When a notice is sent: an alarm opened or closed; any alarm is active; every night.
When = Literal["change", "alarm", "always"]


@dataclass(frozen=True)
class Figure:
    """A figure of a service: its value, and its relative change against the nights before, null where they are too few."""

    service: str
    name: str
    value: float
    change: float | None


@dataclass(frozen=True)
class Notice:
    """One night. `opened` are alarms that the night before did not have, `closed` those that it had and this one has not;
    `active` stand and are not acknowledged, `known` are acknowledged. `learning` are services with fewer nights than a
    baseline needs."""

    night: str
    nights: int
    state: VerdictState
    headline: str
    opened: tuple[Alarm, ...]
    closed: tuple[Alarm, ...]
    active: int
    known: int
    figures: tuple[Figure, ...]
    learning: tuple[str, ...]

    def due(self, when: When) -> bool:
        """Whether there is something to say."""
        news = bool(self.opened or self.closed)
        return when == "always" or news or (when == "alarm" and self.active > 0)


def notice(
    records: Sequence[Json], document: Json, acknowledged: Sequence[Json] = (), faults: Sequence[Alarm] = ()
) -> Notice:
    """The notice of the last of these nights. `document` is its report with its history; `faults` are news of nights
    before it. An alarm that is acknowledged neither opens nor closes."""
    now = [*alarms(records, acknowledged), *faults]
    before = alarms(records[:-1], acknowledged)
    services = list(records[-1]["services"])
    return Notice(
        records[-1]["night"],
        len(records),
        document["verdict"]["state"],
        document["verdict"]["headline"],
        _without(now, before),
        _without([a for a in before if a.service in services or not a.service], now),
        sum(a.until is None for a in now),
        sum(a.until is not None for a in now),
        tuple(f for s in document["history"]["services"] for f in _figures(s)),
        tuple(name for name in services if len(series(records, name, metrics()[0])) <= FEWEST),
    )


def _without(some: Sequence[Alarm], others: Sequence[Alarm]) -> tuple[Alarm, ...]:
    """Those that are not acknowledged and not among the others, whatever their headlines say."""
    names = {a.id for a in others}
    return tuple(a for a in some if a.id not in names and a.until is None)


def _figures(service: Json) -> list[Figure]:
    return [
        Figure(service["service"], m["name"], m["value"], m["change"])
        for m in service["metrics"]
        if m["value"] is not None
    ]
