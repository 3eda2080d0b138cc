"""A sampler that lost its temperature: one incident with one root, on every page, and a comparison that proves the repair."""

import re
from pathlib import Path

import pytest

from sdtrace.api import diff, report
from sdtrace.api.typed_report import Report
from sdtrace.render import difference, html, terminal
from tests.made.told import contradictions, impossible
from tests.model.conftest import World
from tests.model.engine import LOST, Asked, record

REQUESTS = 10


@pytest.fixture(scope="module")
def traces(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("incident")
    how = (world.target, world.draft, Asked(0.8))
    wrong, sound = (
        record(folder / name, *how, name, requests=REQUESTS, tokens=60, began=1.7e9) for name in (LOST, "healthy")
    )
    return wrong, sound


@pytest.fixture(scope="module")
def found(traces: tuple[Path, Path]) -> Report:
    return report(traces[0])


def test_one_incident_with_its_root(found: Report) -> None:
    document = found.document
    incident, causes = document["incident"], [c["cause"] for c in document["causes"]]
    assert incident["root"] == causes[0] == "invalid-probabilities"
    assert len(causes) > 1
    assert sorted(incident["consequences"]) == sorted(causes[1:])
    assert incident["from_start"]
    assert incident["affected"]["requests"] == incident["of"]["requests"] == REQUESTS
    assert incident["affected"]["steps"] == incident["of"]["steps"]
    assert document["tuning"] is None
    assert document["verdict"]["state"] == "wrong"


def test_the_pages_of_it(found: Report) -> None:
    first = terminal.summary(found, width=80, color=False).splitlines()[:24]
    assert first[0].startswith("WRONG")
    assert "invalid probabilities" in " ".join(first[:2])
    impact = next(line for line in first if line.startswith("impact"))
    assert f"{REQUESTS} of {REQUESTS} requests" in impact
    for name in ("since", "signs", "next"):
        assert any(line.startswith(name) for line in first), name
    assert "since    the start of the record, first seen 2023-11-14 22:13:20 UTC, to its end" in first
    page = html.page(found).decode()
    assert page.count('<article class="cause"') == 1
    assert "Recommended settings" not in page
    assert contradictions(found) == []
    assert impossible(found) == []


def test_the_repair_is_proved(traces: tuple[Path, Path], found: Report) -> None:
    change = diff(*traces)
    fates = {row["cause"]: row["change"] for row in change.document["diff"]["causes"]}
    assert set(fates) >= {c["cause"] for c in found.document["causes"] if c["side"] == "wrong"}
    assert set(fates.values()) == {"fixed"}
    assert change.document["diff"]["answer"] == "improved"
    said = difference.summary(change, width=80, color=False)
    for cause in fates:
        assert re.search(rf"FIXED +{cause}", said)
