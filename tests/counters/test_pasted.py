"""What a paste compares by itself, and what rose or fell together: the change is told, with whose it is and what came with it."""

from pathlib import Path
from typing import Any

import pytest

from tests.made.simulate import document

APIS = "(APIServer pid=1) "


def vllm(second: int, accepted: int, drafted: int = 1200, front: str = APIS) -> str:
    """A window of 10 s with four drafted tokens a step."""
    steps, share = drafted / 4, accepted / drafted
    return (
        f"{front}INFO 11-23 {10 + second // 3600}:{second // 60 % 60:02d}:{second % 60:02d} [metrics.py:101] SpecDecoding metrics: "
        f"Mean acceptance length: {1 + accepted / steps:.2f}, Accepted throughput: {accepted / 10:.2f} tokens/s, Drafted throughput: "
        f"{drafted / 10:.2f} tokens/s, Accepted: {accepted} tokens, Drafted: {drafted} tokens, Per-position acceptance rate: "
        f"{share:.3f}, {share:.3f}, {share:.3f}, {share:.3f}, Avg Draft acceptance rate: {100 * share:.1f}%"
    )


def engine(second: int, number: int, running: int, tokens: float) -> str:
    return (
        f"{APIS}INFO 11-23 10:{second // 60:02d}:{second % 60:02d} [loggers.py:257] Engine 00{number}: "
        f"Avg prompt throughput: 9.0 tokens/s, Avg generation throughput: {tokens:.1f} tokens/s, "
        f"Running: {running} reqs, Waiting: 0 reqs, GPU KV cache usage: 2.0%, "
        "Prefix cache hit rate: 0.0%"
    )


def sglang(second: int, length: float, speed: float, running: int = 1) -> str:
    return (
        f"[2026-11-23 10:{second // 60:02d}:{second % 60:02d}] Decode batch, #running-req: {running}, #token: {3000 + second}, "
        f"token usage: 0.03, accept len: {length:.2f}, accept rate: {(length - 1) / 3:.2f}, cuda graph: True, "
        f"gen throughput (token/s): {speed:.2f}, "
        "#queue-req: 0"
    )


def bare(line: str) -> str:
    return line.partition("] ")[2]


def report(tmp_path: Path, *lines: str) -> dict[str, Any]:
    path = tmp_path / "post.md"
    path.write_text("\n".join(lines) + "\n")
    return document(path)


#: name -> (lines, (before, after) of the change that is told, state of the verdict)
PASTES: dict[str, tuple[list[str], tuple[float, float] | None, str]] = {
    # 780 and 216 of 1,200
    "an upgrade": (["Before:", "```", vllm(0, 780), "```", "After:", "```", vllm(900, 216), "```"], (0.65, 0.18), "cannot-tell"),
    "without a clock": (["before", "", bare(vllm(0, 780)), "", "after", "", bare(vllm(0, 216))], (0.65, 0.18), "cannot-tell"),
    # (780 + 768) / 2400, (216 + 204) / 2400
    "two of each": ([vllm(0, 780), vllm(10, 768), vllm(900, 216), vllm(910, 204)], (0.645, 0.175), "cannot-tell"),
    "another process": ([vllm(0, 780), vllm(900, 216, front="(APIServer pid=7) ")], (0.65, 0.18), "cannot-tell"),
    "for the better": ([vllm(0, 216), vllm(900, 780)], (0.18, 0.65), "healthy"),
    "as before": ([vllm(0, 780), vllm(900, 750)], None, "healthy"),
    "neighbours": ([vllm(0, 780), vllm(10, 216)], None, "healthy"),
    # 40 steps of one prompt tell nothing
    "little": ([vllm(0, 104, 160), vllm(900, 29, 160)], None, "cannot-tell"),
    # (3.4 - 1) / 3, (1.3 - 1) / 3
    "means without counts": ([sglang(0, 3.4, 200), "then", "", "", sglang(600, 1.3, 90)], (0.8, 0.1), "cannot-tell"),
}  # fmt: skip


@pytest.mark.one_of(6)
@pytest.mark.parametrize("name", PASTES)
def test_windows_from_two_places(name: str, tmp_path: Path) -> None:
    lines, shares, state = PASTES[name]
    found = report(tmp_path, *lines)
    told = [(c["before"], c["after"]) for c in found["changes"] or [] if c["what"] == "acceptance"]
    assert told == ([] if shares is None else [pytest.approx(shares, abs=1e-6)])
    assert found["verdict"]["state"] == state
    fell = shares is not None and shares[1] < shares[0]
    assert [(c["cause"], c["certainty"]) for c in found["causes"]] == [("low-acceptance", "suspected")] * fell
    assert not fell or "may hold other requests" in found["causes"][0]["headline"]


def test_means_without_counts_are_told_as_shares(tmp_path: Path) -> None:
    """Three lines of each: no `0 of 0` where nothing is counted."""
    before = [sglang(i, 3.4, 200 + i) for i in range(3)]
    found = report(tmp_path, *before, *(sglang(600 + i, 1.3, 90 + i) for i in range(3)))
    assert "80.0% until 10:00:02, 10.0% since 10:10:00" in found["causes"][0]["headline"]


@pytest.mark.slow
def test_a_fall_under_a_rising_load_says_so(tmp_path: Path) -> None:
    """From 1 to 60 running requests, 70% to 25%: the log alone does not tell load from time."""
    lines = []
    for i in range(60):
        drafted = 120 * (i + 1)
        accepted = round(drafted * (0.70 - 0.45 * i / 59))
        lines += [engine(10 * i, 0, i + 1, (accepted + drafted / 4) / 10), vllm(10 * i, accepted, drafted)]
    (cause,) = [c for c in report(tmp_path, *lines)["causes"] if c["side"] == "slow"]
    assert cause["cause"] == "low-acceptance"
    assert "while running requests went from 1 to 60" in cause["headline"]
    assert "one at a time" in cause["advice"]


@pytest.mark.slow
def test_a_rising_load_alone_is_no_finding(tmp_path: Path) -> None:
    lines = []
    for i in range(60):
        drafted = 120 * (i + 1)
        accepted = round(drafted * (0.66 + 0.02 * (i % 3 - 1)))
        lines += [engine(10 * i, 0, i + 1, (accepted + drafted / 4) / 10), vllm(10 * i, accepted, drafted)]
    found = report(tmp_path, *lines)
    assert (found["verdict"]["state"], found["causes"]) == ("healthy", [])


@pytest.mark.slow
def test_the_engine_that_fell_is_named_and_its_series_is_slow(tmp_path: Path) -> None:
    """Four engines at 65%; engine 003 accepts nothing from the thirteenth window on: 0 of 8 windows x 1,200."""
    lines = []
    for i in range(20):
        for e in range(4):
            lines += [engine(10 * i, e, 4, 120.0), vllm(10 * i, 0 if e == 3 and i >= 12 else 780 + (7 * i + e) % 9)]
    found = report(tmp_path, *lines)
    assert "engine 003" in found["verdict"]["headline"]
    assert "0 of 9,600 since 10:02:00" in found["verdict"]["headline"]
    states = {s["name"]: s["verdict"] for s in found["acceptance"]["series"] if s["by"] == "engine"}
    assert states == {"000": "healthy", "001": "healthy", "002": "healthy", "003": "slow"}


@pytest.mark.slow
def test_a_start_behind_figures_is_a_restart(tmp_path: Path) -> None:
    start = "(APIServer pid=7) INFO 11-23 10:05:00 [api_server.py:1990] vLLM API server version 0.33.0"
    lines = [vllm(10 * i, 780 + i) for i in range(8)]
    found = report(
        tmp_path, *lines, start, *(vllm(320 + 10 * i, 770 + i, front="(APIServer pid=7) ") for i in range(8))
    )
    assert [(c["what"], c["where"].rpartition(":")[2]) for c in found["changes"]] == [("restart", "9")]
    found = report(tmp_path, start, *lines)
    assert found["changes"] == []


def test_of_two_engines_in_one_log_the_one_that_is_broken_is_named(tmp_path: Path) -> None:
    """vLLM at 65%, SGLang beside it at 1.00 tokens per step."""
    lines = [
        line
        for i in range(10)
        for line in ("vllm-1    | " + vllm(10 * i, 780 + i), "sglang-1  | " + sglang(10 * i, 1.0, 100 + i))
    ]
    headline = report(tmp_path, *lines)["verdict"]["headline"]
    assert headline.startswith("sglang: no drafted token is accepted")


@pytest.mark.slow
def test_a_fall_with_a_new_process_is_dated_with_its_start(tmp_path: Path) -> None:
    """65% by the old release, 0 of 8 x 1,200 by the process that was started with the new one; ranks beside each other stay apart."""
    start = "(APIServer pid=7) INFO 11-23 10:02:00 [api_server.py:1990] vLLM API server version 0.33.0"
    front = "(APIServer pid=7) "
    lines = [*(vllm(10 * i, 780 + i) for i in range(8)), start, *(vllm(130 + 10 * i, 0, front=front) for i in range(8))]
    headline = report(tmp_path, *lines)["verdict"]["headline"]
    assert "any more: 65.3% until 10:01:10, 0 of 9,600 since 10:02:10" in headline
    assert "0.33.0" in headline
    both = [line for i in range(8) for line in (vllm(10 * i, 780 + i), vllm(10 * i, 0, front=front))]
    assert [c for c in report(tmp_path, *both)["changes"] if c["what"] == "acceptance"] == []


@pytest.mark.one_of(2)
@pytest.mark.parametrize(
    ("drafted", "accepted", "says"),
    [
        (3000, 150, "model small: 150 of 3,000 (5.0%)"),
        (8000, 1000, None),  # 12.5%, but 2.00 tokens a step: a lookup of eight tokens that pays
    ],
)
def test_a_model_with_a_drafter_of_its_own_is_judged_by_itself(
    drafted: int, accepted: int, says: str | None, tmp_path: Path
) -> None:
    """1,000 steps of each. 2,000 of 3,000 drafted tokens of the other model hide 150 of 3,000: 36% in all."""
    path = tmp_path / "metrics.prom"
    names = ("num_drafts", "num_draft_tokens", "num_accepted_tokens")
    path.write_text(
        "".join(
            f'vllm:spec_decode_{n}_total{{engine="0",model_name="{model}"}} {c}.0\n'
            for model, counts in (("big", (1000, 3000, 2000)), ("small", (1000, drafted, accepted)))
            for n, c in zip(names, counts, strict=True)
        )
    )
    causes = document(path)["causes"]
    assert [(c["cause"], c["certainty"]) for c in causes] == [("low-acceptance", "suspected")] * (says is not None)
    assert all((says or "") in c["headline"] for c in causes)
