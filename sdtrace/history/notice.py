"""What a night has to tell a team: alarms that opened, alarms that closed, what stands, in values; words come later."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sdtrace.history.alarm import Alarm, Stay
from sdtrace.history.alarms import alarms, register
from sdtrace.history.trend import learning
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
    """One night. `opened` are alarms that the night before did not have, `closed` those that it had and this one has not, each
    with what closed it; `active` stand and are not acknowledged, `known` are acknowledged. `learning` are services with fewer
    nights than a baseline needs."""

    night: str
    nights: int
    state: VerdictState
    headline: str
    opened: tuple[Alarm, ...]
    closed: tuple[Stay, ...]
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
    told, night = register(records, acknowledged), records[-1]["night"]
    now = [*told.standing, *faults]
    before = alarms(records[:-1], acknowledged)
    quiet = {a.id for a in before if a.until is not None}
    return Notice(
        night,
        len(records),
        document["verdict"]["state"],
        document["verdict"]["headline"],
        _new(now, before, told.stays, night),
        tuple(stay for stay in told.stays if stay.closed == night and stay.id not in quiet),
        sum(a.until is None for a in now),
        sum(a.until is not None for a in now),
        tuple(f for s in document["history"]["services"] for f in _figures(s)),
        tuple(name for name in records[-1]["services"] if learning(records, name)),
    )


def _new(now: Sequence[Alarm], before: Sequence[Alarm], stays: Sequence[Stay], night: str) -> tuple[Alarm, ...]:
    """Those that are not acknowledged and did not stand before, whatever their headlines say; what stood behind a cause that
    said more than it is not new once that cause is gone."""
    names = {a.id for a in before} | {s.id for s in stays if s.closed is None and s.opened < night and s.last == night}
    return tuple(a for a in now if a.id not in names and a.until is None)


def _figures(service: Json) -> list[Figure]:
    return [
        Figure(service["service"], m["name"], m["value"], m["change"])
        for m in service["metrics"]
        if m["value"] is not None
    ]
