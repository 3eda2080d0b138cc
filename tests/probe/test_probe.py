"""A probe of a small engine over real HTTP: each way to be wrong is named, nothing is said against one that is right."""

import json
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sdtrace.cli import run
from sdtrace.probe import ask as asking
from sdtrace.probe.ask import Plan
from sdtrace.probe.prompts import BUILT_IN
from sdtrace.probe.run import probe
from sdtrace.render import html, terminal
from sdtrace.replay.engine.client import Client
from sdtrace.results.report import Report
from tests.made.fake_engine import Engine, serving

KEY = "sk-canary-0123456789abcdef"


def probed(
    engine: Engine, *, requests: int = 18, tokens: int = 32, sglang: bool = False, one_hot: bool = False
) -> Report:
    with serving(engine, sglang=sglang) as url:
        return probe(Client(url), Plan(BUILT_IN, requests, tokens), one_hot=one_hot)


@pytest.mark.one_of(2)
@pytest.mark.parametrize(
    ("fault", "causes", "words"),
    [
        ("forced", {"text-not-from-target"}, "seeded"),
        pytest.param("stale", {"greedy-mismatch", "text-not-from-target"}, "", marks=pytest.mark.slow),
        ("temperature", {"sampling-params-ignored"}, "temperature is ignored"),
        pytest.param("stream", {"text-not-from-target"}, "stream of the request 1 after", marks=pytest.mark.slow),
        pytest.param("swapped", {"greedy-mismatch", "text-not-from-target"}, "", marks=pytest.mark.slow),
    ],
)
def test_each_fault_is_named(fault: str, causes: set[str], words: str) -> None:
    size: dict[str, Any] = {"requests": 30, "tokens": 40, "one_hot": True} if fault == "forced" else {}
    found = probed(Engine(fault=fault), **size).document
    sure = {c["cause"]: c["headline"] for c in found["causes"] if c["certainty"] != "suspected"}
    assert found["verdict"]["state"] == "wrong"
    assert causes <= sure.keys()
    assert any(words in headline for headline in sure.values())


@pytest.mark.parametrize(
    "engine",
    [Engine(), *(pytest.param(e, marks=pytest.mark.slow) for e in (Engine(k=0), Engine(k=5, model=4)))],
    ids=["speculates", "plain", "long"],
)
def test_nothing_is_said_against_one_that_is_right(engine: Engine) -> None:
    found = probed(engine, one_hot=True).document
    assert found["causes"] == []
    assert found["verdict"]["state"] == "healthy"
    assert found["probe"]["speculates"] == (engine.k > 0)
    assert found["replay"]["log_p"]["outside_band"] == 0
    assert found["text"]["seeds"][0]["contradicted"] == 0
    assert (found["probe"]["tokens_per_step"] or 0) > 1.5 or engine.k == 0


@pytest.mark.slow
def test_sglang_too() -> None:
    assert probed(Engine(), sglang=True, requests=24).document["causes"] == []


@pytest.mark.slow
def test_the_command_compares_and_keeps_what_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SDTRACE_API_KEY", KEY)
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("CANARY prompt of a customer\nanother CANARY one\n")
    files = {name: tmp_path / f"r.{name}" for name in ("html", "json", "md", "xml", "sarif", "prom")}
    certificate = tmp_path / "certificate.json"
    with serving(Engine(key=KEY)) as url, serving(Engine(k=0, key=KEY)) as other:
        code = run([
            "probe", url, "--against", other, "--prompts", str(prompts), "--requests", "12", "--tokens", "24", "-o", str(files["html"]),
            "--json", str(files["json"]), "--markdown", str(files["md"]), "--junit", str(files["xml"]), "--sarif", str(files["sarif"]),
            "--prometheus", str(files["prom"]), "--certificate", str(certificate),
        ])  # fmt: skip
    assert code == 0
    found = json.loads(files["json"].read_text())
    assert found["probe"]["against"]["greedy_pairs"] == 4
    assert found["probe"]["against"]["parted"] == 0
    assert found["probe"]["speed_up"] > 0
    written = "".join(f.read_text() for f in [*files.values(), certificate]) + "".join(capsys.readouterr())
    assert "CANARY" not in written
    assert KEY not in written
    assert " w1" not in json.dumps(found["causes"])


@pytest.mark.slow
def test_another_model_on_the_other_side_is_only_suspected() -> None:
    with serving(Engine()) as url, serving(Engine(k=0, model=7)) as other:
        found = probe(Client(url), Plan(BUILT_IN, 9, 16), Client(other)).document
    assert found["verdict"]["state"] == "cannot-tell"
    assert [c["certainty"] for c in found["causes"]] == ["suspected"]


@pytest.mark.one_of(2)
@pytest.mark.parametrize(("more", "code"), [({"key": KEY}, 3), ({}, 4)])
def test_what_cannot_be_judged(more: dict[str, Any], code: int) -> None:
    """A key that is missing; an evidence that is too small."""
    with serving(Engine(**more)) as url:
        assert run(["probe", url, "-q", "--requests", "1", "--tokens", "4", "--require-evidence"]) == code


@pytest.mark.slow
def test_budgets_bound_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, seconds = Engine(), count()
    with serving(engine) as url:
        found = probe(Client(url), Plan(BUILT_IN, 30, 16, budget_tokens=100)).document
        assert found["probe"]["tokens"] <= 100
        # each look at the clock is a second later: two for an answer, one for what is not asked any more
        monkeypatch.setattr(asking, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
        late = probe(Client(url, concurrency=1), Plan(BUILT_IN, 30, 16, budget_s=10)).document
    assert late["probe"]["requests"] == 5
    assert sum(late["probe"]["left_out"].values()) + late["probe"]["requests"] == 30


@pytest.mark.slow
def test_it_can_be_shown() -> None:
    found = probed(Engine(), requests=6, tokens=8)
    assert "The probe" in html.page(found).decode()
    assert "tokens" in terminal.summary(found, width=100, color=False)
