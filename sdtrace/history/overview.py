"""Every service of a history at a glance: its state, since when, and its figures night by night."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sdtrace.history.alarm import VERDICT_OF, Stay
from sdtrace.history.trend import SPEED, faulty, learning
from sdtrace.results.words import VERDICTS, VerdictState
from sdtrace.schema.json_values import Json

#: The figures of a row, in their order.
LINES = ("tokens_per_step", SPEED, "rate_of_drafted")
#: Nights of a row.
NIGHTS = 60


@dataclass(frozen=True)
class Seen:
    """A figure in a night; `faulty`: the night has a fault of the service, and is no part of a baseline."""

    night: str
    value: float | None
    faulty: bool


@dataclass(frozen=True)
class Standing:
    """A service at the last night that it ran in. `state` is null where that night has a fault of another service alone.

    `since`: the first night of this state in a row; `known`: what stands is acknowledged; `learning`: nights are too few for
    a baseline.
    """

    service: str
    state: VerdictState | None
    says: str
    since: str
    last: str
    nights: int
    known: bool
    learning: bool
    figures: Mapping[str, list[Seen]]
    changes: Mapping[str, float | None]


def overview(records: Sequence[Json], document: Json, stays: Sequence[Stay]) -> list[Standing]:
    """A row a service, worst first. `document` is that of the last night, with its history; `stays` of all alarms."""
    names = sorted({name for r in records for name in r["services"]})
    rows = [_standing(records, document, stays, name) for name in names]
    here, verdict = list(records[-1]["services"]), document["verdict"]
    if not any(row.state == verdict["state"] for row in rows if row.service in here):
        # nobody is blamed for what the night is: it is said of all
        rows = [
            replace(row, state=verdict["state"], says=verdict["headline"]) if row.service in here else row
            for row in rows
        ]
    order = {state: i for i, state in enumerate(VERDICTS)}
    return sorted(rows, key=lambda row: (order.get(row.state, len(order)) if row.state else len(order), row.service))


def _standing(records: Sequence[Json], document: Json, stays: Sequence[Stay], name: str) -> Standing:
    mine = [r for r in records if name in r["services"]]
    last = mine[-1]
    current = last is records[-1]
    alarms = [a for a in document["history"]["alarms"] if current and a["service"] in (name, "") and _counts(a)]
    changes = {}
    for service in document["history"]["services"]:
        if service["service"] == name:
            changes = {m["name"]: m["change"] for m in service["metrics"]}
    state, says = state_of(last, name), last["verdict"]["headline"]
    since = _since(mine, name, stays)
    if alarms:
        worst = min(alarms, key=lambda a: VERDICTS.index(a["side"]))
        state, says = worst["side"], worst["headline"]
        since = min(a["since"] for a in alarms if a["side"] == state)
    bad = faulty(records, name)
    figures = {
        line: [Seen(r["night"], r["services"][name]["figures"].get(line), r["night"] in bad) for r in mine[-NIGHTS:]]
        for line in LINES
    }
    known = bool(alarms) and all(a["until"] is not None for a in alarms)
    return Standing(
        name, state, says, since, last["night"], len(mine), known, learning(records, name), figures, changes
    )


def _counts(alarm: Json) -> bool:
    """Whether an alarm is the state of its service: a cause of the night stays one when it is known, what gathers does not."""
    return alarm["until"] is None or alarm["kind"] == "cause"


def state_of(record: Json, service: str) -> VerdictState | None:
    """What a night says of a service; null where its fault is another one's."""
    sure = [c for c in record["causes"] if c["certainty"] != "suspected" and c["service"] in (service, "")]
    if sure:
        return min((VERDICT_OF[c["side"]] for c in sure), key=VERDICTS.index)
    state: VerdictState = record["verdict"]["state"]
    alone = len(record["services"]) == 1
    return state if alone or state in ("healthy", "cannot-tell") else None


def _since(mine: Sequence[Json], name: str, stays: Sequence[Stay]) -> str:
    """The first of the last nights in a row that say the same, after the last alarm of the service was closed."""
    now, since = state_of(mine[-1], name), str(mine[-1]["night"])
    # a night with another's fault alone, and a healthy one: in neither this service has one
    same = (None, "healthy") if now is None else (now,)
    closed = max((s.closed for s in stays if s.service in (name, "") and s.closed is not None), default="")
    for r in reversed(mine):
        if state_of(r, name) not in same or r["night"] < closed:
            break
        since = str(r["night"])
    return since
