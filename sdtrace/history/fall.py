"""A night in which a service gains less than half of what it gained in any sound night before: an alarm of that night.

An e-process needs several nights to be sure of a shift. A collapse needs none: what speculation gains is compared with the
least of at least FEWEST nights of the same version and configuration. Such a night tells nothing of what is usual.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sdtrace.history.alarm import Alarm, By, Stay
from sdtrace.results.advice import Advice
from sdtrace.results.numbers import per_step
from sdtrace.schema.json_values import Json

#: Nights that a baseline looks back on, and the fewest that make one.
BACK, FEWEST = 28, 3
#: A night below this share of the least of the nights before has fallen; traffic of weekends moves a figure by a third.
SHARE = 0.5
#: Steps that a night must have drafted in.
STEPS = 100


@dataclass(frozen=True)
class Fall:
    """What a night gained, and between what the nights before did: tokens per step."""

    night: str
    value: float
    low: float
    high: float
    nights: int


def certain(record: Json, service: str) -> bool:
    """Whether a night is sure of a fault of the service, or of one that it blames on none of several."""
    return any(c["certainty"] != "suspected" and c["service"] in (service, "") for c in record["causes"])


def falls(records: Sequence[Json], service: str) -> dict[str, Fall]:
    """Nights of the service that fell, by date. A night with a sure fault is not looked at: its cause says more."""
    found: dict[str, Fall] = {}
    mine = [r for r in records if service in r["services"]]
    for i, r in enumerate(mine):
        now = r["services"][service]
        base = [
            (gain, rate)
            for b in mine[max(0, i - BACK) : i]
            if b["services"][service]["fingerprint"] == now["fingerprint"]
            and b["night"] not in found
            and not certain(b, service)
            and (gain := _gain(b["services"][service])) is not None
            for rate in (b["services"][service]["figures"].get("rate_of_drafted"),)
        ]
        gain, rate = _gain(now), now["figures"].get("rate_of_drafted")
        enough = (now["figures"].get("steps") or 0) >= STEPS and len(base) >= FEWEST
        if not enough or gain is None or certain(r, service) or gain >= SHARE * min(g for g, _ in base):
            continue
        rates = [b for _, b in base if b is not None]
        if rate is None or not rates or rate < SHARE * min(rates):
            gains = [g for g, _ in base]
            found[r["night"]] = Fall(r["night"], 1 + gain, 1 + min(gains), 1 + max(gains), len(base))
    return found


def _gain(service: Json) -> float | None:
    """Tokens that a step emits beyond the one that it would without a draft."""
    length = service["figures"].get("tokens_per_step")
    return None if length is None else float(length) - 1


def fallen(records: Sequence[Json]) -> tuple[list[Alarm], list[Stay]]:
    """What stands at the last night, and every stay: nights in a row that fell."""
    alarms, stays = [], []
    for name in sorted({name for r in records for name in r["services"]}):
        found, mine = falls(records, name), [r for r in records if name in r["services"]]
        stay: Stay | None = None
        last: Fall | None = None
        for before, r in zip([None, *mine], mine, strict=False):
            night = str(r["night"])
            if night in found:
                last = found[night]
                fresh = Stay(f"fall:tokens_per_step:{name}", "slow", name, _says(name, last), night, night)
                stay = fresh if stay is None else replace(stay, last=night)
            elif stay is not None and last is not None and before is not None and _judged(r, name):
                stays.append(
                    replace(stay, closed=night, by=_closed(before["services"][name], r["services"][name], last))
                )
                stay = None
        if stay is not None:
            stays.append(stay)
            if stay.last == records[-1]["night"]:
                alarms.append(_alarm(stay, found[stay.last]))
    return alarms, stays


def _judged(record: Json, name: str) -> bool:
    """Whether a night tells if the fall goes on: one with a sure fault, or with few steps, does not."""
    return not certain(record, name) and (record["services"][name]["figures"].get("steps") or 0) >= STEPS


def _closed(before: Json, now: Json, last: Fall) -> By:
    """By what a fall ends: a deploy, a gain as before, or no night left that it is compared with."""
    if before["fingerprint"] != now["fingerprint"]:
        return "deploy"
    gain = _gain(now)
    return "fault gone" if gain is not None and gain >= SHARE * (last.low - 1) else "aged out"


def _alarm(stay: Stay, fall: Fall) -> Alarm:
    step = Advice(
        "the report of this night shows since when; compare a night before with it:", "sdtrace diff BEFORE TONIGHT"
    )
    says = _says(stay.service, fall)
    return Alarm(stay.id, "fall", "slow", stay.service, stay.opened, says, step.in_line(" "), step)


def _says(name: str, fall: Fall) -> str:
    usual = " to ".join(dict.fromkeys(map(per_step, (fall.low, fall.high))))
    return f"tokens per step of {name} fell to {per_step(fall.value)}; the {fall.nights} nights before it had {usual}"
