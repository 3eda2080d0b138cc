"""What a night is given: stamps ahead of the clock, faults that arrive late, damage, days out of bounds."""

import gzip
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from sdtrace.cli import run
from sdtrace.history import clock
from sdtrace.history.state import opened
from tests.made.night_runs import alarms, document, nightly, nights
from tests.made.nights import Plan, day, write_night

pytestmark = pytest.mark.usefixtures("fifth_night")
FUTURE = 2_000_000_000.0  # 2033-05-18


def stamped(log: Path, at: Any, *, steps: int, to: Path) -> Path:
    """The log with another time at its last steps."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in [x for x in lines if x["kind"] == "step"][-steps:]:
        line["at"] = at
    to.write_text("\n".join(map(json.dumps, lines)))
    return to


# -- the clock


@pytest.mark.slow
def test_a_night_ahead_of_the_clock_is_set_aside(
    tmp_path: Path, logs: list[list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert nightly(tmp_path, logs[0][0]) == 0
    ahead = stamped(logs[1][1], FUTURE, steps=10_000, to=tmp_path / "ahead.jsonl")
    assert nightly(tmp_path, logs[1][0], ahead, "--retention", "3") == 1
    said = capsys.readouterr().err
    assert f"ahead of the clock by more than a day (up to 2033-05-18; this machine says {day(5)}): {ahead}" in said
    assert "--night DATE" in said
    assert nights(tmp_path) == [day(0), day(1)]
    assert nightly(tmp_path, ahead, "--night", day(1)) == 0
    assert nights(tmp_path) == [day(0), day(1)]
    assert document(tmp_path)["history"]["night"] == day(1)


@pytest.mark.slow
def test_a_day_ahead_is_a_night_and_two_are_none(tmp_path: Path, logs: list[list[Path]]) -> None:
    assert nightly(tmp_path, logs[6][0]) == 0
    assert nightly(tmp_path, logs[7][0]) == 1
    assert nights(tmp_path) == [day(6)]


@pytest.mark.one_of(3)
@pytest.mark.parametrize("at", [FUTURE, 1e18, 1e300], ids=str)
def test_one_future_stamp_moves_no_log(
    tmp_path: Path, logs: list[list[Path]], at: float, capsys: pytest.CaptureFixture[str]
) -> None:
    log = stamped(logs[1][0], at, steps=1, to=tmp_path / "log.jsonl")
    assert nightly(tmp_path, log) == 0
    assert nights(tmp_path) == [day(1)]
    assert at > FUTURE or "ahead of the clock" in capsys.readouterr().err  # what no calendar has, the reader leaves out


def test_only_the_future_is_no_night(tmp_path: Path, logs: list[list[Path]]) -> None:
    ahead = stamped(logs[1][0], FUTURE, steps=10_000, to=tmp_path / "ahead.jsonl")
    assert nightly(tmp_path, ahead) == 2
    assert nights(tmp_path) == []


@pytest.mark.slow
def test_a_future_night_that_a_state_holds_neither_blinds_nor_empties_it(
    tmp_path: Path, logs: list[list[Path]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another version, or a clock that was wrong, has let it in."""
    for i in range(3):
        assert nightly(tmp_path, logs[i][0]) == 0
    now = clock.now()
    with monkeypatch.context() as wrong:
        wrong.setattr(clock, "now", lambda: FUTURE)
        ahead = stamped(logs[1][1], FUTURE - 10, steps=10_000, to=tmp_path / "ahead.jsonl")
        assert nightly(tmp_path, ahead) == 0
        assert nights(tmp_path)[-1] == "2033-05-18"
    assert clock.now() == now
    pages = ("-o", tmp_path / "pages")
    assert nightly(tmp_path, logs[3][0], "--retention", "30", *pages) == 0
    assert "ahead of the clock, kept and left out of the history: 2033-05-18" in capsys.readouterr().err
    assert nights(tmp_path) == [day(i) for i in range(4)]
    found = document(tmp_path)["history"]
    assert (found["night"], found["nights"]) == (day(3), 4)
    assert nightly(tmp_path, "--rebuild", "--retention", "2", *pages) == 0
    assert nights(tmp_path) == [day(2), day(3)]
    with opened(tmp_path / "state") as state:
        assert state.every() == [day(2), day(3), "2033-05-18"]
        assert state.audit("2033-05-18") is not None
    # it is counted, and not again
    assert run(["nightly", str(ahead), "--state", str(tmp_path / "state")]) == 0
    assert f"counted already: {ahead}" in capsys.readouterr().err


@pytest.mark.one_of(7)
@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--night", "2033-05-18"), "ahead of the clock"),
        (("--night", day(7)), "ahead of the clock"),
        (("--night", "0001-01-01"), "before 2001"),
        (("--night", "1999-12-31"), "before 2001"),
        (("--night", "20260901"), "no date"),
        (("--night", "2026-W36-2"), "no date"),
        (("--night", "2026-02-30"), "no date"),
        (("--night", "../../x"), "no date"),
        (("--night", ""), "no date"),
        (("--retention", "0"), "--retention"),
        (("--retention", "-3"), "--retention"),
        (("--retention", "99999999999999999999"), "--retention"),
        (("--acknowledge", "cause:x:chat", "--until", "20270101"), "no date"),
        (("--acknowledge", "cause:x:chat", "--until", "soon"), "no date"),
    ],
    ids=" ".join,
)
def test_days_out_of_bounds_are_a_usage_error(
    tmp_path: Path, logs: list[list[Path]], given: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nightly(tmp_path, logs[0][0], *given) == 2
    assert says in capsys.readouterr().err


@pytest.mark.one_of(3)
@pytest.mark.parametrize("given", [(day(0),), (day(6),), ("2001-09-09",)], ids=str)
def test_days_within_bounds_are_nights(tmp_path: Path, logs: list[list[Path]], given: tuple[str]) -> None:
    assert nightly(tmp_path, logs[0][0], "--night", *given, "--retention", "36500") == 0
    assert nights(tmp_path) == list(given)


# -- faults that arrive late


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    plan = Plan(fault=lambda s, i: "lenience-0.7" if s == "code" else None, tested=300)
    return write_night(tmp_path_factory.mktemp("faulty"), 1, plan)


@pytest.mark.slow
def test_a_fault_that_arrives_late_alarms(tmp_path: Path, logs: list[list[Path]], faulty: list[Path]) -> None:
    for i in range(4):
        assert nightly(tmp_path, logs[i][0]) == 0
    assert nightly(tmp_path, faulty[1], "-o", tmp_path / "pages") == 1
    found = document(tmp_path)
    alarm = "cause:lenient-acceptance:code"
    assert found["history"]["night"] == day(3)
    assert [(a["since"], a["side"]) for a in found["history"]["alarms"] if a["id"] == alarm] == [(day(1), "wrong")]
    assert found["verdict"]["state"] == "wrong"
    assert found["verdict"]["headline"].startswith(f"night of {day(1)}, counted late: ")
    assert "counted late" in (tmp_path / "pages" / "latest.html").read_text()
    page = json.loads((tmp_path / "pages" / f"{day(1)}.json").read_text())
    assert alarm in [a["id"] for a in page["history"]["alarms"]]
    # it is news once; what evidence gathers is an alarm of its own
    nightly(tmp_path, faulty[1])
    assert alarm not in alarms(tmp_path)
    assert "counted late" not in document(tmp_path)["verdict"]["headline"]


@pytest.mark.slow
def test_a_fault_of_an_earlier_night_of_one_call_alarms(
    tmp_path: Path, logs: list[list[Path]], faulty: list[Path]
) -> None:
    assert nightly(tmp_path, logs[0][0], faulty[1], logs[2][0]) == 1
    assert document(tmp_path)["history"]["night"] == day(2)


@pytest.mark.slow
def test_data_that_adds_no_fault_to_a_faulty_night_is_no_news(
    tmp_path: Path, logs: list[list[Path]], faulty: list[Path]
) -> None:
    alarm = "cause:lenient-acceptance:code"
    assert nightly(tmp_path, faulty[1]) == 1
    assert alarm in alarms(tmp_path)
    for i in (2, 1):
        nightly(tmp_path, logs[i][0])
        assert alarm not in alarms(tmp_path)


def test_the_clock_of_the_tests_is_one_of_the_programs() -> None:
    assert clock.today() == date.fromisoformat(day(5))
    assert clock.last_night() - clock.today() == timedelta(days=1)


@pytest.mark.one_of(2)
@pytest.mark.parametrize("cut", [0, 8])
def test_a_damaged_night_gathers_no_evidence(cut: int, tmp_path: Path, logs: list[list[Path]]) -> None:
    """What adds up over months is proof in the end: nothing of an input whose checksum is gone goes into it."""
    packed = gzip.compress(logs[0][0].read_bytes())
    (tmp_path / "night.jsonl.gz").write_bytes(packed[: len(packed) - cut])
    assert run(["nightly", str(tmp_path / "night.jsonl.gz"), "--state", str(tmp_path / "state"), "-q"]) == 0
    with opened(tmp_path / "state") as state:
        (record,) = state.records()
    assert [bool(service["evidence"]) for service in record["services"].values()] == [not cut]
    assert all(service["figures"]["steps"] for service in record["services"].values())
