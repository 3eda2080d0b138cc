"""Alarms over months: when each opened, who knew of it, what closed it; and no two sentences about one night contradict each other."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdtrace.history.alarm import VERDICT_OF
from sdtrace.history.alarms import register
from sdtrace.history.notice import notice
from sdtrace.history.overview import Seen, overview
from sdtrace.history.section import trends, with_history
from sdtrace.history.trend import change, series
from sdtrace.render import index
from sdtrace.render import notice as words
from sdtrace.render.sparkline import sparkline
from sdtrace.results.report import Report
from sdtrace.results.words import TITLES, VERDICTS
from tests.made.nights import day

#: What a service did in a night: ran not at all, well, with a fault of a side, with one that is only suspected, or gained little.
DID = ("absent", "sound", "wrong", "slow", "metric", "suspected", "fell")


def record(i: int, did: dict[str, str], version: str = "1") -> dict[str, Any]:
    """A night as the state keeps it."""
    causes: list[dict[str, Any]] = []
    services: dict[str, Any] = {}
    for name, what in did.items():
        if what == "absent":
            continue
        gain = 0.2 if what == "fell" else 1.5 + 0.01 * (i % 3)
        figures = {
            "steps": 900,
            "tokens_per_step": 1 + gain,
            "rate_of_drafted": gain / 4,
            "tokens_per_second": 20.0 + gain,
        }
        services[name] = {
            "fingerprint": version,
            "parts": {"engine_version": version},
            "figures": figures,
            "cells": {},
            "evidence": {},
            "disagree": None,
        }
        if what in ("wrong", "slow", "metric", "suspected"):
            side = "slow" if what == "suspected" else what
            sure = "suspected" if what == "suspected" else "proved"
            cause = {
                "cause": f"{side}-fault",
                "side": side,
                "certainty": sure,
                "service": name,
                "checks": [],
                "evidence": [],
            }
            causes.append(cause | {"headline": f"{side} in {name}", "advice": "look"})
    states = [VERDICT_OF[c["side"]] for c in causes if c["certainty"] == "proved"]
    state = min(states, key=VERDICTS.index) if states else "healthy"
    verdict = {"state": state, "headline": f"night {i}", "not_checked": []}
    return {"night": day(i), "inputs": [], "verdict": verdict, "causes": causes, "services": services}


def history(*did: str, version: str = "") -> list[dict[str, Any]]:
    """Nights of one service; `version` has a digit a night."""
    return [record(i, {"chat": what}, version[i : i + 1] or "1") for i, what in enumerate(did)]


def told(records: list[dict[str, Any]], known: list[dict[str, Any]] | None = None) -> list[tuple[Any, ...]]:
    return [(s.id.partition(":")[0], s.opened, s.last, s.closed, s.by) for s in register(records, known or []).stays]


@pytest.mark.parametrize(
    ("did", "version", "stays"),
    [
        (["sound", "slow", "slow", "sound"], "", [("cause", 1, 2, 3, "fault gone")]),
        (["slow", "sound", "slow"], "", [("cause", 0, 0, 1, "fault gone"), ("cause", 2, 2, None, None)]),
        (["slow", "absent", "slow", "suspected"], "", [("cause", 0, 2, 3, "fault gone")]),
        (["slow", *["absent"] * 27], "", [("cause", 0, 0, None, None)]),
        (["slow", *["absent"] * 28], "", [("cause", 0, 0, 28, "aged out")]),
        (["sound", "sound", "fell"], "", []),
        (["sound", "sound", "sound", "fell", "fell", "sound"], "", [("fall", 3, 4, 5, "fault gone")]),
        (["sound", "sound", "sound", "fell", "sound"], "11112", [("fall", 3, 3, 4, "deploy")]),
        (["sound", "sound", "sound", "fell", "absent", "fell"], "", [("fall", 3, 5, None, None)]),
        (["sound", "sound", "sound", *["fell"] * 27], "", [("fall", 3, 28, 29, "aged out")]),
        (["sound", "sound", "sound", "slow", "sound"], "", [("cause", 3, 3, 4, "fault gone")]),
    ],
)
def test_when_it_opened_and_what_closed_it(did: list[str], version: str, stays: list[tuple[Any, ...]]) -> None:
    records = [record(i, {"chat": what, "code": "sound"}, version[i : i + 1] or "1") for i, what in enumerate(did)]
    nights = [(kind, day(a), day(b), None if c is None else day(c), by) for kind, a, b, c, by in stays]
    assert told(records) == nights


def test_an_acknowledgement_is_part_of_its_stay() -> None:
    records = history("slow", "slow", "sound", "slow")
    known = [{"alarm": "cause:slow-fault:chat", "night": day(1), "until": day(1), "why": "ticket 7"}]
    first, second = register(records, known).stays
    assert first.known == {"night": day(1), "until": day(1), "why": "ticket 7"}
    assert second.known is None
    page = index.page(records, [], _document(records, known), (), register(records, known).stays).decode()
    assert f"until {day(1)}: ticket 7" in page
    assert [a.until for a in register(records[:2], known).standing] == [day(1)]


def test_a_fallen_night_is_no_part_of_a_baseline() -> None:
    records = history("sound", "sound", "sound", "fell", "sound")
    found = change(series(records, "chat", "tokens_per_step"))
    assert found.left_out == (day(3),)
    assert found.baseline == pytest.approx(2.51)


def _document(records: list[dict[str, Any]], known: list[dict[str, Any]]) -> dict[str, Any]:
    verdict = records[-1]["verdict"]
    return with_history(Report({"verdict": verdict, "history": None}, [], []), records, known).document


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Nights of two services, and what is acknowledged."""
    nights = draw(st.integers(1, 9))
    did = draw(st.lists(st.tuples(*(st.sampled_from(DID) for _ in range(2))), min_size=nights, max_size=nights))
    versions = draw(st.lists(st.sampled_from("1112"), min_size=nights, max_size=nights))
    records = [
        record(i, {"chat": "sound" if one == other == "absent" else one, "code": other}, versions[i])
        for i, (one, other) in enumerate(did)
    ]
    ids = [f"cause:{side}-fault:chat" for side in ("wrong", "slow")] + ["fall:tokens_per_step:chat"]
    names = draw(st.lists(st.sampled_from(ids), max_size=2, unique=True))
    known = [{"alarm": name, "night": day(0), "until": day(draw(st.integers(0, 9))), "why": "known"} for name in names]
    return records, known


@pytest.mark.slow
@settings(max_examples=60)
@given(made=histories())
def test_no_two_sentences_about_one_night_contradict_each_other(made: tuple[Any, Any]) -> None:
    records, known = made
    alarms, document = register(records, known), _document(records, known)
    night, verdict, standing = records[-1]["night"], document["verdict"], document["history"]["alarms"]
    rows = overview(records, document, alarms.stays)
    here = [row for row in rows if row.service in records[-1]["services"]]
    worst = min((VERDICTS.index(row.state) for row in here if row.state), default=len(VERDICTS))
    assert worst == VERDICTS.index(verdict["state"]), "the page and its rows say the same"
    for alarm in standing:
        assert alarm["until"] is not None or VERDICTS.index(verdict["state"]) <= VERDICTS.index(alarm["side"])
        open_ = [s for s in alarms.stays if s.id == alarm["id"] and s.closed is None]
        assert [(s.opened, s.last) for s in open_] == [(alarm["since"], night)]
    for one in alarms.stays:
        assert one.opened <= one.last < (one.closed or "9")
        assert not [s for s in alarms.stays if s.id == one.id and s.opened > one.opened and one.closed is None]
    for row in here:
        ended = [s.closed for s in alarms.stays if s.service == row.service and s.closed is not None]
        assert row.since <= night
        assert row.state != "healthy" or row.since >= max(ended, default="")
        assert row.state != "healthy" or not [a for a in standing if a["service"] == row.service and a["until"] is None]
    news = notice(records, document, known)
    assert not {a.id for a in news.opened} & {s.id for s in news.closed}
    assert {a.id for a in news.opened} <= {a["id"] for a in standing}
    assert not {s.id for s in news.closed} & {a["id"] for a in standing}
    assert ("no change" in words.subject(news)) == (not news.opened and not news.closed)
    assert TITLES[verdict["state"]].upper() in words.subject(news)
    assert news.active == sum(a["until"] is None for a in standing)
    page = index.page(records, trends(records), document, rows, alarms.stays).decode()
    assert ("No active alarms." in page) == (not standing)
    states = re.findall(r'<td class="n">([a-z][^<]*)</td><td>(?:chat|code)', page)
    assert len(states) == len(alarms.stays)
    assert states.count("open") == news.active, "the list of alarms and their history say the same"
    assert sum(state.startswith("acknowledged") for state in states) == news.known
    assert re.findall(rf'class="tone-([\w-]+)" href="{night}\.html" title', page) == [verdict["state"]]


def test_a_sparkline_is_text_and_gaps() -> None:
    points = [Seen(day(i), value, i == 3) for i, value in ((0, 2.0), (1, 2.1), (3, 1.0), (4, None), (6, 2.0))]
    drawn = str(sparkline(points, "<b>\x1b", " tokens/s"))
    assert "<b>" not in drawn
    assert "\x1b" not in drawn
    assert drawn.count("<path") == 1
    assert drawn.count('class="alone"') == 2
    assert "4 nights" in drawn
    assert "3 nights without it" in drawn
    assert f"with a fault: {day(3)}" in drawn
    assert "not recorded" in str(sparkline([Seen(day(0), None, False)], "speed", ""))
    one = str(sparkline([Seen(day(0), 1.0, False)], "speed", ""))
    assert "1 night to" in one
    assert "nan" not in one
