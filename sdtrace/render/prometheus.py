"""Gauges for the textfile collector of a Prometheus node exporter. What was not recorded has no sample."""

from collections.abc import Mapping
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from sdtrace.render.text import clean
from sdtrace.results.report import Report
from sdtrace.results.words import VERDICTS, State

_FIGURES = {
    "tokens_per_step": "Tokens appended per step.",
    "rate_of_drafted": "Accepted of drafted tokens.",
    "rate_of_tested": "Accepted of tested tokens.",
    "expected_tokens_per_step": "Tokens per step that the law leads to expect.",
    "excess": "Acceptance above what the law leads to expect, per tested token.",
    "steps": "Steps that were read.",
    "drafted": "Tokens drafted.",
    "accepted": "Tokens accepted.",
}


def dumps(report: Report) -> bytes:
    """The exposition; metrics begin with sdtrace_."""
    document, registry = report.document, CollectorRegistry()
    verdict = _gauge(registry, "verdict", "1 for the verdict of the report, 0 for the others.", "state")
    for state in reversed(VERDICTS):
        verdict.labels(state).set(float(state == document["verdict"]["state"]))
    figures = document["acceptance"] or {}
    for name, says in _FIGURES.items():
        if figures.get(name) is not None:
            _gauge(registry, name, says).set(figures[name])
    if document["audit"]:
        _gauge(registry, "disagreements", "Decisions that contradict the law.").set(document["audit"]["disagree"])
    if document["time"] and document["time"].get("step_ms") is not None:
        _gauge(registry, "step_seconds", "Mean wall time of a step.").set(document["time"]["step_ms"] / 1000)
    checks = _gauge(registry, "checks", "Checks by state.", "state")
    for state in get_args(State):
        checks.labels(state).set(sum(c["state"] == state for c in document["checks"]))
    causes = _gauge(registry, "cause", "1 for every cause that was found.", "cause", "side", "certainty")
    for c in document["causes"]:
        causes.labels(c["cause"], c["side"], c["certainty"]).set(1)
    if document["history"] is not None:
        _nights(registry, document["history"])
    return generate_latest(registry)


def _gauge(registry: CollectorRegistry, name: str, says: str, *labels: str) -> Gauge:
    return Gauge(f"sdtrace_{name}", says, labels, registry=registry)


def _nights(registry: CollectorRegistry, history: Mapping[str, Any]) -> None:
    _gauge(registry, "nights", "Nights in the state.").set(history["nights"])
    alarms = _gauge(
        registry, "alarm", "1 for an alarm that stands, 0 while it is acknowledged.", "alarm", "side", "service"
    )
    for a in history["alarms"]:
        alarms.labels(clean(a["id"], 160), a["side"], clean(a["service"], 80)).set(float(a["until"] is None))
    value = _gauge(registry, "service_figure", "A figure of a service at its usual mix.", "service", "figure")
    change = _gauge(
        registry, "service_change_ratio", "Its change against the baseline, as a share.", "service", "figure"
    )
    for s in history["services"]:
        for m in s["metrics"]:
            labels = clean(s["service"], 80), m["name"]
            if m["value"] is not None:
                value.labels(*labels).set(m["value"])
            if m["change"] is not None:
                change.labels(*labels).set(m["change"])
