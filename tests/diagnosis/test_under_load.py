"""What counts say beside load, context and time: acceptance that falls with them, steps that slow down, the cache near an onset."""

from pathlib import Path
from typing import Any

import pytest

from tests.made.simulate import document


def window(n: int, share: float, running: int, steps: int = 1000, k: int = 3, tps: float | None = None) -> str:
    """An Engine and a SpecDecoding line of vLLM, every 10 s: `share` of the steps accept each of k drafted tokens."""
    head = f"(APIServer pid=1) INFO 11-23 15:{n // 6:02d}:{10 * (n % 6):02d}"
    one = round(share * steps)
    accepted, drafted = k * one, k * steps
    speed = (steps + accepted) / 10 if tps is None else tps
    return (
        f"{head} [loggers.py:335] Engine 000: Avg prompt throughput: 0.0 tokens/s, Avg generation throughput: {speed:.1f} tokens/s, "
        f"Running: {running} reqs, Waiting: 0 reqs, GPU KV cache usage: 2.0%\n{head} [metrics.py:120] SpecDecoding metrics: Mean "
        f"acceptance length: {1 + accepted / steps:.2f}, Accepted throughput: {accepted / 10:.2f} tokens/s, Drafted throughput: "
        f"{drafted / 10:.2f} tokens/s, Accepted: {accepted} tokens, Drafted: {drafted} tokens, Per-position acceptance rate: "
        f"{', '.join([f'{share:.3f}'] * k)}, Avg Draft acceptance rate: {100 * accepted / drafted:.1f}%\n"
    )


def decode(n: int, length: float, tokens: int, running: int = 1) -> str:
    """A decode line of SGLang 0.5.11+ with three drafted tokens a step."""
    return (
        f"[2026-11-23 15:{n // 6:02d}:{10 * (n % 6):02d} TP0] Decode batch, #running-req: {running}, #token: {tokens}, token usage: 0.05, "
        f"accept len: {length:.2f}, accept rate: {(length - 1) / 3:.2f}, cuda graph: True, gen throughput (token/s): 90.00, #queue-req: 0\n"
    )


def said(folder: Path, text: str, name: str = "server.log") -> dict[str, Any]:
    path = folder / name
    path.write_text(text)
    return document(path)


#: load of a window, up and down twice, or up once
WAVES = [2 if n // 10 % 2 == 0 else 40 for n in range(40)]
ONCE = [2 if n < 20 else 40 for n in range(40)]


@pytest.mark.one_of(3)
@pytest.mark.parametrize(
    ("loads", "full", "told"),
    [(WAVES, 0.2, True), (WAVES, 0.55, False), (ONCE, 0.2, False)],
    ids=["falls whenever it is full", "hardly falls", "fell once"],
)
def test_acceptance_that_falls_with_load(loads: list[int], full: float, told: bool, tmp_path: Path) -> None:
    """60% at 2 running requests in the emptiest third, 20% at 40 in the fullest: a third of it, and it comes back in between."""
    found = said(tmp_path, "".join(window(n, 0.6 if load == 2 else full, load) for n, load in enumerate(loads)))
    heads = [c["headline"] for c in found["causes"] if "running requests" in c["headline"] and "SD440" in c["checks"]]
    assert bool(heads) is told
    if told:
        assert heads == [
            "few of the drafted tokens are accepted: from 60% at 2 running requests to 20% at 40 running requests (medians of the "
            "emptiest and the fullest third of the records)"
        ]


@pytest.mark.one_of(2)
@pytest.mark.parametrize("falls", [True, False])
def test_acceptance_that_falls_with_the_context(falls: bool, tmp_path: Path) -> None:
    """One request from 1,000 to 40,000 tokens: 3.0 to 1.4 tokens per step; time passes with it, so that it is a suspicion."""
    rows = [decode(n, 3.0 - 0.04 * n * falls, 1000 * (n + 1)) for n in range(40)]
    hit = [c for c in said(tmp_path, "".join(rows))["causes"] if c["cause"] == "long-context-decay"]
    assert [c["certainty"] for c in hit] == ["suspected"] * falls


@pytest.mark.slow
def test_an_event_of_the_cache_stands_beside_the_onset(tmp_path: Path) -> None:
    event = "(EngineCore pid=7) INFO 11-23 15:02:01 [block_pool.py:378] Successfully reset prefix cache\n"
    text = "".join(window(n, 0.6 if n < 12 else 0.0, 2) + (event if n == 12 else "") for n in range(24))
    found = said(tmp_path, text)
    assert found["causes"][0]["cause"] == "drafter-miswired"
    assert "beside it the prefix cache was emptied" in found["causes"][0]["headline"]
    assert [c["says"] for c in found["changes"] if c["what"] == "cache"] == ["the prefix cache was emptied"]


@pytest.mark.one_of(2)
@pytest.mark.parametrize(
    ("loads", "state"),
    [([8] * 40, "cannot-tell"), ([8] * 20 + [40] * 20, "healthy")],
    ids=["the same load", "five times the load"],
)
def test_steps_that_take_longer_at_the_same_load(loads: list[int], state: str, tmp_path: Path) -> None:
    """1,000 steps of 8 requests in 10 s are 80 ms each, 250 are 320 ms: four times as long, and acceptance is the same."""
    text = "".join(window(n, 0.6, load, steps=1000 if n < 20 else 250) for n, load in enumerate(loads))
    found = said(tmp_path, text)
    assert found["verdict"]["state"] == state
    assert ("each step takes 4.0 times as long since 15:03:20 (80 to 320 ms" in found["verdict"]["headline"]) is (
        state != "healthy"
    )


@pytest.mark.slow
def test_steps_without_a_draft_are_steps(tmp_path: Path) -> None:
    """Of 1,000 steps in 10 s three of four find no draft from the 20th window on: 250 + 450 accepted + 750 are 1,450 tokens, and
    1,450 - 450 steps are 80 ms each as before."""
    rows = [window(n, 0.6, 8, steps=1000 if n < 20 else 250, tps=None if n < 20 else 145.0) for n in range(40)]
    found = said(tmp_path, "".join(rows))
    assert [c["what"] for c in found["changes"]] == ["throughput"]
    assert "as long" not in found["verdict"]["headline"]


def test_a_draft_of_one_token_is_not_to_be_shortened(tmp_path: Path) -> None:
    """180 of 1,000: 18%, one token a step."""
    cause = said(tmp_path, window(0, 0.18, 2, k=1))["causes"][0]
    assert cause["headline"].endswith("180 of 1,000 (18.0%), 1.18 tokens per drafting step")
    assert "cannot be shortened" in cause["advice"]


def test_an_incident_from_the_start_has_the_time_of_the_start(tmp_path: Path) -> None:
    found = said(tmp_path, "".join(window(n, 0.0, 2) for n in range(3)))["incident"]
    assert found["from_start"]
    assert found["since"] % 86_400 == 15 * 3600


def test_the_least_number_of_steps_is_called_so(tmp_path: Path) -> None:
    """347 drafted tokens of 16 a step at most: 22 steps or more, 134 or fewer."""
    timings = '{"timings": {"predicted_n": 200, "predicted_ms": 11082.6, "draft_n": 347, "draft_n_accepted": 65}}\n'
    headline = said(tmp_path, timings, "answers.jsonl")["verdict"]["headline"]
    assert headline == "18.7% of drafted tokens accepted; drafting steps are not counted; 22 at least, and 90 would do"


def test_steps_without_a_draft_that_only_the_throughput_tells(tmp_path: Path) -> None:
    """60 tokens/s over 29 distances of 10 s are 17,400 tokens; 90 of them accepted in 60 drafting steps: 17,310 steps, 99.7% without."""
    text = "".join(window(n, 0.5, 1, steps=2, tps=60.0) for n in range(30))
    headline = said(tmp_path, text)["verdict"]["headline"]
    assert headline.startswith("2.50 tokens per drafting step, but about 99.7% of some 17,310 steps had no draft; ")


def test_a_throughput_speaks_of_no_more_than_its_own_seconds(tmp_path: Path) -> None:
    """Every 50th window, of an idle server or of a copy: 1,000 tokens of 10 s do not stand for 500 s."""
    text = "".join(window(50 * n, 0.5, 1) for n in range(30))
    assert "had no draft" not in said(tmp_path, text)["verdict"]["headline"]


def test_a_throughput_that_drafting_steps_explain_says_nothing_of_others(tmp_path: Path) -> None:
    assert "had no draft" not in said(tmp_path, "".join(window(n, 0.5, 1) for n in range(30)))["verdict"]["headline"]
