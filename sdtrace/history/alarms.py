"""Alarms that stay valid over months: causes of the night, evidence that gathers, figures that drift.

    cause:CAUSE:SERVICE        the night's own report is sure of it
    evidence:CHECK:SERVICE     an e-process of a law, since deploy, tokens of all nights together
    drift:METRIC:SERVICE       a standardised figure left the level that it had since deploy
    deploy:METRIC:SERVICE      it left the level from before the last deploy, beginning with that deploy
    fall:METRIC:SERVICE        the night gained less than half of what any sound night before did

Evidence is one family and figures are another; in each, e-BH at the level Q decides every night, and what it rejects
stays an alarm until the next deploy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from sdtrace.history.alarm import VERDICT_OF, Alarm, By, Stay
from sdtrace.history.drift import drifts
from sdtrace.history.evidence import evidence
from sdtrace.history.fall import fallen
from sdtrace.results.advice import Advice
from sdtrace.results.words import VERDICTS
from sdtrace.schema.json_values import Json

#: Days after which the alarm of a service that does not run any more is closed.
AGED = 28


@dataclass(frozen=True)
class Register:
    """The alarms of a history: what stands at its last night, unacknowledged first, and every stay, in order of opening."""

    standing: list[Alarm] = field(default_factory=list)
    stays: list[Stay] = field(default_factory=list)


def alarms(records: Sequence[Json], acknowledged: Sequence[Json] = ()) -> list[Alarm]:
    """What stands at the last of these nights, unacknowledged first."""
    return register(records, acknowledged).standing


def register(records: Sequence[Json], acknowledged: Sequence[Json] = ()) -> Register:
    """All alarms of these nights."""
    if not records:
        return Register()
    night, of_causes = records[-1]["night"], _stays(records)
    opened = {stay.id: stay.opened for stay in of_causes if stay.closed is None}
    named = [replace(alarm, since=opened[alarm.id]) for alarm in _causes(records)]
    blamed = {a.service for a in named if a.side == "wrong"}
    (gathered, over_law), (moved, over_level), (down, collapsed) = evidence(records), drifts(records), fallen(records)
    # a cause of this night says more than the evidence that it leaves behind
    found = [*named, *(a for a in gathered if a.service not in blamed), *moved, *down]
    told = [_acknowledged(alarm, night, acknowledged) for alarm in found]
    standing = sorted(told, key=lambda a: (a.until is not None, VERDICTS.index(a.side), a.id))
    stays = [_noted(stay, acknowledged) for stay in (*of_causes, *over_law, *over_level, *collapsed)]
    return Register(standing, sorted(stays, key=lambda stay: (stay.opened, stay.id)))


def _stays(records: Sequence[Json]) -> list[Stay]:
    """Every stay of a cause: nights in which its service did not run neither close it nor count."""
    stays: list[Stay] = []
    open_: dict[str, int] = {}
    for i, r in enumerate(records):
        night, here = r["night"], {alarm.id: alarm for alarm in _causes(records[i : i + 1])}
        for id, at in list(open_.items()):
            stay = stays[at]
            by: By | None = None
            if id not in here and (not stay.service or stay.service in r["services"]):
                by = "fault gone"
            elif id not in here and (date.fromisoformat(night) - date.fromisoformat(stay.last)).days >= AGED:
                by = "aged out"
            if by is not None:
                stays[open_.pop(id)] = replace(stay, closed=night, by=by)
        for id, alarm in here.items():
            if id not in open_:
                open_[id] = len(stays)
                stays.append(Stay(id, alarm.side, alarm.service, alarm.headline, night, night))
            stays[open_[id]] = replace(stays[open_[id]], last=night)
    return stays


def _noted(stay: Stay, acknowledged: Sequence[Json]) -> Stay:
    """The stay with the acknowledgement that falls into it."""
    mine = [
        a
        for a in acknowledged
        if a["alarm"] == stay.id
        and str(a["until"]) >= stay.opened
        and (stay.closed is None or str(a.get("night") or stay.opened) <= stay.closed)
    ]
    if not mine:
        return stay
    last = max(mine, key=lambda a: str(a["until"]))
    return replace(stay, known={"night": last.get("night"), "until": last["until"], "why": last.get("why")})


def late(
    records: Sequence[Json],
    before: Mapping[str, Sequence[Json]],
    acknowledged: Sequence[Json] = (),
) -> list[Alarm]:
    """Causes that nights before the last one were found to have only now, each with the first such night.

    `before` holds the nights that have just been written, and the causes that each had until then. What stands at the last
    night is told there.
    """
    found: dict[str, Alarm] = {}
    standing = {alarm.id for alarm in _causes(records)}
    for i, r in enumerate(records[:-1]):
        old = {_id(c) for c in before.get(r["night"], ()) if c["certainty"] != "suspected"}
        for alarm in _causes(records[: i + 1]) if r["night"] in before else ():
            if alarm.id not in standing and alarm.id not in old:
                found.setdefault(alarm.id, replace(alarm, since=r["night"]))
    return [_acknowledged(alarm, records[-1]["night"], acknowledged) for _, alarm in sorted(found.items())]


def _acknowledged(alarm: Alarm, night: str, acknowledged: Sequence[Json]) -> Alarm:
    mine = [a for a in acknowledged if a["alarm"] == alarm.id]
    if not mine:
        return alarm
    last = max(mine, key=lambda a: str(a["until"]))
    if last["until"] >= night:
        return replace(alarm, until=last["until"], why=last.get("why"))
    return replace(alarm, expired=last["until"])


def _id(cause: Json) -> str:
    """The name of the alarm of a cause, as it is acknowledged."""
    return f"cause:{cause['cause']}:{cause['service']}"


def _causes(records: Sequence[Json]) -> list[Alarm]:
    found = []
    for cause in records[-1]["causes"]:
        if cause["certainty"] == "suspected":
            continue
        id, since = _id(cause), _standing(records, cause["cause"], cause["service"])
        headline, advice = cause["headline"], cause["advice"]
        step = Advice(**cause["next"]) if "next" in cause else Advice(advice)  # records of before have the advice alone
        found.append(Alarm(id, "cause", VERDICT_OF[cause["side"]], cause["service"], since, headline, advice, step))
    return list({alarm.id: alarm for alarm in found}.values())


def _standing(records: Sequence[Json], cause: str, service: str) -> str:
    """The first of the nights in a row that end now and that the service ran in and the cause was found in."""
    since = str(records[-1]["night"])
    for r in reversed(records):
        if service and service not in r["services"]:
            continue
        if not any(c["cause"] == cause and c["service"] == service for c in r["causes"]):
            break
        since = str(r["night"])
    return since
