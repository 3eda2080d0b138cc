"""The engine as verifier, over real HTTP: a server's own answers are its own, another model's are not; keys get nowhere."""

import itertools
import json
from pathlib import Path

import pytest

from sdtrace.api import replay
from sdtrace.cli import run
from sdtrace.errors import NoInputError, UsageError
from sdtrace.replay.engine.client import Client
from tests.made.engine_inputs import kept
from tests.made.fake_engine import Engine, serving

KEY = "sk-canary-0123456789abcdef"


@pytest.fixture(params=["vllm", "sglang"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.slow
@pytest.mark.one_of(2)
def test_its_own_answers_are_its_own(kind: str, tmp_path: Path) -> None:
    engine = Engine()
    file = kept(engine, tmp_path / "responses.jsonl", sglang=kind == "sglang")
    with serving(engine, sglang=kind == "sglang") as url:
        found = replay(file, verifier=url).document
    assert found["verdict"]["state"] == "healthy", found["verdict"]
    assert found["replay"]["engine"] == kind
    assert found["replay"]["log_p"]["compared"] == 8 * 24
    assert found["replay"]["log_p"]["outside_band"] == 0
    assert kind == "sglang" or found["replay"]["log_p"]["equal"] == 8 * 24


@pytest.mark.one_of(2)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_another_model_is_named(temperature: float, tmp_path: Path) -> None:
    file = kept(Engine(model=2), tmp_path / "responses.jsonl", temperature=temperature)
    with serving(Engine(model=1)) as url:
        found = replay(file, verifier=url).document
    assert found["verdict"]["state"] == "wrong"
    assert "verifier-differs" in [c["cause"] for c in found["causes"]]


@pytest.mark.slow
def test_text_without_logprobs_is_judged_by_the_engines_own(tmp_path: Path) -> None:
    """Swapped tokens: what came back beside them may say anything."""
    file = kept(Engine(fault="swapped"), tmp_path / "responses.jsonl", n=12, tokens=40)
    with serving(Engine()) as url:
        found = replay(file, verifier=url).document
    assert found["verdict"]["state"] == "wrong"
    assert "text-not-from-target" in [c["cause"] for c in found["causes"]]


@pytest.mark.slow
def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    engine = Engine()
    file = kept(engine, tmp_path / "responses.jsonl", n=6, tokens=8)
    with serving(engine) as url:
        first = replay(file, verifier=url, state=str(tmp_path / "state")).document["replay"]
        asked = len(engine.asked)
        again = replay(file, verifier=url, state=str(tmp_path / "state")).document["replay"]
    # each once, four again and three rows of these alone to see how far the engine is from itself
    assert asked == 6 + 4 + 12
    assert len(engine.asked) - asked == 4 + 12
    assert again == first


def test_no_key_gets_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    engine = Engine(key=KEY)
    file = kept(engine, tmp_path / "responses.jsonl", n=4, tokens=8)
    page, data = tmp_path / "r.html", tmp_path / "r.json"
    with serving(engine) as url:
        with_user = url.replace("http://", "http://user:secret-password@")
        monkeypatch.setenv("MY_KEY", KEY)
        assert run(["replay", str(file), "--verifier", url]) == 3  # the other variable has no key
        assert (
            run(["replay", str(file), "--verifier", with_user, "--api-key-env", "MY_KEY"]) == 3
        )  # a user takes its place
        code = run([
            "replay", str(file), "--verifier", url, "--api-key-env", "MY_KEY", "-o", str(page), "--json", str(data), "--state",
            str(tmp_path / "s"), "--exit-zero",
        ])  # fmt: skip
    assert code == 0
    assert json.loads(data.read_text())["replay"]["requests"] == 4
    written = (
        page.read_text()
        + data.read_text()
        + "".join(capsys.readouterr())
        + (tmp_path / "s" / "scores.jsonl").read_text()
    )
    assert KEY not in written
    assert "secret-password" not in written


def test_what_cannot_be_scored_says_why(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    engine = Engine()
    kept(engine, file, n=1, tokens=4)
    row = json.loads(file.read_text())
    del row["request"]["prompt"], row["response"]["choices"][0]["prompt_token_ids"]
    file.write_text(json.dumps(row) + "\n")
    with serving(engine) as url, pytest.raises(NoInputError, match="token ids of prompt or answer"):
        replay(file, verifier=url)
    with pytest.raises(NoInputError, match="no answer"):
        replay(file, verifier="http://127.0.0.1:9")
    with serving(engine) as url, pytest.raises(UsageError, match="--drafter"):
        replay(file, verifier=url, drafter="x")


def test_a_rate_is_kept() -> None:
    """Starts are booked one after the other, whatever the number of threads: no clock is looked at."""
    client = Client("http://127.0.0.1:9", rate=1e6)
    booked = []
    for _ in range(5):
        client._wait()
        booked.append(client._next)
    assert all(b - a >= 0.99e-6 for a, b in itertools.pairwise(booked))
