"""Chrome trace events: spans inside their step, microseconds, names of requests only where they are asked for."""

import json
from pathlib import Path
from typing import Any

import pytest

from sdtrace.cli import run

SAMPLES = Path(__file__).resolve().parents[2] / "sample_logs"
RUN = {"kind": "run", "format": 1, "engine": "vllm", "engine_version": "0.33.0", "method": "eagle3"}


def step(request: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "kind": "step",
        "request_id": request,
        "step": number,
        "draft_token_ids": [777001, 777002],
        "num_accepted": 1,
    } | more


def events(rows: list[dict[str, Any]], tmp_path: Path, *flags: str) -> list[dict[str, Any]]:
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [RUN, *rows]))
    assert run(["convert", str(tmp_path / "t.jsonl"), "--chrome", str(tmp_path / "c.json"), *flags]) == 0
    document = json.loads((tmp_path / "c.json").read_text())
    assert document["displayTimeUnit"] == "ms"
    found: list[dict[str, Any]] = document["traceEvents"]
    return found


def checked(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The spans, which are those of the format: known phases, numbers of process and thread, no span across the end of another."""
    assert {e["ph"] for e in found} <= {"M", "X", "i"}
    assert all(isinstance(e["pid"], int) and isinstance(e["tid"], int) and e["name"] for e in found)
    spans = [e for e in found if e["ph"] == "X"]
    assert all(e["ts"] >= 0 and e["dur"] >= 0 for e in spans)
    for thread in {(e["pid"], e["tid"]) for e in spans}:
        mine = sorted((e["ts"], -e["dur"]) for e in spans if (e["pid"], e["tid"]) == thread)
        open_: list[float] = []
        for begin, minus in mine:
            while open_ and open_[-1] <= begin + 0.002:
                open_.pop()
            assert not open_ or begin - minus <= open_[-1] + 0.002
            open_.append(begin - minus)
    return spans


def test_parts_stand_in_their_step_one_behind_the_other(tmp_path: Path) -> None:
    rows = [
        step("secret-name", 0, at=100.0, step_ms=10, draft_ms=2, verify_ms=6, sample_ms=1),
        step("secret-name", 1, at=100.5, step_ms=5, verify_ms=9),
    ]
    found = events(rows, tmp_path)
    spans = [(e["name"], e["ts"], e["dur"]) for e in checked(found)]
    assert spans == [
        ("step 0", 0.0, 10_000.0),
        ("draft", 0.0, 2_000.0),
        ("verify", 2_000.0, 6_000.0),
        ("sample", 8_000.0, 1_000.0),
        ("step 1", 500_000.0, 5_000.0),
        ("verify", 500_000.0, 5_000.0),  # what overlaps is cut; the recorded time is beside it
    ]
    assert found[-1]["args"] == {"ms": 9.0}
    (first,) = [e for e in found if e["name"] == "step 0"]
    assert (first["args"]["drafted"], first["args"]["accepted"]) == (2, 1)
    names = {e["name"]: e["args"]["name"] for e in found if e["ph"] == "M"}
    assert names["process_name"] == "vllm 0.33.0 eagle3"
    assert names["thread_name"].startswith("request-")


@pytest.mark.slow
def test_no_name_no_token_unless_it_is_asked_for(tmp_path: Path) -> None:
    rows = [
        {"kind": "request", "request_id": "secret-name", "tags": {"user": "secret-tag"}},
        step("secret-name", 0, at=1.0, step_ms=1),
    ]
    events(rows, tmp_path)
    text = (tmp_path / "c.json").read_text()
    assert "secret" not in text
    assert "77700" not in text
    events(rows, tmp_path, "--content", "ids")
    text = (tmp_path / "c.json").read_text()
    assert "secret-name" in text
    assert "secret-tag" not in text


@pytest.mark.one_of(2)
@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        (
            [step("a", 0, verify_ms=2), step("a", 1, verify_ms=3)],
            [("step 0", 0.0), ("verify", 0.0), ("step 1", 2000.0), ("verify", 2000.0)],
        ),
        ([step("a", 0, at=5.0, step_ms=2000), step("a", 1, at=6.0, step_ms=10)], [("step 0", 0.0), ("step 1", 1e6)]),
        ([step("a", 0, at=5.0), step("a", 1, at=6.0, step_ms=10)], [("step 1", 1e6)]),
    ],
    ids=["no clock", "steps that overlap", "a time and no duration"],
)
def test_what_is_not_recorded(rows: list[dict[str, Any]], wanted: list[tuple[str, float]], tmp_path: Path) -> None:
    assert [(e["name"], e["ts"]) for e in checked(events(rows, tmp_path))] == wanted


@pytest.mark.slow
def test_a_recorded_trace_nests(tmp_path: Path) -> None:
    out = tmp_path / "c.json"
    assert run(["convert", str(SAMPLES / "transformers-sampled.jsonl.gz"), "--chrome", str(out)]) == 0
    spans = checked(json.loads(out.read_text())["traceEvents"])
    assert {"draft", "step 0"} <= {e["name"] for e in spans}


@pytest.mark.slow
def test_nothing_to_draw_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("paper-case.csv", "engines/vllm.log"):
        assert run(["convert", str(SAMPLES / name), "--chrome", str(tmp_path / "c.json")]) == 3
        assert "nothing can be drawn" in capsys.readouterr().err
    assert not (tmp_path / "c.json").exists()
