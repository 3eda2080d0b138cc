"""Sources of one session side by side, every engine's definitions by hand, and the samples of engines."""

import json
import os
import random
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sdtrace
from sdtrace.counters.agreement import beside, emitted, over_all
from sdtrace.counters.definitions import Totals, definitions
from sdtrace.counters.reconcile import tables
from sdtrace.counters.sources import sources
from sdtrace.errors import NoInputError
from sdtrace.schema.counters import from_rows
from sdtrace.stats.changepoint import turn
from tests.made.pairs import in_turn
from tests.made.simulate import document

TOP = Path(__file__).resolve().parents[2]
ENGINES = TOP / "sample_logs" / "engines"
CORPUS = TOP.parent / "shared" / "corpus"
corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of recorded files is not beside the project")
SAMPLES = sorted(p for p in ENGINES.iterdir() if not p.name.endswith(".expected.json"))


def words(totals: Totals) -> dict[str, float | None]:
    return {d.key: None if d.value is None else round(d.value, 5) for d in definitions(totals)}


def test_vllm_issue_26191_by_every_definition() -> None:
    """4,816 drafts of 7 tokens, 12,208 accepted: the issue prints 3.53."""
    found = words(Totals(drafts=4816, drafted=33712, accepted=12208, emitted=None, k=7))
    assert found["vllm"] == found["sglang"] == found["llama.cpp length"] == found["tensorrt-llm"] == 3.53488
    assert found["vllm 0.8.5"] == found["tensorrt-llm gate"] == 2.53488
    assert found["vllm rate"] == found["llama.cpp"] == found["lmdeploy rate"] == 0.36213
    assert found["sglang rate"] == 0.36213  # accepted / (steps k)
    assert (
        found["sglang old rate"] == found["vllm v0"] == round(3.534884 / 8, 5)
    )  # (accepted + steps) / (steps (k + 1))
    assert found["aiperf rate"] == 36.21262
    assert found["aiperf verified"] == round((12208 + 4816) / (33712 + 4816), 5)
    assert found["sglang request"] is None  # tokens are not counted


def test_llamacpp_issue_24536_by_every_definition() -> None:
    """87 drafts, 259 drafted of 3 each, 167 accepted: rate 0.64479, mean length 2.92."""
    found = words(Totals(drafts=87, drafted=259, accepted=167, emitted=None, k=3))
    assert found["llama.cpp"] == 0.64479
    assert found["llama.cpp length"] == 2.91954
    assert found["lmdeploy rate"] == found["sglang rate"] == round(167 / 261, 5)  # a constant k, shorter drafts or not


def test_sglang_old_rate_of_nothing_accepted_is_not_zero() -> None:
    found = words(Totals(drafts=100, drafted=400, accepted=0, emitted=101, k=4, requests=1))
    assert (found["sglang rate"], found["sglang old rate"], found["sglang"]) == (0.0, 0.2, 1.0)


def test_definitions_that_count_every_verification() -> None:
    """10 steps drafted and 5 had no draft; 2 requests: 2 first tokens + 15 + 20 accepted = 37 tokens."""
    t = Totals(drafts=10, drafted=40, accepted=20, emitted=37, k=4, lengths=[2.0, 4.5], requests=2)
    found = words(t)
    assert found["vllm"] == 3.0
    assert found["sglang request"] == found["specforge"] == found["eagle"] == round(37 / 15, 5)
    assert found["ollama"] == round(20 / 15, 5)
    assert (found["aiperf"], found["aiperf weighted"]) == (3.25, 3.0)  # requests weigh the same, or steps do
    unknown = words(Totals(drafts=10, drafted=40, accepted=20, emitted=37, k=4))  # first tokens, or plain steps?
    assert unknown["eagle"] is None
    assert words(Totals(drafts=10, drafted=40, accepted=20, emitted=30, k=4, steps=10))["eagle"] == 3.0


@given(st.integers(1, 999), st.integers(1, 16), st.data())
def test_definitions_convert_into_each_other(drafts: int, k: int, data: st.DataObject) -> None:
    accepted = data.draw(st.integers(0, drafts * k))
    found = {d.key: d.value for d in definitions(Totals(drafts, drafts * k, accepted, None, k))}
    length, old, new = (found[n] or 0.0 for n in ("vllm", "sglang old rate", "sglang rate"))
    assert length == pytest.approx(1 + k * new)
    assert length == pytest.approx(old * (k + 1))
    assert found["vllm 0.8.5"] == pytest.approx(length - 1)
    assert found["aiperf verified"] == pytest.approx(length / (k + 1))


def test_windows_that_accepted_nothing_are_not_left_out() -> None:
    """A printed mean of 1.00 does not tell over how many steps: 55 tokens of 4 a step are 14 steps or more."""
    row = {"engine": "vllm", "surface": "lines", "basis": "interval", "k": 4}
    rows = [row | {"drafts": 8, "drafted": 32, "accepted": 32}, row | {"drafted": 55, "accepted": 0}]
    found = sources(from_rows("log", rows))[0]
    assert (found.counts["drafts"], found.length) == (22, 1 + 32 / 22)
    assert any("at least" in f for f in found.families)


def one(**more: Any) -> Any:
    row = {"engine": "vllm", "surface": "metrics", "basis": "run", "drafts": 100, "drafted": 400, "accepted": 200}
    return sources(from_rows("file", [row | more]))[0]


def test_every_difference_has_a_sentence() -> None:
    log, first = one(surface="lines", basis="interval", drafts=80, drafted=320, accepted=150), one()
    assert beside(first, first) == "the figures above"
    assert beside(first, one(surface="b")) == "the same steps, drafted and accepted"
    assert "does not count steps" in beside(first, one(surface="b", drafts=None))
    assert beside(first, log).startswith("20 fewer steps (20.0%): stretches between lines that were lost")
    assert "requests are counted when they end" in beside(
        first, one(surface="c", basis="request", drafts=90, drafted=360)
    )
    assert "one counter is wrong" in beside(first, one(surface="d", accepted=10))
    early = one(surface="e", drafts=50, drafted=200, accepted=90, at=1.7954e9)
    assert "other times" in beside(one(at=1.7955e9), early)
    assert "last values" in beside(first, one(basis="gauge", drafts=None, drafted=None, accepted=None, length=2.0))


def test_a_difference_of_definition_names_the_conversion(tmp_path: Path) -> None:
    """vLLM 0.9 counts the bonus and 0.8.5 does not: 2.0 and 1.0 for the same counts."""
    rows = [
        {
            "engine": "vllm",
            "basis": "run",
            "drafts": 100,
            "drafted": 400,
            "accepted": 100,
            "said_length": said,
            "surface": name,
        }
        for name, said in (("lines of 0.9", 2.0), ("lines of 0.8.5", 1.0))
    ]
    windows = from_rows("file", rows)
    pair = tables(windows, sources(windows), [])["pairs"].to_dicts()[0]
    assert "lines of 0.9 prints 2.00, which is (A + S) / S" in pair["conversion"]
    assert "lines of 0.8.5 prints 1.00, which is A / S" in pair["conversion"]


def test_emitted_tokens_are_accounted_for() -> None:
    s = one(emitted=437)
    assert emitted(s, 7) == (
        "Of 437 emitted tokens 200 were accepted drafts and 100 came with them, one a step; 7 are first tokens of requests "
        "and 130 came from steps without a draft."
    )
    assert over_all(s, 7) == (230, 430 / 230)
    assert "37 of those were cut" in str(emitted(one(emitted=270), 7))
    counted = one(emitted=437, steps=235)
    assert "135 came from steps without a draft; 5 of those were cut" in str(emitted(counted, 7))
    assert over_all(counted, None) == (235, 435 / 235)
    assert over_all(s, None) is None


def test_a_change_is_seen_and_noise_is_none() -> None:
    noise = [2.0 + 0.1 * ((i * 7919) % 13 - 6) / 6 for i in range(60)]
    assert turn(noise) is None
    assert turn([*noise[:30], *(v - 0.8 for v in noise[30:])]) == 30
    assert turn([None] * 60) is None


@cache
def session(name: str) -> tuple[dict[str, Any], Any]:
    report = sdtrace.report(str(CORPUS / "ours" / name))
    return report.document, {s.id: s for s in report.sections}


@pytest.mark.slow
@corpus
@pytest.mark.parametrize(
    ("name", "counts", "kinds"),
    [
        ("vllm-server", (600, 2393, 1115), {"response metrics", "SpecDecoding metrics", "metrics"}),
        ("llamacpp", (907, 3617, 1596), {"request", "statistics", "metrics", "timings"}),
    ],
)
def test_log_scrapes_and_responses_are_one_report(name: str, counts: tuple[int, ...], kinds: set[str]) -> None:
    found, sections = session(name)
    a = found["acceptance"]
    assert (a["steps"], a["drafted"], a["accepted"]) == counts
    table = sections["sources"]
    assert {str(row[0]).split(" ", 1)[1] for row in table.rows} == kinds
    for row in table.rows:
        assert row[2] in (counts[0], None)
        assert tuple(row[3:5]) == counts[1:]
        assert str(row[-1]).startswith(("the same ", "the figures above"))
    assert f"all {len(kinds)} that count agree" in table.sentence
    assert found["causes"] == []


@pytest.mark.slow
@corpus
def test_the_steps_without_a_draft_are_explained() -> None:
    found, sections = session("vllm-server")
    assert "1,819 came from steps without a draft; 23 of those were cut" in sections["sources"].sentence
    assert "1.46 over all steps (75% had no draft)" in found["verdict"]["headline"]


@pytest.mark.slow
@corpus
def test_sources_of_a_session_that_lost_its_log_tail_still_explain_themselves(tmp_path: Path) -> None:
    folder = CORPUS / "ours" / "vllm-server"
    lines = (folder / "server.log").read_text().splitlines(keepends=True)
    (tmp_path / "server.log").write_text("".join(lines[:230]))
    (tmp_path / "responses.jsonl").write_text((folder / "responses.jsonl").read_text())
    report = sdtrace.report(str(tmp_path))
    rows = next(s for s in report.sections if s.id == "sources").rows
    told = {str(row[0]): str(row[-1]) for row in rows}
    assert "fewer" in told["vllm SpecDecoding metrics"]
    assert report.document["acceptance"]["accepted"] == 1115


def summary(path: Path) -> dict[str, Any]:
    """What stands in NAME.expected.json."""
    found = document(path)
    a = found["acceptance"] or {}
    read = found["inputs"][0]
    figures = {n: a.get(n) for n in ("steps", "drafted", "accepted", "tokens_per_step", "rate_of_drafted")}
    return {
        "format": read["format"],
        **{n: read[n] for n in ("lines", "records", "windows")},
        "lost": sum(x["count"] for x in read["losses"] if not x["what"].startswith("other lines")),
        "verdict": found["verdict"]["state"],
        "causes": [c["cause"] for c in found["causes"]],
        **{n: round(v, 6) if isinstance(v, float) else v for n, v in figures.items()},
        "marginal_by_position": [round(v, 4) for v in a.get("marginal_by_position") or []],
    }


@pytest.mark.one_of(5)
@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.name)
def test_a_sample_gives_the_summary_beside_it(path: Path) -> None:
    beside = path.with_name(f"{path.name}.expected.json")
    found = summary(path)
    if os.environ.get("SDTRACE_GOLDEN") == "write":
        beside.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(beside.read_text())


@pytest.mark.one_of(5)
@pytest.mark.parametrize(("name", "kind"), in_turn([path.name for path in SAMPLES], range(4), of=13))
def test_a_damaged_sample_loses_no_line_and_makes_no_reader_fall(name: str, kind: int, tmp_path: Path) -> None:
    path = ENGINES / name
    rng, whole = random.Random(f"{name} {kind}"), path.read_bytes()[:20_000]
    at = rng.randrange(len(whole))
    begin, end = rng.choice([m.span() for m in re.finditer(rb"\d+(?:\.\d+)?", whole)])
    value = rng.choice([b"-1", b"1e400", b"NaN", b"null", b"[]", b"{}", b"9" * 40, b'"x"'])
    damaged = (whole[:at], whole[at:], whole.replace(b"\n", b"", 3), whole[:begin] + value + whole[end:])[kind]
    (tmp_path / path.name).write_bytes(damaged)
    try:
        found = document(tmp_path / path.name)
    except NoInputError:  # the line that tells the format is gone
        return
    read = found["inputs"][0]
    assert read["lines"] == read["records"] + sum(x["count"] for x in read["losses"])
    assert not [c for c in found["checks"] if c["state"] == "crashed"]


def test_samples_of_one_session_agree() -> None:
    """The log and the responses of vLLM 0.32, the log and a recurrent target's truth."""
    vllm = {n: json.loads((ENGINES / f"{n}.expected.json").read_text()) for n in ("vllm.log", "vllm-responses.jsonl")}
    for name in ("steps", "drafted", "accepted"):
        assert vllm["vllm.log"][name] == vllm["vllm-responses.jsonl"][name]
    truth = json.loads((ENGINES / "llamacpp-recurrent.log.expected.json").read_text())
    assert (truth["drafted"], truth["accepted"], truth["causes"]) == (66, 0, ["metric-inconsistent"])
