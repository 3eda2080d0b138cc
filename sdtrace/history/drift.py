"""Figures that leave their level: each against the nights since the deploy, and across it, one family decided every night."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from sdtrace.history.alarm import Alarm, Q, Stay
from sdtrace.history.fall import FEWEST
from sdtrace.history.levels import log_e, scatter
from sdtrace.history.trend import Point, metrics, names, series
from sdtrace.results.advice import Advice
from sdtrace.schema.json_values import Json
from sdtrace.stats.e_process import e_bh

#: A change of a figure that matters, as a share of it.
LEAST = 0.01


def drifts(records: Sequence[Json]) -> tuple[list[Alarm], list[Stay]]:
    """Every figure of every service against its own level since the deploy, and across it: what stands, and every stay."""
    rows = {f"{s}\0{m}": _known(series(records, s, m)) for s in names(records) for m in metrics()}
    logs: dict[str, dict[str, float]] = {}
    for key, points in rows.items():
        for kind, values in (("drift", _drift(points)), ("deploy", _deploy(points))):
            for night, log in values.items():
                logs.setdefault(night, {})[f"{key}\0{kind}"] = log
    stretch = {key: {p.night: p.deploy for p in points} for key, points in rows.items()}
    standing: dict[str, tuple[int, str, float]] = {}
    latest: dict[str, float] = {}
    stays: list[Stay] = []
    open_: dict[str, int] = {}
    for night in sorted(logs):
        latest |= logs[night]
        rejected = e_bh(latest, Q)
        for key in sorted(logs[night]):
            series_key, kind = key.rsplit("\0", 1)
            now = stretch[series_key][night]
            if key in standing and standing[key][0] != now:
                del standing[key]
                at = open_.pop(key)
                stays[at] = replace(stays[at], closed=night, by="deploy")
            if key in rejected and key not in standing:
                points = [p for p in rows[series_key] if p.night <= night]
                if abs(_moved(points, kind)) >= LEAST:
                    standing[key] = now, night, 0.0
                    open_[key] = len(stays)
                    stays.append(_stay(key, night, points))
            if key in standing:
                standing[key] = *standing[key][:2], logs[night][key]
                stays[open_[key]] = replace(stays[open_[key]], last=night)
    found = []
    for key, (_, since, log) in standing.items():
        service, metric, kind = key.split("\0")
        found.append(_figure(kind, service, metric, since, log / math.log(10), rows[f"{service}\0{metric}"]))
    return found, stays


def _stay(key: str, night: str, points: Sequence[Point]) -> Stay:
    service, metric, kind = key.split("\0")
    return Stay(f"{kind}:{metric}:{service}", "slow", service, _says(kind, service, metric, points), night, night)


def _says(kind: str, service: str, metric: str, points: Sequence[Point]) -> str:
    moved = _moved(points, kind)
    where = "with the last deploy" if kind == "deploy" else "since the last deploy's first nights"
    what = f"{metric.replace('_', ' ')} of {service} {'fell' if moved < 0 else 'rose'} by {abs(moved):.1%}"
    return f"{what} {where}, the traffic's mix taken out"


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
    headline = _says(kind, service, metric, points)
    marks = next((p.marks for p in reversed(points) if p.marks), ())
    step = Advice("compare a night before with one after:", "sdtrace diff BEFORE AFTER")
    advice = step.in_line(" ")
    if kind == "deploy" and marks:
        advice += f"; what changed: {'; '.join(marks[:3])}"
        step = Advice(advice)
    return Alarm(f"{kind}:{metric}:{service}", kind, "slow", service, since, headline, advice, step, log10)
