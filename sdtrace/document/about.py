"""What a report is about: engine and version, models, method, draft length, sampling, hosts, the period, requests and tokens."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.redaction import redacted
from sdtrace.results.clock import WALL
from sdtrace.schema.keys import request_hash
from sdtrace.schema.run import Run
from sdtrace.schema.trace import LENGTH, METHOD
from sdtrace.tally.tally import REQUESTS

#: Values of one kind that are listed; more are counted by who shows them.
LISTED = 8
#: Fields of a run's configuration that say where it ran.
_PLACES = ("host", "hostname", "pod", "node", "deployment")
_SAMPLING = ("temperature", "top_p", "top_k", "min_p")
_NAMED = re.compile(r"\b(model_name|instance|pod|host|node)=([^\s,]+)")
_PLACE = re.compile(r"\b(?:pod/[\w./-]+|(?:instance|pod|host|node)=[^\s,]+)")


def about(audit: Audit, diagnosis: Diagnosis) -> dict[str, Any]:
    """Plain values; a list is empty and a value None where the inputs do not say."""
    runs, windows, events = list(audit.runs.values()), audit.windows, audit.events
    methods = [e.settings[METHOD][:400] for e in events if METHOD in e.settings]
    labels = windows["series"].drop_nulls().unique(maintain_order=True).to_list() if windows.height else []
    shown = _labelled(labels)
    versions: set[tuple[str, str | None]] = {(e.engine, e.value) for e in events if e.kind == "version" and e.value}
    versions |= {(r.engine, r.engine_version) for r in runs if r.engine}
    known = {engine for engine, _ in versions}
    names = [*windows["engine"].drop_nulls().unique(maintain_order=True).to_list(), *(e.engine for e in events)]
    versions |= {(name, None) for name in dict.fromkeys(names) if name and name not in known}
    lengths = {r.num_draft_tokens for r in runs if r.num_draft_tokens is not None}
    lengths |= {int(k) for k in windows["k"].drop_nulls().unique().to_list()} if windows.height else set()
    lengths |= {int(k) for e in events if (k := e.settings.get(LENGTH, "")).isdigit() and len(k) < 6}
    first, last = _period(audit, diagnosis)
    return {
        "engines": [{"engine": e, "version": v} for e, v in sorted(versions, key=lambda x: (x[0], x[1] or ""))][
            :LISTED
        ],
        "target_models": _values(runs, "target_model") or shown.get("model_name", [])[:LISTED],
        "draft_models": _values(runs, "draft_model"),
        "precision": _precision(runs),
        "methods": list(dict.fromkeys([*_values(runs, "method"), *methods]))[:LISTED],
        "draft_lengths": sorted(lengths)[:LISTED],
        "sampling": _sampling(audit.requests),
        "hosts": _hosts(runs, labels),
        "from": first,
        "to": last,
        "clock": None if first is None else "own" if first < WALL else "UTC",
        **_amounts(audit, diagnosis),
    }


def _labelled(texts: Iterable[str]) -> dict[str, list[str]]:
    """The values of `name=value` in what engines call their series."""
    found: dict[str, list[str]] = {}
    for text in texts:
        for name, value in _NAMED.findall(text[:400]):
            if value not in found.setdefault(name, []):
                found[name].append(value)
    return found


def _values(runs: Iterable[Run], name: Literal["target_model", "draft_model", "method"]) -> list[str]:
    return list(dict.fromkeys(str(getattr(run, name)) for run in runs if getattr(run, name)))[:LISTED]


def _precision(runs: Iterable[Run]) -> list[str]:
    found = [run.settings.get(name) for run in runs for name in ("dtype", "quantization")]
    return list(dict.fromkeys(str(v) for v in found if isinstance(v, str)))[:LISTED]


def settings(runs: Sequence[Run]) -> dict[str, str | int | float | bool]:
    """What else the first run line sets: plain values, without credentials."""
    found = runs[0].settings if runs else {}
    plain = {k: v for k, v in found.items() if isinstance(v, str | int | float | bool) and k not in _PLACES}
    return {k: v for k, v in list(plain.items())[:40] if redacted(f"?{k}={v}") == f"?{k}={v}" and v == v}


def _hosts(runs: Iterable[Run], labels: Iterable[str]) -> list[str]:
    found = [run.settings.get(name) for run in runs for name in _PLACES]
    places = [m[0] for label in labels for m in _PLACE.finditer(label[:400])]
    return list(dict.fromkeys([*(str(v) for v in found if isinstance(v, str)), *places]))[:LISTED]


def _sampling(requests: pl.DataFrame) -> dict[str, list[float]]:
    """The different values of each sampling parameter, smallest first."""
    found: dict[str, list[float]] = {}
    for name in _SAMPLING:
        if name in requests.columns and requests.height:
            values = requests[name].drop_nulls().unique().sort().to_list()
            found |= {name: [float(v) for v in values[:LISTED]]} if values else {}
    return found


def _period(audit: Audit, diagnosis: Diagnosis) -> tuple[float | None, float | None]:
    laws = audit.tally.frame("laws")
    ends: list[float] = []
    if not laws.is_empty():
        ends += [v for v in (laws["first_at"].min(), laws["last_at"].max()) if isinstance(v, float)]
    at = audit.windows["at"].drop_nulls() if audit.windows.height else pl.Series(dtype=pl.Float64)
    wall = at.filter(at >= WALL)
    at = wall if wall.len() else at
    ends += [v for v in (at.min(), at.max()) if isinstance(v, float)]
    walls = [v for v in ends if v >= WALL]
    ends = walls or ends
    return (min(ends), max(ends)) if ends else (None, None)


def _amounts(audit: Audit, diagnosis: Diagnosis) -> dict[str, int | None]:
    """Requests, steps and emitted tokens in all; None where the record does not count them."""
    laws = audit.tally.frame("laws")
    if not laws.is_empty():
        laws = diagnosis.chosen.frame("laws")
        told = int(laws["appended"].sum()) if laws["known_appended"].sum() else None
        return {
            "requests": _requests(audit, diagnosis),
            "steps": int(laws["steps"].sum()),
            "tokens": told,
        }
    source = diagnosis.figures_from
    if source is None:
        return {"requests": None, "steps": None, "tokens": None}
    counts = (source.requests or None, source.counts["drafts"], source.counts["emitted"])
    return {
        name: None if n is None else round(n) for name, n in zip(("requests", "steps", "tokens"), counts, strict=True)
    }


def _requests(audit: Audit, diagnosis: Diagnosis) -> int | None:
    """Requests that have a line, each once: one that moved to another run or file has a line in both. Without lines, those that
    steps name."""
    once = diagnosis.chosen.once
    if lines := sum(i.requests for i in audit.inputs):
        known = audit.requests.height
        if diagnosis.chosen.moved.is_empty():  # a line each, then: the pass keeps the last one of each request
            return known if 0 < known < REQUESTS else lines
        return once(request_hash(audit.requests)).n_unique() if 0 < known < REQUESTS else lines
    seen = audit.tally.frame("requests")
    return None if seen.is_empty() else once(seen["hash"]).n_unique()
