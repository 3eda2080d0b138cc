"""A Grafana dashboard: one row an engine, the same figures as the alerts, and what `sdtrace nightly` left in the textfile."""

import hashlib
from collections.abc import Iterator, Sequence

import orjson

from sdtrace.render.boards import figures
from sdtrace.render.boards.figures import ENGINES, Engine, Names
from sdtrace.schema.json_values import Json

#: Version of the schema that Grafana 10 and newer read without migration.
SCHEMA = 39
_WINDOW = "$__rate_interval"
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
#: Width and height of a panel in Grafana's grid of 24 columns.
_WIDE, _HIGH = 8, 8


def dumps(names: Names, engines: Sequence[Engine] = ENGINES) -> bytes:
    """The dashboard as JSON, to be imported or provisioned. The same bytes for the same arguments."""
    return orjson.dumps(board(names, engines), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def board(names: Names, engines: Sequence[Engine] = ENGINES) -> Json:
    """The dashboard's document."""
    rows = [("Nights (sdtrace nightly --prometheus)", list(_nights()))]
    rows += [(engine.name, list(_panels(names, engine))) for engine in engines]
    uid = hashlib.sha256(repr((names, [e.name for e in engines])).encode()).hexdigest()[:12]
    return {
        "uid": f"sdtrace-{uid}",
        "title": "Speculative decoding",
        "tags": ["llm", "speculative-decoding", "sdtrace"],
        "schemaVersion": SCHEMA,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource()]},
        "panels": list(_placed(rows)),
    }


def _datasource() -> Json:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _placed(rows: Sequence[tuple[str, list[Json]]]) -> Iterator[Json]:
    """Panels of each row side by side, three to a line."""
    top, number = 0, 0
    for title, panels in rows:
        number += 1
        grid = {"h": 1, "w": 24, "x": 0, "y": top}
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": grid, "panels": []}
        top += 1
        for i, panel in enumerate(panels):
            number += 1
            across = 24 // _WIDE
            place = {"h": _HIGH, "w": _WIDE, "x": i % across * _WIDE, "y": top + i // across * _HIGH}
            yield {"id": number, **panel, "gridPos": place}
        top += -(-len(panels) // (24 // _WIDE)) * _HIGH


def _panels(names: Names, engine: Engine) -> Iterator[Json]:
    told = [
        (
            "Tokens per drafting step",
            "1 + accepted / drafts. 1.00 gains nothing; below about 1.15 drafting costs more than it gains.",
            figures.tokens_per_step(names, engine, _WINDOW),
            "short",
        ),
        (
            "Accepted of drafted tokens",
            "Near 0: drafter or state broken. Near 100%: forced acceptance, or copied text.",
            figures.acceptance(names, engine, _WINDOW),
            "percentunit",
        ),
        (
            "Accepted by position",
            "Share of drafting steps that accept the draft token of this position. A position that is always 0 is dead.",
            figures.accepted_at(names, engine, _WINDOW),
            "percentunit",
        ),
        (
            "Draft tokens per step",
            "Falls where the engine shortens or drops drafts by load.",
            figures.draft_length(names, engine, _WINDOW),
            "short",
        ),
        ("Generated tokens per second", "", _rate(names, engine, engine.emitted), "short"),
        ("Drafting steps per second", "", _rate(names, engine, engine.drafts), "short"),
        ("Running requests", "", engine.running and names.of(engine, engine.running), "short"),
        ("Waiting requests", "", engine.waiting and names.of(engine, engine.waiting), "short"),
        ("KV cache in use", "", engine.kv_usage and names.of(engine, engine.kv_usage), "percentunit"),
    ]
    for title, says, expr, unit in told:
        if expr:
            yield _chart(title, says, expr, unit, f" position {{{{{engine.label}}}}}" if "position" in title else "")


def _rate(names: Names, engine: Engine, bare: str | None) -> str | None:
    return f"rate({names.of(engine, bare)}[{_WINDOW}])" if bare else None


def _nights() -> Iterator[Json]:
    verdict = "max by (state) (sdtrace_verdict) == 1"
    yield _panel("stat", "Verdict of the last night", "", verdict, "short", "{{state}}") | {
        "options": {"textMode": "name", "reduceOptions": {"calcs": ["lastNotNull"]}}
    }
    yield _panel("stat", "Active alarms", "", "sum(sdtrace_alarm) or vector(0)", "short", "")
    yield _chart(
        "Accepted of drafted tokens by night",
        "At the service's usual mix of traffic.",
        'sdtrace_service_figure{figure="rate_of_drafted"}',
        "percentunit",
        "",
    )


def _chart(title: str, says: str, expr: str, unit: str, also: str) -> Json:
    return _panel("timeseries", title, says, expr, unit, "{{service}}{{job}} {{instance}} {{engine}}" + also)


def _panel(kind: str, title: str, says: str, expr: str, unit: str, legend: str) -> Json:
    axis = {"min": 0} | ({"max": 1} if unit == "percentunit" else {})
    return {
        "type": kind,
        "title": title,
        "description": says,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "decimals": 2, **axis}, "overrides": []},
        "targets": [{"refId": "A", "datasource": _SOURCE, "expr": expr, "legendFormat": legend}],
    }
