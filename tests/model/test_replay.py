"""The whole replay over traces of an engine that is really wrong, and of one that is not."""

import gzip
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch

from sdtrace.api import replay, report
from sdtrace.cli import run
from tests.model import engine
from tests.model.conftest import World
from tests.model.engine import Asked, record

EVERYTHING = Asked(temperature=0.7, top_k=60, top_p=0.9, repetition=1.2)

CAUSES = {
    **dict.fromkeys(engine.PARAMETERS, "sampling-params-ignored"),
    **dict.fromkeys(engine.CACHES, "state-not-rolled-back"),
    **dict.fromkeys(engine.POSITIONS, "position-off-by-one"),
    "row-before": "misaligned-target-probs",
    "first-token-dropped": "verifier-differs",
    "precision-bfloat16": "verifier-differs",
    "quantised-Q4_0": "verifier-differs",
}


def edited(folder: Path, change: Any) -> str:
    """The trace in `folder` with every line changed, as a file beside it."""
    out = folder.with_suffix(".jsonl")
    lines = [line for file in sorted(folder.glob("*.jsonl")) for line in file.read_bytes().splitlines()]
    out.write_bytes(b"\n".join(orjson.dumps(change(orjson.loads(line))) for line in lines) + b"\n")
    return str(out)


@pytest.mark.parametrize("asked", [EVERYTHING, Asked(1.0), Asked(0.0), Asked(0.6, top_p=0.8)])
def test_a_sound_engine_is_not_accused(world: World, tmp_path: Path, asked: Asked) -> None:
    trace = record(tmp_path / "t", world.target, world.draft, asked)
    document = replay(trace, verifier=world.verifier, drafter=world.drafter).document
    found = document["replay"]
    base = report(trace).document["verdict"]["state"]
    assert document["verdict"]["state"] == base != "wrong"
    assert [cause for cause in document["causes"] if cause["side"] == "wrong"] == []
    assert not any("whether p is the target" in note for note in document["verdict"]["not_checked"])
    assert found["log_p"]["outside_band"] == 0
    assert found["log_p"]["median"] < 1e-5
    assert found["decisions"]["disagree"] == 0
    assert found["named"] is None
    if asked.temperature:
        assert found["emitted_under_p"]["p_value"] > 1e-3
        assert found["draft"]["median"] < 1e-5
        assert found["draft"]["impossible"] == 0
        assert found["log_p"]["logit_slope"] == pytest.approx(1.0, abs=0.01)
    else:
        assert found["greedy"]["wrong"] == 0
        assert found["greedy"]["tokens"] >= 160


@pytest.mark.parametrize("fault", CAUSES)
def test_the_right_way_to_be_wrong_is_named(world: World, tmp_path: Path, fault: str) -> None:
    trace = record(tmp_path / "t", world.target, world.draft, EVERYTHING, fault)
    document = replay(trace, verifier=world.verifier).document
    assert document["replay"]["named"] == fault
    cause = document["causes"][0]
    assert cause["cause"] == CAUSES[fault]
    assert document["verdict"]["state"] == "wrong"
    assert cause["certainty"] in ("proved", "statistical")
    assert cause["evidence"][0]["command"].startswith("sdtrace explain")
    if CAUSES[fault] == "state-not-rolled-back":
        assert "from the step after a rejection on" in cause["headline"]
        assert all(row["after_rejection_at_step"] == row["step"] - 1 for row in cause["evidence"])


def test_a_damaged_trace_is_no_proof(world: World, tmp_path: Path) -> None:
    """All of the text is there, but not the sum that proves it."""
    trace = record(tmp_path / "t", world.target, world.draft, EVERYTHING, "first-token-dropped")
    damaged = tmp_path / "damaged.jsonl.gz"
    damaged.write_bytes(gzip.compress(Path(edited(Path(trace), dict)).read_bytes())[:-8])
    document = replay(damaged, verifier=world.verifier).document
    cause = document["causes"][0]
    assert (cause["cause"], cause["certainty"]) == ("verifier-differs", "suspected")
    assert "not proved" in cause["headline"]
    assert document["verdict"]["state"] == "cannot-tell"


def test_another_model_is_named_only_where_it_is_suspected(world: World, tmp_path: Path) -> None:
    other = engine.tiny(seed=0)
    with torch.no_grad():
        for value in other.parameters():
            value += 0.02 * torch.randn_like(value)
    other.save_pretrained(tmp_path / "other")
    trace = record(tmp_path / "t", other, world.draft, EVERYTHING)
    alone = replay(trace, verifier=world.verifier).document
    assert alone["replay"]["named"] is None
    assert alone["causes"][0]["cause"] == "verifier-differs"
    assert alone["verdict"]["state"] == "wrong"
    asked = replay(trace, verifier=world.verifier, suspects=[str(tmp_path / "other")]).document
    assert asked["replay"]["named"] == f"model:{tmp_path / 'other'}"
    assert asked["causes"][0]["cause"] == "verifier-differs"


def test_a_log_of_another_p_is_only_suspected(world: World, tmp_path: Path) -> None:
    """The engine decided rightly; what it logged is p before the temperature, and the run does not say so."""
    sound, wrong = Asked(0.5), Asked(1.0)
    trace = record(tmp_path / "t", world.target, world.draft, sound)
    raw: dict[tuple[str, int], list[float]] = {}
    torch.manual_seed(0)
    for line in (tmp_path / "t").glob("*.jsonl").__next__().read_text().splitlines():
        row = json.loads(line)
        if row["kind"] == "request":
            text = list(row["prompt_token_ids"])
        elif row["kind"] == "step":
            logits = world.target(torch.tensor([text + row["draft_token_ids"]])).logits[0, len(text) - 1 : -1]
            p = engine._probabilities(logits.detach(), wrong, text, row["draft_token_ids"])
            raw[row["request_id"], row["step"]] = p[range(len(p)), row["draft_token_ids"]].tolist()
            text += row["output_token_ids"]

    def change(row: dict[str, Any]) -> dict[str, Any]:
        if row["kind"] == "step":
            row["target_probs"] = raw[row["request_id"], row["step"]]
            row.pop("last_target_prob", None)
        return row

    document = replay(edited(trace, change), verifier=world.verifier).document
    assert document["replay"]["named"] == "temperature-ignored"
    assert document["replay"]["decisions"]["disagree"] == 0
    mine = [c for c in document["causes"] if c["cause"] == "sampling-params-ignored"]
    assert [c["certainty"] for c in mine] == ["suspected"]
    declared = edited(trace, lambda row: change(row) | ({"prob_basis": "raw"} if row["kind"] == "run" else {}))
    found = replay(declared, verifier=world.verifier).document
    assert found["replay"]["log_p"]["outside_band"] == 0
    assert found["verdict"]["state"] != "wrong"


def test_an_undeclared_precision_is_no_fault(world: World, tmp_path: Path) -> None:
    trace = record(tmp_path / "t", world.target, world.draft, EVERYTHING, "precision-bfloat16")

    def quiet(row: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in row.items() if k != "config"}

    def told(row: dict[str, Any]) -> dict[str, Any]:
        return row | ({"config": {"dtype": "bfloat16"}} if row["kind"] == "run" else {})

    document = replay(edited(trace, quiet), verifier=world.verifier).document
    assert document["causes"][0]["certainty"] == "suspected"
    assert "--dtype bfloat16" in document["causes"][0]["headline"]
    assert document["verdict"]["state"] == "cannot-tell"
    document = replay(edited(trace, told), verifier=world.verifier).document
    assert document["replay"]["dtype"] == "bfloat16"
    assert [cause for cause in document["causes"] if cause["side"] == "wrong"] == []


def test_what_cannot_be_run_again_is_counted(world: World, tmp_path: Path) -> None:
    trace = record(tmp_path / "t", world.target, world.draft, EVERYTHING)

    def change(row: dict[str, Any]) -> dict[str, Any] | None:
        if row["kind"] == "request" and row["request_id"] == "r0":
            row.pop("prompt_token_ids")
        if row["kind"] == "step" and row["request_id"] == "r1":
            row["step"] += 1
        if row["kind"] == "request" and row["request_id"] == "r2":
            row["prompt_token_ids"][0] = 10**6
        return row

    document = replay(edited(trace, change), verifier=world.verifier).document
    assert document["replay"]["requests"] == 1
    assert {left["what"].split(" ")[0] for left in document["replay"]["left_out"]} == {"the", "steps", "token"}
    assert "3 of 4 requests" in document["verdict"]["not_checked"][0]


def test_an_interrupted_replay_goes_on(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sdtrace.replay import passes

    monkeypatch.setitem(passes.TOKENS, "cpu", 100)  # one request a pass
    trace = record(tmp_path / "t", world.target, world.draft, EVERYTHING)
    state, calls = str(tmp_path / "state"), []

    def stop(what: str, done: int, total: int) -> None:
        calls.append(what)
        if calls.count("replaying") == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay(trace, verifier=world.verifier, state=state, progress=stop)
    before = len(list((tmp_path / "state").glob("*.parquet")))
    assert 1 <= before < 4
    calls.clear()
    resumed = replay(trace, verifier=world.verifier, state=state, progress=lambda w, d, t: calls.append(w))
    assert calls.count("replaying") == 4 - before
    whole = replay(trace, verifier=world.verifier)
    assert resumed.document["replay"] == whole.document["replay"]
    assert run(["replay", str(trace), "--verifier", world.drafter, "--state", state]) == 2


def test_a_sample_is_by_hash(world: World, tmp_path: Path) -> None:
    trace = record(tmp_path / "t", world.target, world.draft, EVERYTHING)
    document = replay(trace, verifier=world.verifier, requests=2).document
    assert document["replay"]["requests"] == 2
    assert document["replay"]["requests_in_trace"] == 4


def test_the_command(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = record(tmp_path / "t", world.target, world.draft, EVERYTHING, "temperature-ignored")
    page, document = tmp_path / "r.html", tmp_path / "r.json"
    command = ["replay", str(trace), "--verifier", world.verifier, "-o", str(page), "--json", str(document)]
    assert run(command) == 1
    told = capsys.readouterr()
    assert told.out.startswith("WRONG")
    assert "the temperature is not applied" in told.out
    assert "The real model" in page.read_text()
    found = json.loads(document.read_bytes())
    assert found["replay"]["named"] == "temperature-ignored"
    assert not any("token" in row for cause in found["causes"] for row in cause["evidence"])
    assert run(["replay", str(trace), "--verifier", str(tmp_path / "nowhere")]) == 2
    assert "Traceback" not in capsys.readouterr().err
