"""A planted change is attributed to its term; equal engines do not alarm; terms and slices add up to the whole."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sdtrace.api import diff
from sdtrace.cli import run
from tests.made.pairs import one_of
from tests.made.timing import Engine, Record, Traffic, drive

ENGINE, TRAFFIC = Engine(), Traffic(requests=100)
WORSE = {"chat": (0.6, 0.6), "code": (0.4, 0.7)}
MIX = [{"chat": (share, 0.5), "code": (1 - share, 0.85)} for share in (0.2, 0.8)]

#: name -> (term that takes most, cause, blame, base, candidate)
CHANGES: dict[str, tuple[str, str, str, tuple[Engine, Traffic], tuple[Engine, Traffic]]] = {
    "draft": ("draft", "draft-too-slow", "drafter", (ENGINE, TRAFFIC), (Engine(draft=(0.2, 1.4)), TRAFFIC)),
    "curve": (
        "verify-curve",
        "verification-not-free",
        "verifier",
        (ENGINE, TRAFFIC),
        (Engine(verify=(16, 0.03)), TRAFFIC),
    ),
    "host": ("overhead", "host-overhead", "scheduler", (ENGINE, TRAFFIC), (Engine(overhead=5.0), TRAFFIC)),
    "acceptance": (
        "acceptance",
        "low-acceptance",
        "drafter",
        (ENGINE, TRAFFIC),
        (ENGINE, replace(TRAFFIC, tasks=WORSE)),
    ),
    "mix": (
        *("traffic-mix", "traffic-shift", "traffic"),
        (ENGINE, replace(TRAFFIC, tasks=MIX[0])),
        (ENGINE, replace(TRAFFIC, tasks=MIX[1])),
    ),
    "batch": (
        *("verify-batch", "verification-not-free", "traffic"),
        (Engine(verify=(9, 0.2)), TRAFFIC),
        (Engine(verify=(9, 0.2)), replace(TRAFFIC, batch=(5, 16))),
    ),
    "shorter": ("draft-length", "tau-too-small", "config", (ENGINE, TRAFFIC), (Engine(tau=(1, 1)), TRAFFIC)),
    "longer": (
        *("draft", "tau-too-large", "config"),
        (Engine(tau=(2, 2), draft=(0.0, 2.0)), TRAFFIC),
        (Engine(tau=(7, 7), draft=(0.0, 2.0)), replace(TRAFFIC, tasks={"chat": (0.6, 0.75), "code": (0.4, 0.75)})),
    ),
    "off": ("draft-length", "speculation-off", "config", (ENGINE, TRAFFIC), (Engine(plain=0.97), TRAFFIC)),
}


def compared(
    base: tuple[Engine, Traffic], candidate: tuple[Engine, Traffic], folder: Path, **more: Any
) -> dict[str, Any]:
    one = drive(*base, seed=3).write(folder / "base")
    other = drive(*candidate, seed=4).write(folder / "candidate")
    found: dict[str, Any] = diff(str(one), str(other), **more).document
    return found


def exact(found: dict[str, Any]) -> None:
    """Terms add up to the log change of throughput, slices to the change of tokens per step."""
    told = found["diff"]
    figures = {m["name"]: m for m in told["metrics"]}
    whole = math.log1p(figures["tokens_per_second"]["change"])
    assert sum(t["log_change"] for t in told["attribution"]) == pytest.approx(whole, abs=1e-9)
    if told["slices"]:
        steps = figures["tokens_per_step"]
        total = sum(s["contribution"] for s in told["slices"])
        assert total == pytest.approx(steps["candidate"] - steps["base"], abs=1e-9)


@pytest.mark.one_of(3)
@pytest.mark.parametrize("name", one_of(3, CHANGES))
def test_attributed_to_its_term(name: str, tmp_path: Path) -> None:
    term, cause, blame, base, candidate = CHANGES[name]
    found = compared(base, candidate, tmp_path)
    exact(found)
    assert found["diff"]["answer"] == "regressed"
    assert found["verdict"]["state"] == "slow"
    assert min(found["diff"]["attribution"], key=lambda t: t["log_change"])["term"] == term
    assert found["causes"][0]["cause"] == cause
    assert found["causes"][0]["blame"] == blame
    assert found["causes"][0]["evidence"][0]["command"].startswith("sdtrace explain")


@pytest.mark.slow
def test_a_mix_shift_is_not_blamed_on_the_drafter(tmp_path: Path) -> None:
    found = compared(*CHANGES["mix"][3:], tmp_path)
    assert {c["blame"] for c in found["causes"]} == {"traffic"}
    assert "tags.task=chat grew" in found["causes"][0]["headline"]


@pytest.mark.slow
def test_a_slice_is_found_confirmed_and_named(tmp_path: Path) -> None:
    one = replace(TRAFFIC, requests=160)
    other = replace(one, tasks={"chat": (0.6, 0.75), "code": (0.4, 0.45)})
    found = compared((ENGINE, one), (ENGINE, other), tmp_path)
    exact(found)
    first = found["diff"]["slices"][0]
    assert (first["where"], first["confirmed"]) == ({"tags.task": "code"}, True)
    assert first["high"] < 0
    assert "tags.task=code" in found["causes"][0]["headline"]
    assert found["causes"][0]["evidence"][0]["where"] == {"tags.task": "code"}


@pytest.mark.slow
def test_two_predicates_where_only_both_together_matter(tmp_path: Path) -> None:
    def edit(low: float) -> Any:
        def change(record: Record, chance: float, rng: Any) -> float:
            record["tags"]["language"] = str(rng.choice(["en", "zh"]))
            return low if record["tags"] == {"task": "code", "language": "zh"} else 0.8

        return change

    sides = [
        (ENGINE, Traffic(requests=240, tasks={"chat": (0.5, 0.8), "code": (0.5, 0.8)}, edit=edit(low)))
        for low in (0.8, 0.3)
    ]
    first = compared(sides[0], sides[1], tmp_path)["diff"]["slices"][0]
    assert first["where"] == {"tags.task": "code", "tags.language": "zh"}
    assert first["confirmed"]


@pytest.mark.slow
def test_an_improvement_is_told_and_doubted(tmp_path: Path) -> None:
    found = compared((ENGINE, replace(TRAFFIC, tasks=WORSE)), (ENGINE, TRAFFIC), tmp_path)
    assert found["diff"]["answer"] == "improved"
    assert found["causes"] == []
    assert any("acceptance rose" in note for note in found["verdict"]["not_checked"])


@pytest.mark.slow
def test_the_same_prompts_are_compared_with_themselves(tmp_path: Path) -> None:
    """Pairing takes the differences between requests out of the interval: a change of 1% is told from none."""
    one = drive(ENGINE, replace(TRAFFIC, spread=0.15), seed=3, same=True).write(tmp_path / "a")
    other = drive(ENGINE, replace(TRAFFIC, spread=0.15), seed=4, same=True).write(tmp_path / "b")
    apart = drive(ENGINE, replace(TRAFFIC, spread=0.15), seed=5).write(tmp_path / "c")
    paired, loose = (diff(str(one), str(side)).document["diff"]["metrics"] for side in (other, apart))
    widths = [next(m["high"] - m["low"] for m in ms if m["name"] == "tokens_per_step") for ms in (paired, loose)]
    assert widths[0] < 0.6 * widths[1]


@pytest.mark.slow
def test_a_trace_against_itself_is_fine(tmp_path: Path) -> None:
    one = str(drive(ENGINE, TRAFFIC, seed=3).write(tmp_path / "a"))
    found = diff(one, one).document
    assert found["diff"]["answer"] == "fine"
    assert all(m["change"] in (0.0, None) for m in found["diff"]["metrics"])


@pytest.mark.slow
def test_few_requests_are_inconclusive_and_say_how_many_it_takes(tmp_path: Path) -> None:
    few = replace(TRAFFIC, requests=12)
    found = compared((ENGINE, few), (ENGINE, few), tmp_path)
    assert found["diff"]["answer"] == "inconclusive"
    assert found["diff"]["requests_needed"] > 12
    assert "requests per side" in found["verdict"]["headline"]


@pytest.mark.slow
def test_without_durations_tokens_per_step_are_compared(tmp_path: Path) -> None:
    sides = []
    for name, traffic in (("a", TRAFFIC), ("b", replace(TRAFFIC, tasks=WORSE))):
        made = drive(ENGINE, traffic, seed=3)
        sides.append(
            replace(made, steps=made.steps.drop("draft_ms", "verify_ms", "sample_ms", "step_ms")).write(tmp_path / name)
        )
    found = diff(str(sides[0]), str(sides[1])).document
    assert found["diff"]["answer"] == "regressed"
    assert [t["term"] for t in found["diff"]["attribution"]] == ["traffic-mix", "draft-length", "acceptance"]


@pytest.mark.slow
def test_what_the_candidate_newly_does_wrong_is_the_verdict(tmp_path: Path) -> None:
    samples = [f"sample_logs/transformers-{name}.jsonl.gz" for name in ("sampled", "lenient-0.8.planted")]
    found = diff(*samples).document
    assert found["verdict"]["state"] == "wrong"
    assert found["causes"][0]["cause"] == "lenient-acceptance"
    assert len(found["inputs"]) == 2


def log(folder: Path, accepted: int, lines: int = 40) -> str:
    """A vLLM log: 100 drafts of 3 tokens a line."""
    rows = []
    for i in range(lines):
        got = accepted + (i % 5) - 2
        rows.append(
            f"(APIServer pid=7) INFO 11-23 15:{i // 60:02d}:{i % 60:02d} [metrics.py:120] SpecDecoding metrics: Mean acceptance "
            f"length: {1 + got / 100:.2f}, Accepted throughput: 1.00 tokens/s, Drafted throughput: 2.00 tokens/s, Accepted: {got} "
            f"tokens, Drafted: 300 tokens, Per-position acceptance rate: 0.700, 0.500, 0.300, Avg Draft acceptance rate: {got / 3:.1f}%"
        )
    path = folder / f"vllm-{accepted}.log"
    path.write_text("\n".join(rows) + "\n")
    return str(path)


@pytest.mark.slow
def test_logs_and_a_trace_in_one_definition(tmp_path: Path) -> None:
    found = diff(log(tmp_path, 180), log(tmp_path, 120)).document
    assert found["diff"]["answer"] == "regressed"
    assert found["diff"]["attribution"] == []
    trace = str(drive(ENGINE, TRAFFIC, seed=3).write(tmp_path / "trace"))
    mixed = {m["name"]: m for m in diff(log(tmp_path, 150), trace).document["diff"]["metrics"]}
    assert mixed["tokens_per_step"]["base"] == pytest.approx(2.5, abs=0.01)
    assert mixed["tokens_per_step"]["candidate"] == pytest.approx(3.3, abs=0.2)


@pytest.mark.slow
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, candidate = CHANGES["draft"][3:]
    one, other = drive(*base, seed=3).write(tmp_path / "a"), drive(*candidate, seed=4).write(tmp_path / "b")
    page, document = tmp_path / "d.html", tmp_path / "d.json"
    assert run(["diff", str(one), str(other), "-o", str(page), "--json", str(document)]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("REGRESSED")
    assert "draft-too-slow" in printed
    assert json.loads(document.read_text())["diff"]["answer"] == "regressed"
    assert "What caused the change" in page.read_text()
    assert run(["diff", str(one), str(other), "--fail-on", "wrong", "-q"]) == 0
    assert run(["diff", str(one), str(other), "--fail-on", "none", "-q"]) == 0
    assert run(["diff", str(one), str(one), "--fail-on", "any", "-q"]) == 0
    assert run(["diff", str(one), str(tmp_path / "nothing")]) == 3


@pytest.mark.slow
def test_two_real_runs_differ_by_what_was_changed() -> None:
    """The same requests, recorded on one machine: 2 and 6 drafted tokens a step, then drafters of 24 and of 18 layers."""
    folder = Path(__file__).resolve().parents[2] / "sample_logs" / "change"
    longer = diff(folder / "tau-2.jsonl.gz", folder / "tau-6.jsonl.gz").document
    assert longer["diff"]["answer"] == "regressed"
    terms = {term["term"]: term["log_change"] for term in longer["diff"]["attribution"]}
    assert min(terms, key=lambda name: terms[name]) == "draft"
    assert [c["cause"] for c in longer["causes"]] == ["tau-too-large"]
    worse = diff(folder / "layers-24.jsonl.gz", folder / "layers-18.jsonl.gz").document
    terms = {term["term"]: term["log_change"] for term in worse["diff"]["attribution"]}
    assert min(terms, key=lambda name: terms[name]) == "acceptance"
    assert max(terms, key=lambda name: terms[name]) == "draft", "fewer layers accept less and cost less"
    assert worse["diff"]["answer"] == "inconclusive", "the two nearly cancel"
