"""Evidence that may be handed on: it judges as the original does, and holds nothing that can be read back."""

import json
import re
import zipfile
from pathlib import Path

import pytest

from sdtrace import report
from sdtrace.cli import run
from tests.made.canaries import TEXT, TOKEN, canary_trace
from tests.made.simulate import Scenario, Shape, documented, simulate


def bundle(trace: Path, out: Path, *flags: str) -> dict[str, bytes]:
    assert run(["bundle", str(trace), "-o", str(out), *flags]) == 0
    with zipfile.ZipFile(out) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.slow
def test_a_bundle_judges_as_its_trace(tmp_path: Path) -> None:
    trace = simulate(Scenario(fault="lenience-0.7", shape=Shape(tested=300))).write(tmp_path / "trace.jsonl")
    packed = json.loads(bundle(trace, tmp_path / "b.zip")["report.json"])
    whole, again = report(trace).document, report(tmp_path / "b.zip").document
    assert again["causes"][0]["cause"] == whole["causes"][0]["cause"] == "lenient-acceptance"
    assert [c["cause"] for c in packed["causes"]] == [c["cause"] for c in whole["causes"]]
    assert packed["audit"] == whole["audit"]
    first, second = (d["causes"][0]["evidence"][0] for d in (packed, again))
    assert {k: first[k] for k in ("request_id", "step", "position", "r")} == {
        k: second[k] for k in ("request_id", "step", "position", "r")
    }
    assert str(tmp_path / "b.zip") in second["command"]
    (tmp_path / "again").mkdir()
    bundle(trace, tmp_path / "again" / "b.zip")
    assert (tmp_path / "again" / "b.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.one_of(5)
@pytest.mark.parametrize("fault", ["greedy-flips", "past-stop", "loop-3", "prefix-differs", "recovered-p-minus-x"])
def test_renumbered_ids_tell_as_much(fault: str, tmp_path: Path) -> None:
    """Checks that compare ids, with stop ids and repetitions, find in the bundle what they find in the trace."""
    scenario = Scenario(fault=fault)
    bundle(simulate(scenario).write(tmp_path / "trace.jsonl"), tmp_path / "b.zip")
    expected = documented(scenario)["causes"][0]["cause"]
    assert expected in {c["cause"] for c in report(tmp_path / "b.zip").document["causes"]}


SECRET = "CANARY"
PEOPLE = ("/home/CANARYa/models/m", "C:\\Users\\CANARYb\\m", "/Users/CANARYc/m", "file:///home/CANARYd/m")


def personal_trace(folder: Path) -> Path:
    """A trace in which people and secrets stand wherever a recorder or an engine may write them."""

    def marked(run: dict, requests: list, steps: list, rng: object) -> None:
        run.update(
            target_model=PEOPLE[0], draft_model=PEOPLE[1], engine_version=f"1 from {PEOPLE[2]}", CANARYkey="CANARY"
        )
        run["config"] = {"CANARYname": "CANARYvalue", "gpu": f"A100 {PEOPLE[3]}", "dtype": {"CANARY": 1}}
        run["rule_params"] = {"CANARYparam": 1, "lenience": 0.7}
        for one in [*requests, *steps]:
            one["request_id"] = f"CANARY-{one['request_id']}"
        for request in requests:
            request.update(tags={"CANARYtag": "CANARY", "task": "CANARYtask"}, user="CANARY")

    folder.mkdir(parents=True)
    return simulate(Scenario(fault="lenience-0.7", shape=Shape(tested=300), edit=marked)).write(folder / "t.jsonl")


@pytest.mark.slow
def test_no_person_in_a_bundle(tmp_path: Path) -> None:
    """Neither ids of requests, names of users, tags, nor what the format does not know."""
    trace = personal_trace(tmp_path / "home" / "CANARYe" / "logs")
    packed = bundle(trace, tmp_path / "b.zip")
    for name, data in packed.items():
        assert SECRET.encode() not in data, name
    rows = [json.loads(x) for x in packed["trace.jsonl"].splitlines()]
    ids = {row["request_id"] for row in rows if "request_id" in row}
    assert len(ids) > 1
    assert all(re.fullmatch("request-[0-9a-f]{12}", one) for one in ids)
    evidence = json.loads(packed["report.json"])["causes"][0]["evidence"]
    assert {row["request_id"] for row in evidence if "request_id" in row} <= ids
    assert rows[0]["rule_params"] == {"lenience": 0.7}
    asked = bundle(trace, tmp_path / "ids.zip", "--content", "ids")
    assert b"CANARY-r-0" in asked["trace.jsonl"]


@pytest.mark.slow
def test_no_content_in_a_bundle_unless_asked(tmp_path: Path) -> None:
    trace = canary_trace(tmp_path / "trace.jsonl")
    for data in bundle(trace, tmp_path / "b.zip").values():
        assert TEXT.encode() not in data
        assert not TOKEN.search(data.replace(b",", b" "))
    requests = [json.loads(x) for x in bundle(trace, tmp_path / "b.zip")["trace.jsonl"].splitlines()]
    assert not any(r.keys() & {"tags", "prompt_token_ids"} for r in requests)
    asked = bundle(trace, tmp_path / "ids.zip", "--content", "ids")
    assert TOKEN.search(asked["trace.jsonl"].replace(b",", b" "))
    assert TEXT.encode() not in b"".join(asked.values())


@pytest.mark.slow
def test_other_zips_and_damaged_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("a.txt", "x")
    assert run(["report", str(other)]) == 3
    assert "no bundle of sdtrace" in capsys.readouterr().err
    trace = simulate(Scenario(fault="lenience-0.7", shape=Shape(tested=300))).write(tmp_path / "trace.jsonl")
    bundle(trace, tmp_path / "b.zip")
    data = (tmp_path / "b.zip").read_bytes()
    for end in (10, len(data) // 2, len(data) - 5):
        (tmp_path / "cut.zip").write_bytes(data[:end])
        assert run(["report", str(tmp_path / "cut.zip")]) == 3
    spoiled = bytearray(data)
    spoiled[-len(data) // 3 :: 7] = b"\x55" * len(spoiled[-len(data) // 3 :: 7])
    (tmp_path / "spoiled.zip").write_bytes(bytes(spoiled))
    assert run(["report", str(tmp_path / "spoiled.zip")]) in (0, 1, 3)
    assert "Traceback" not in capsys.readouterr().err
