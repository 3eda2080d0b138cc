"""Series over nights: standardised figures of each service, the deploys between them, the change against before."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sdtrace.history.fall import BACK, FEWEST, certain, falls
from sdtrace.history.mix import METRICS, standardised, weights
from sdtrace.history.services import changes
from sdtrace.schema.json_values import Json
from sdtrace.stats.ratio import student

#: Tokens per second of a request.
SPEED = "tokens_per_second"
#: What nights differ by that their sampling error does not tell, as a share of the value.
_WOBBLE = 0.003


@dataclass(frozen=True)
class Point:
    """One night of one service. `value` is standardised to the usual traffic, with the variance of its error; `raw` is
    as counted. `marks` says what changed since the night before it; `deploy` numbers the stretches between changes. `faulty`:
    the night has a fault of this service, or fell far below the nights before."""

    night: str
    raw: float | None
    value: float | None
    variance: float | None
    deploy: int
    marks: tuple[str, ...]
    faulty: bool = False


def names(records: Sequence[Json]) -> list[str]:
    """Every service of these nights."""
    return sorted({name for r in records for name in r["services"]})


def series(records: Sequence[Json], service: str, metric: str) -> list[Point]:
    """The nights that the service ran in, oldest first."""
    nights = [(r["night"], r["services"][service]) for r in records if service in r["services"]]
    bad = faulty(records, service)
    points: list[Point] = []
    deploy, before = 0, None
    mixed = metric in METRICS
    usual = weights([s["cells"] for _, s in nights if s["cells"]] or [{}], metric) if mixed else {}
    for night, s in nights:
        marks: tuple[str, ...] = ()
        if before is not None and s["fingerprint"] != before["fingerprint"]:
            deploy += 1
            marks = tuple(changes(before["parts"], s["parts"]))
        before = s
        raw = s["figures"].get(metric)
        told = standardised(s["cells"], metric, usual) if mixed and s["cells"] else None
        value, error = told if told is not None else (None, 0.0)
        variance = None if value is None else error**2 + (_WOBBLE * value) ** 2
        points.append(Point(night, raw, value, variance or None, deploy, marks, night in bad))
    return points


def faulty(records: Sequence[Json], service: str) -> set[str]:
    """Nights that tell nothing of what is usual: sure of a fault of the service, or fallen."""
    return {r["night"] for r in records if certain(r, service)} | falls(records, service).keys()


@dataclass(frozen=True)
class Change:
    """The last night against a baseline: relative change with its 95% interval, null where nights are too few. `left_out`
    are nights with a fault of their own, which tell nothing of what is usual."""

    value: float | None
    baseline: float | None
    nights: int
    change: float | None
    low: float | None
    high: float | None
    left_out: tuple[str, ...] = ()


def change(points: Sequence[Point]) -> Change:
    """The last point against the nights before it: those since the last deploy, or, if too few, whatever came before.
    Nights with a fault are left out where enough others are left.

    A night is predicted as the weighted mean of the baseline, with Student's t of its scatter.
    """
    last = points[-1]
    value = last.value if last.value is not None else last.raw
    every = [p for p in points[:-1] if (p.value if last.value is not None else p.raw) is not None]
    sound = [p for p in every if not p.faulty]
    known = sound if len(sound) >= FEWEST else every
    left = tuple(p.night for p in every[-BACK:] if p.faulty) if known is sound else ()
    same = [p for p in known if p.deploy == last.deploy]
    base = (same if len(same) >= FEWEST else known)[-BACK:]
    if value is None or not base:
        return Change(value, None, len(base), None, None, None, left)
    level = [(p.value, p.variance or 1.0) if last.value is not None else (p.raw, 1.0) for p in base]
    total = sum(1 / v for _, v in level)
    mean = sum((x or 0.0) / v for x, v in level) / total
    if not mean:
        return Change(value, mean, len(base), None, None, None, left)
    relative = value / mean - 1
    if len(base) < FEWEST:
        return Change(value, mean, len(base), relative, None, None, left)
    scale = sum(((x or 0.0) - mean) ** 2 / v for x, v in level) / (len(base) - 1)
    spread = (last.variance or 1.0) if last.value is not None else 1.0
    half = student(0.975, len(base) - 1) * math.sqrt(scale * (spread + 1 / total)) / abs(mean)
    return Change(value, mean, len(base), relative, relative - half, relative + half, left)


def metrics() -> list[str]:
    """The figures that are watched: a change of their level is an alarm."""
    return list(METRICS)


def shown(records: Sequence[Json], service: str) -> list[str]:
    """The figures that are shown: speed too where it is known, which changes with the load and is no alarm by itself."""
    known = any(r["services"].get(service, {}).get("figures", {}).get(SPEED) is not None for r in records)
    return [*METRICS, SPEED] if known else list(METRICS)


def learning(records: Sequence[Json], service: str) -> bool:
    """Whether the nights of the service are too few for a baseline, and for alarms of changed figures."""
    return sum(service in r["services"] for r in records) <= FEWEST
