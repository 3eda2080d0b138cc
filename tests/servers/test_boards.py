"""Prometheus' own tool judges the alert rules: each fires on the series of its fault, none on those of a healthy engine."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sdtrace.history.usual import Usual
from sdtrace.render.boards import dashboard, rules
from sdtrace.render.boards.figures import ENGINES, Engine, Names
from tests.made.alert_worlds import FAULTS, HEALTHY, World
from tests.made.promtool import fired, needs_promtool

#: Samples of a made history, one in five minutes: a day and two hours, and what follows.
EVERY, DAY, AFTER = 5, 26 * 12, 18


#: Every rule over an engine's metrics.
RULES = [(e, r.alert) for e in ENGINES for r in rules.groups(Names(), [e])[f"speculation-{e.name}"]]


def made(names: Names, engine: Engine, world: World) -> list[dict[str, str]]:
    """The series of four instances of an engine, four draft tokens a step."""
    found = []

    def line(bare: str | None, instance: str, values: str) -> None:
        if bare:
            name = Names(names.ray).of(engine, bare)
            found.append({"series": f'{name}{{job="llm",instance="{instance}"}}', "values": values})

    for instance in "abcd":
        changed = not world.only or instance == world.only
        then, drafted = (world.then, world.then_drafted) if changed else (world.rate, world.drafted)

        def counter(before: float, after: float) -> str:
            return f"0+{before:g}x{DAY} {before * DAY + after:g}+{after:g}x{AFTER}"

        line(engine.drafted, instance, counter(world.drafted, drafted))
        line(engine.drafts, instance, counter(world.drafted / 4, drafted / 4))
        line(engine.accepted, instance, counter(world.drafted * world.rate, drafted * then))
        line(engine.emitted, instance, counter(2500, 2500))
        line(engine.length, instance, f"{1 + 4 * world.rate:g}x{DAY} {1 + 4 * then:g}x{AFTER}")
        line(engine.rate, instance, f"{world.rate:g}x{DAY} {then:g}x{AFTER}")
        line(engine.running, instance, f"4x{DAY + AFTER}")
    return found


def firing(names: Names, engine: Engine, world: World, tmp_path: Path, usual: Usual | None = None) -> set[str]:
    """The alerts of an engine's rules that fire at the end of its history."""
    wanted = [r.alert for group in rules.groups(names, [engine], usual).values() for r in group]
    text = rules.dumps(names, [engine], usual)
    return fired(text, wanted, made(names, engine, world), EVERY, EVERY * (DAY + AFTER - 1), tmp_path)


@needs_promtool
@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.name)
def test_no_rule_fires_on_a_healthy_engine(engine: Engine, tmp_path: Path) -> None:
    assert firing(Names(), engine, HEALTHY, tmp_path) == set()


@needs_promtool
@pytest.mark.parametrize(("engine", "alert"), RULES, ids=[f"{e.name}-{alert}" for e, alert in RULES])
def test_each_rule_fires_on_its_fault(engine: Engine, alert: str, tmp_path: Path) -> None:
    found = firing(Names(), engine, FAULTS[alert], tmp_path)
    assert alert in found, (alert, found)
    assert found <= {alert, "SpeculationAcceptanceFell", "SpeculationDoesNotPay"}, (alert, found)


@needs_promtool
def test_rules_behind_ray_for_one_job_and_from_the_history(tmp_path: Path) -> None:
    names = Names(ray=True, match='job="llm"')
    usual = Usual("chat", 0.6, 0.01, 9)
    assert firing(names, ENGINES[0], HEALTHY, tmp_path, usual) == set()
    assert firing(names, ENGINES[0], World(rate=0.5, then=0.5), tmp_path, usual) == {"SpeculationAcceptanceFell"}
    assert firing(Names(match='job="other"'), ENGINES[0], FAULTS["SpeculationAcceptsNothing"], tmp_path) == set()


@needs_promtool
def test_the_rules_of_every_engine_are_rules(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(rules.dumps(Names()))
    subprocess.run(["promtool", "check", "rules", str(tmp_path / "rules.yml")], check=True, capture_output=True)


def test_grafanas_own_types_take_the_dashboard() -> None:
    """The model that Grafana Labs generates from the schema of dashboards reads it, and writes back what was read."""
    models = pytest.importorskip("grafana_foundation_sdk.models.dashboard", reason="pip install grafana-foundation-sdk")
    board: dict[str, Any] = json.loads(dashboard.dumps(Names()))
    back = models.Dashboard.from_json(board).to_json()
    for key in ("title", "uid", "schemaVersion", "tags"):
        assert back[key] == board[key]
    read = [panel if isinstance(panel, dict) else panel.to_json() for panel in back["panels"]]
    assert [p["title"] for p in read] == [p["title"] for p in board["panels"]]
