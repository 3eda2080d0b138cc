"""Evidence against a law that gathers from night to night: an e-process a check and service, since the last deploy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sdtrace.history.alarm import Alarm, Q, Stay
from sdtrace.history.trend import names
from sdtrace.results.advice import Advice
from sdtrace.schema.json_values import Json
from sdtrace.stats.e_process import Process, e_bh


@dataclass
class _Watch:
    """Processes of one service, by key of the alarm, and the night since which each is rejected."""

    fingerprint: str | None = None
    processes: dict[str, Process] = field(default_factory=dict)
    since: dict[str, str] = field(default_factory=dict)

    def reset(self, fingerprint: str) -> list[str]:
        """Begin anew after a deploy; the keys of alarms that it ends."""
        if fingerprint == self.fingerprint:
            return []
        ended = list(self.since)
        self.fingerprint, self.processes, self.since = fingerprint, {}, {}
        return ended


def evidence(records: Sequence[Json]) -> tuple[list[Alarm], list[Stay]]:
    """What stands at the last night, and every stay before and now."""
    watches = {name: _Watch() for name in names(records)}
    stays: list[Stay] = []
    open_: dict[str, int] = {}
    for r in records:
        for name, service in r["services"].items():
            for code in watches[name].reset(service["fingerprint"]):
                at = open_.pop(f"evidence:{code}:{name}")
                stays[at] = replace(stays[at], closed=r["night"], by="deploy")
            for code, gains in service["evidence"].items():
                process = watches[name].processes.setdefault(code, Process(len(gains)))
                process.add(gains)
        _judge(watches, r["night"])
        for name, watch in watches.items():
            for code, since in watch.since.items():
                key = f"evidence:{code}:{name}"
                if key not in open_:
                    open_[key] = len(stays)
                    says = f"decisions of {name} leave the law over many tokens ({code})"
                    stays.append(Stay(key, "wrong", name, says, since, since))
                if name in r["services"]:
                    stays[open_[key]] = replace(stays[open_[key]], last=r["night"])
    found = []
    for name, watch in watches.items():
        for code, since in watch.since.items():
            log = watch.processes[code].log_e / math.log(10)
            headline = f"decisions of {name} leave the law over many tokens ({code}): 10^{log:.0f} to 1 against chance"
            advice = f"sdtrace checks {code.split(':')[0]} tells what it finds; look at the reports from {since} on"
            step = Advice(advice)
            found.append(
                Alarm(f"evidence:{code}:{name}", "evidence", "wrong", name, since, headline, advice, step, log)
            )
    return found, stays


def _judge(watches: dict[str, _Watch], night: str) -> None:
    logs = {(n, k): p.log_e for n, w in watches.items() for k, p in w.processes.items()}
    told = {f"{n}\0{k}": log for (n, k), log in logs.items()}
    for key in sorted(e_bh(told, Q)):
        name, code = key.split("\0")
        watches[name].since.setdefault(code, night)
