"""Boards and alerts: metrics that the reader knows, panels that do not overlap, options that are checked."""

import json
import re
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from sdtrace.cli import run
from sdtrace.history.usual import FEWEST, Usual, usual
from sdtrace.readers.metrics.series import wanted
from sdtrace.render.boards import dashboard, rules
from sdtrace.render.boards.figures import ENGINES, Names


def expressions(names: Names) -> list[str]:
    panels = dashboard.board(names)["panels"]
    told = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    return told + [rule.expr for group in rules.groups(names).values() for rule in group]


@pytest.mark.parametrize("ray", [False, True], ids=["plain", "ray"])
def test_every_metric_is_one_that_is_read(ray: bool) -> None:
    known = re.compile(r"\b(?:ray_)?(?:vllm|sglang|trtllm|llamacpp|lmdeploy|tokenspeed)[:_]\w+")
    found = {name for expr in expressions(Names(ray)) for name in known.findall(expr)}
    assert len(found) > 25
    for name in found:
        assert name.startswith("ray_") == ray
        assert wanted(name) is not None or name.endswith("generation_tokens_total"), name


def test_a_match_stands_at_every_metric() -> None:
    for expr in expressions(Names(match='job="a"')):
        if "sdtrace" not in expr:
            assert len(re.findall(r"[:_]\w+\{", expr)) == expr.count('{job="a"}') > 0


def test_panels_fill_the_grid_without_overlap() -> None:
    board: dict[str, Any] = json.loads(dashboard.dumps(Names()))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert sum(panel["type"] == "row" for panel in board["panels"]) == len(ENGINES) + 1


NUMBERS = count()


def night(rate: float | None, *blamed: str, certainty: str = "proved") -> dict[str, Any]:
    causes = [{"certainty": certainty, "service": service} for service in blamed]
    chat = {"fingerprint": "1", "figures": {"rate_of_drafted": rate}}
    return {"night": f"night {next(NUMBERS)}", "causes": causes, "services": {"chat": chat}}


def test_usual_leaves_bad_nights_out() -> None:
    """Median of .60 .61 .62 .63 .64 is .62, its MAD .01: least is min(.62 - 3 * 1.4826 * .01, .9 * .62) = .558."""
    sound = [night(r) for r in (0.60, 0.61, 0.62, 0.63, 0.64)]
    found = usual([*sound, night(0.05, "chat"), night(0.1, ""), night(None)], "chat")
    assert found is not None
    assert (found.median, found.nights) == (0.62, 5)
    assert found.scatter == pytest.approx(0.014826)
    assert found.least == pytest.approx(0.558)
    assert usual(sound[: FEWEST - 1], "chat") is None
    assert usual(sound, "other") is None
    told = [night(0.6, "code"), night(0.6, "chat", certainty="suspected")]
    assert getattr(usual([*sound, *told], "chat"), "nights", None) == 7, "another's fault, and one that is not sure"
    assert "< 0.558 and" in rules.dumps(Names(), ENGINES[:1], Usual("chat", 0.62, 0.014826, 5))


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["alerts", "--engine", "tgi"], "--engine tgi: no metrics of it are known"),
        (["grafana", "--match", "job=vllm"], "not a list of label matchers"),
        (["alerts", "--match", 'a="b"} or {c="d"'], "not a list of label matchers"),
        (["alerts", "--state", "STATE"], "STATE"),
    ],
)
def test_what_is_not_understood_is_refused(
    command: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [part.replace("STATE", str(tmp_path / "none")) for part in command]
    assert run([*command, "-o", str(tmp_path / "out")]) in (2, 3)
    assert says.replace("STATE", str(tmp_path / "none")) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["alerts", "grafana"])
def test_the_same_bytes_to_a_file_and_to_standard_output(
    verb: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    out = tmp_path / "board"
    assert run([verb, "--engine", "vllm", "-o", str(out)]) == 0
    assert b"board: " in capfdbinary.readouterr().err, "what to do with the file"
    assert run([verb, "--engine", "vllm"]) == 0
    assert capfdbinary.readouterr().out == out.read_bytes()


@pytest.mark.slow
def test_thresholds_from_a_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state, log = tmp_path / "state", tmp_path / "engine.log"
    for day in range(1, FEWEST + 1):
        lines = [
            f"INFO 11-0{day} 10:{minute:02d}:00 [metrics.py:101] SpecDecoding metrics: Mean acceptance length: 2.80, "
            "Accepted throughput: 60.00 tokens/s, Drafted throughput: 100.00 tokens/s, Accepted: 600 tokens, "
            "Drafted: 1000 tokens, Per-position acceptance rate: 0.800, 0.600, 0.400, Avg Draft acceptance rate: 60.0%"
            for minute in range(10)
        ]
        log.write_text("\n".join(lines) + "\n")
        assert run(["nightly", str(log), "--state", str(state), "--night", f"2026-11-0{day}", "-q"]) == 0
    capsys.readouterr()
    assert run(["alerts", "--engine", "vllm", "--state", str(state)]) == 0
    assert "< 0.54 and" in capsys.readouterr().out
    assert run(["alerts", "--state", str(state), "--service", "other"]) == 2
    assert "no service 'other'" in capsys.readouterr().err
