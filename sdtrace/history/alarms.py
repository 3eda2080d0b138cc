"""Alarms that stay valid over months: causes of the night, evidence that gathers, figures that drift.

    cause:CAUSE:SERVICE        the night's own report is sure of it
    evidence:CHECK:SERVICE     an e-process of a law, since deploy, tokens of all nights together
    drift:METRIC:SERVICE       a standardised figure left the level that it had since deploy
    deploy:METRIC:SERVICE      it left the level from before the last deploy, beginning with that deploy

Evidence is one family and figures are another; in each, e-BH at the level Q decides every night, and what it rejects
stays an alarm until the next deploy.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from sdtrace.history.levels import log_e, scatter
from sdtrace.history.trend import FEWEST, Point, metrics, names, series
from sdtrace.schema.json_values import Json
from sdtrace.stats.e_process import Process, e_bh

#: False discovery rate of each family.
Q = 0.01
#: A change of a figure that matters, as a share of it.
LEAST = 0.01
_SIDES = {"wrong": "wrong", "slow": "slow", "metric": "metric-suspect"}


@dataclass(frozen=True)
class Alarm:
    """`since` is the night that it first stood; `log10_e` the evidence, null for causes; `until` and `why` belong to an
    acknowledgement that has not run out, `expired` to one that has."""

    id: str
    kind: str
    side: str
    service: str
    since: str
    headline: str
    advice: str
    log10_e: float | None = None
    until: str | None = None
    why: str | None = None
    expired: str | None = None


def alarms(records: Sequence[Json], acknowledged: Sequence[Json] = ()) -> list[Alarm]:
    """What stands at the last of these nights, unacknowledged first."""
    if not records:
        return []
    night = records[-1]["night"]
    named = _causes(records)
    blamed = {a.service for a in named if a.side == "wrong"}
    # a cause of this night says more than the evidence that it leaves behind
    found = [*named, *(a for a in _evidence(records) if a.service not in blamed), *_figures(records)]
    told = [_acknowledged(alarm, night, acknowledged) for alarm in found]
    return sorted(told, key=lambda a: (a.until is not None, list(_SIDES.values()).index(a.side), a.id))


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
        old = {(c["cause"], c["service"]) for c in before.get(r["night"], ()) if c["certainty"] != "suspected"}
        for alarm in _causes(records[: i + 1]) if r["night"] in before else ():
            if alarm.id not in standing and (alarm.id.split(":")[1], alarm.service) not in old:
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


def _causes(records: Sequence[Json]) -> list[Alarm]:
    found = []
    for cause in records[-1]["causes"]:
        if cause["certainty"] == "suspected":
            continue
        id = f"cause:{cause['cause']}:{cause['service']}"
        since = _standing(records, cause["cause"], cause["service"])
        headline, advice = cause["headline"], cause["advice"]
        found.append(Alarm(id, "cause", _SIDES[cause["side"]], cause["service"], since, headline, advice))
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


@dataclass
class _Watch:
    """Processes of one service, by key of the alarm, and the night since which each is rejected."""

    fingerprint: str | None = None
    processes: dict[str, Process] = field(default_factory=dict)
    since: dict[str, str] = field(default_factory=dict)

    def reset(self, fingerprint: str) -> None:
        if fingerprint != self.fingerprint:
            self.fingerprint, self.processes, self.since = fingerprint, {}, {}


def _evidence(records: Sequence[Json]) -> list[Alarm]:
    watches = {name: _Watch() for name in names(records)}
    for r in records:
        for name, service in r["services"].items():
            watches[name].reset(service["fingerprint"])
            for code, gains in service["evidence"].items():
                process = watches[name].processes.setdefault(code, Process(len(gains)))
                process.add(gains)
        _judge(watches, r["night"])
    found = []
    for name, watch in watches.items():
        for code, since in watch.since.items():
            log = watch.processes[code].log_e / math.log(10)
            headline = f"decisions of {name} leave the law over many tokens ({code}): 10^{log:.0f} to 1 against chance"
            advice = f"sdtrace checks {code.split(':')[0]} tells what it finds; look at the reports from {since} on"
            found.append(Alarm(f"evidence:{code}:{name}", "evidence", "wrong", name, since, headline, advice, log))
    return found


def _judge(watches: dict[str, _Watch], night: str) -> None:
    logs = {(n, k): p.log_e for n, w in watches.items() for k, p in w.processes.items()}
    told = {f"{n}\0{k}": log for (n, k), log in logs.items()}
    for key in sorted(e_bh(told, Q)):
        name, code = key.split("\0")
        watches[name].since.setdefault(code, night)


def _figures(records: Sequence[Json]) -> list[Alarm]:
    """Every figure of every service against its own level since the deploy, and across it."""
    rows = {f"{s}\0{m}": _known(series(records, s, m)) for s in names(records) for m in metrics()}
    logs: dict[str, dict[str, float]] = {}
    for key, points in rows.items():
        for kind, values in (("drift", _drift(points)), ("deploy", _deploy(points))):
            for night, log in values.items():
                logs.setdefault(night, {})[f"{key}\0{kind}"] = log
    stretch = {key: {p.night: p.deploy for p in points} for key, points in rows.items()}
    standing: dict[str, tuple[int, str, float]] = {}
    latest: dict[str, float] = {}
    for night in sorted(logs):
        latest |= logs[night]
        rejected = e_bh(latest, Q)
        for key in sorted(logs[night]):
            series_key, kind = key.rsplit("\0", 1)
            now = stretch[series_key][night]
            if key in standing and standing[key][0] != now:
                del standing[key]
            if key in rejected and key not in standing:
                points = [p for p in rows[series_key] if p.night <= night]
                if abs(_moved(points, kind)) >= LEAST:
                    standing[key] = now, night, 0.0
            if key in standing:
                standing[key] = *standing[key][:2], logs[night][key]
    found = []
    for key, (_, since, log) in standing.items():
        service, metric, kind = key.split("\0")
        found.append(_figure(kind, service, metric, since, log / math.log(10), rows[f"{service}\0{metric}"]))
    return found


def _known(points: Sequence[Point]) -> list[Point]:
    return [p for p in points if p.value is not None and p.variance is not None]


def _drift(points: Sequence[Point]) -> dict[str, float]:
    """night -> log e of a change at a night since the deploy."""
    found: dict[str, float] = {}
    for deploy, mine in _stretches(points).items():
        logs = log_e(_values(mine), _variances(mine), before=_scatter(points, deploy))
        found |= dict(zip((p.night for p in mine), logs, strict=True))
    return found


def _deploy(points: Sequence[Point]) -> dict[str, float]:
    """night -> log e of a change that began with the last deploy, against the nights since the deploy before it."""
    found: dict[str, float] = {}
    for (earlier, old), (_, new) in pairwise(_stretches(points).items()):
        mine = [*old, *new]
        logs = log_e(_values(mine), _variances(mine), len(old), _scatter(points, earlier))
        found |= {p.night: log for p, log in zip(new, logs[len(old) :], strict=True)}
    return found


def _stretches(points: Sequence[Point]) -> dict[int, list[Point]]:
    """Nights by deploy, in order."""
    found: dict[int, list[Point]] = {}
    for p in points:
        found.setdefault(p.deploy, []).append(p)
    return found


def _scatter(points: Sequence[Point], deploy: int) -> tuple[float, int]:
    """How much the nights of the stretches before a deploy scatter, each about its own level."""
    told = [scatter(_values(s), _variances(s)) for d, s in _stretches(points).items() if d < deploy]
    return sum(squares for squares, _ in told), sum(freedom for _, freedom in told)


def _values(points: Sequence[Point]) -> list[float]:
    return [p.value or 0.0 for p in points]


def _variances(points: Sequence[Point]) -> list[float]:
    return [p.variance or 1.0 for p in points]


def _moved(points: Sequence[Point], kind: str) -> float:
    """Relative change of the level: after against before the likeliest split, or the deploy."""
    known = [p for p in points if p.value is not None and p.variance is not None]
    last = known[-1].deploy
    if kind == "deploy":
        before, after = [p for p in known if p.deploy < last], [p for p in known if p.deploy == last]
        return _level(after) / _level(before) - 1 if before and after else 0.0
    mine = [p for p in known if p.deploy == last]
    splits = [(_gap(mine[:i], mine[i:]), i) for i in range(FEWEST - 1, len(mine))]
    if not splits:
        return 0.0
    at = max(splits)[1]
    return _level(mine[at:]) / _level(mine[:at]) - 1


def _level(points: Sequence[Point]) -> float:
    total = sum(1 / (p.variance or 1.0) for p in points)
    return sum((p.value or 0.0) / (p.variance or 1.0) for p in points) / total


def _gap(before: Sequence[Point], after: Sequence[Point]) -> float:
    """Squared difference of two levels over its variance."""
    spread = sum(1 / sum(1 / (p.variance or 1.0) for p in part) for part in (before, after))
    return (_level(after) - _level(before)) ** 2 / spread


def _figure(kind: str, service: str, metric: str, since: str, log10: float, points: list[Point]) -> Alarm:
    moved = _moved(points, kind)
    word = "fell" if moved < 0 else "rose"
    what = metric.replace("_", " ")
    where = "with the last deploy" if kind == "deploy" else "since the last deploy's first nights"
    headline = f"{what} of {service} {word} by {abs(moved):.1%} {where}, the traffic's mix taken out"
    marks = next((p.marks for p in reversed(points) if p.marks), ())
    advice = "compare a night before with one after: sdtrace diff"
    if kind == "deploy" and marks:
        advice += f"; what changed: {'; '.join(marks[:3])}"
    return Alarm(f"{kind}:{metric}:{service}", kind, "slow", service, since, headline, advice, log10)
