"""Since when: falls of acceptance are dated, causes from the start are disproved by what was healthy before."""

from pathlib import Path
from typing import Any

import pytest

from tests.made.simulate import document

LINE = "(APIServer pid=1) INFO 03-02 {h:02}:{m:02}:{s:02} [loggers.py:271] Engine {e:03}: "
LOAD = (
    "Avg prompt throughput: 50.0 tokens/s, Avg generation throughput: {tps:.1f} tokens/s, Running: 4 reqs, Waiting: 0 reqs, GPU KV "
    "cache usage: 20.0%, Prefix cache hit rate: 0.0%\n"
)
SPEC = (
    "SpecDecoding metrics: Mean acceptance length: {mean:.2f}, Accepted throughput: {a:.2f} tokens/s, Drafted throughput: {d:.2f} "
    "tokens/s, Accepted: {accepted} tokens, Drafted: {drafted} tokens, Per-position acceptance rate: {positions}, Avg Draft "
    "acceptance rate: {rate:.1f}%\n"
)


def window(i: int, accepted: list[int], steps: int = 200, engine: int = 0) -> str:
    """One window of ten seconds: tokens accepted by position, of so many steps."""
    m, s = divmod(10 * i, 60)
    head = LINE.format(h=10 + m // 60, m=m % 60, s=s, e=engine)
    total, drafted = sum(accepted), steps * len(accepted)
    spec = SPEC.format(
        mean=1 + total / steps,
        a=total / 10,
        d=drafted / 10,
        accepted=total,
        drafted=drafted,
        positions=", ".join(f"{n / steps:.3f}" for n in accepted),
        rate=100 * total / drafted,
    )
    return head + LOAD.format(tps=(total + steps) / 10) + head.replace(f"Engine {engine:03}: ", "") + spec


HEALTHY, DEAD = [172, 136, 100], [0, 0, 0]


def report(folder: Path, text: str) -> dict[str, Any]:
    path = folder / "server.log"
    path.write_text(text)
    return document(path)


@pytest.mark.slow
def test_a_collapse_is_dated_and_wiring_is_not_it(tmp_path: Path) -> None:
    found = report(tmp_path, "".join(window(i, HEALTHY if i < 8 else DEAD) for i in range(16)))
    (cause,) = (c for c in found["causes"] if c["side"] == "slow")
    assert cause["cause"] == "drafter-miswired"
    assert "68.0% until 10:01:10, 0 of 4,800 since 10:01:20" in cause["headline"]
    assert "right weights" not in cause["advice"]
    assert "SD438" in cause["checks"]
    (change,) = (c for c in found["changes"] if c["what"] == "acceptance")
    assert change["before"] == pytest.approx(0.68)
    assert change["after"] == 0
    assert change["where"].endswith(":18")


def means(i: int, length: float, rate: float) -> str:
    """A line of SGLang, four seconds behind the last one."""
    return (
        f"[2026-03-02 10:{4 * i // 60:02}:{4 * i % 60:02} TP0] Decode batch, #running-req: 4, #token: 20000, token usage: 0.20, accept "
        f"len: {length:.2f}, accept rate: {rate:.2f}, cuda graph: True, gen throughput (token/s): {100 * length:.2f}, #queue-req: 0\n"
    )


def test_means_that_collapse_are_dated_like_counts(tmp_path: Path) -> None:
    """SGLang prints no counts: 0.00 throughout is nothing accepted, and what was accepted before disproves weights and vocabulary."""
    text = "".join(means(i, *((2.8, 0.6) if i < 20 else (1.0, 0.0))) for i in range(50))
    (cause,) = (c for c in report(tmp_path, text)["causes"] if c["side"] == "slow")
    assert cause["cause"] == "drafter-miswired"
    assert "60.0% until 10:01:16, 0.0% since 10:01:20" in cause["headline"]
    assert "right weights" not in cause["advice"]
    assert cause["blame"] == "scheduler"


def test_an_engine_that_sets_its_length_to_none_accepts_none(tmp_path: Path) -> None:
    """The same figures behind the announcement: nobody is accused, and the mean is of drafting steps."""
    healthy, off = ("".join(means(i, *m) for i in r) for m, r in (((2.8, 0.6), range(20)), ((1.0, 0.0), range(21, 60))))
    switch = "[2026-03-02 10:01:20 TP0] Adaptive spec params updated: steps 3 -> 0\n"
    found = report(tmp_path, healthy + switch + off)
    assert found["causes"] == []
    assert found["verdict"]["state"] == "healthy"
    assert found["acceptance"]["tokens_per_step"] == pytest.approx(2.8)


def test_errors_beside_the_onset_are_evidence(tmp_path: Path) -> None:
    error = "(Worker_TP3 pid=7) ERROR 03-02 10:01:15 [mooncake_connector.py:774] Mooncake transfer failed for request. ret=-1.\n"
    text = "".join((error if i == 8 else "") + window(i, HEALTHY if i < 8 else DEAD) for i in range(16))
    found = report(tmp_path, text)
    (cause,) = (c for c in found["causes"] if c["side"] == "slow")
    assert "mooncake_connector.py:774" in cause["headline"]
    assert any(row.get("line") == 17 for row in cause["evidence"])
    assert [c["where"].rsplit(":", 1)[1] for c in found["changes"] if c["what"] == "error"] == ["17"]


def test_a_slow_decline_is_a_finding_with_its_times(tmp_path: Path) -> None:
    shares = (0.81, 0.795, 0.778, 0.745, 0.713, 0.65, 0.565, 0.46, 0.37, 0.292, 0.25, 0.208, 0.193, 0.178)
    levels = [[round(200 * s * f) for f in (1.1, 1.0, 0.9)] for s in shares]
    found = report(tmp_path, "".join(window(i, level) for i, level in enumerate(levels)))
    (cause,) = (c for c in found["causes"] if c["side"] == "slow")
    assert cause["cause"] == "low-acceptance"
    assert found["verdict"]["state"] == "slow"
    (change,) = (c for c in found["changes"] if c["what"] == "acceptance")
    assert change["until"] > change["at"]


@pytest.mark.slow
def test_another_draft_length_is_no_fall_of_the_drafter(tmp_path: Path) -> None:
    """From 1 to 7 drafted tokens the share of accepted ones halves, and the first position is accepted as before."""
    short, long = [150], [150, 90, 50, 20, 8, 3, 1]
    found = report(tmp_path, "".join(window(i, short if i < 10 else long) for i in range(20)))
    assert {c["what"] for c in found["changes"]} >= {"acceptance", "draft_length"}
    assert not [c for c in found["causes"] if c["side"] == "slow" and c["certainty"] != "suspected"]


@pytest.mark.slow
def test_a_fall_that_comes_with_another_length_and_at_the_first_position_is_one(tmp_path: Path) -> None:
    short, long = [150], [30, 3, 1, 0, 0, 0, 0]
    found = report(tmp_path, "".join(window(i, short if i < 10 else long) for i in range(20)))
    assert "low-acceptance" in {c["cause"] for c in found["causes"]}


@pytest.mark.slow
def test_one_engine_of_two_falls(tmp_path: Path) -> None:
    rows = [window(i, DEAD if e and i > 9 else HEALTHY, engine=e) for i in range(20) for e in (0, 1)]
    found = report(tmp_path, "".join(rows))
    falls = [c for c in found["changes"] if c["what"] == "acceptance"]
    assert [c["series"] for c in falls] == ["vllm APIServer:1 Engine 001"]
    assert "10:01:40" in next(c["headline"] for c in found["causes"] if c["cause"] == "drafter-miswired")


@pytest.mark.slow
def test_an_outage_that_ended_accuses_nobody_now(tmp_path: Path) -> None:
    rows = [window(i, DEAD if 10 <= i < 14 else HEALTHY) for i in range(40)]
    found = report(tmp_path, "".join(rows))
    assert [(c["before"] > 0.5, c["after"] > 0.5) for c in found["changes"] if c["what"] == "acceptance"] == [
        (True, False),
        (False, True),
    ]
    assert "SD438" not in {code for c in found["causes"] for code in c["checks"]}


@pytest.mark.slow
def test_two_requests_are_no_fall(tmp_path: Path) -> None:
    """Fewer than a hundred drafted tokens on one side: a request ended and another one began."""
    few = "".join(window(i, [4, 4, 4] if i < 6 else [0, 0, 0], steps=4) for i in range(16))
    found = report(tmp_path, few)
    assert not [c for c in found["causes"] if "SD438" in c["checks"]]
    many = "".join(window(i, [8, 8, 8] if i < 6 else [0, 0, 0], steps=8) for i in range(16))
    assert [c for c in report(tmp_path, many)["causes"] if "SD438" in c["checks"]]


@pytest.mark.slow
def test_what_a_lookup_finds_is_up_to_the_text(tmp_path: Path) -> None:
    head = LINE.format(h=9, m=59, s=50, e=0).replace("Engine 000: ", "")
    told = f"{head}speculative_config=SpeculativeConfig(method='ngram', model=None, num_spec_tokens=3)\n"
    text = "".join(window(i, HEALTHY if i < 8 else DEAD) for i in range(16))
    found = report(tmp_path, told + text)
    assert [c["what"] for c in found["changes"] if c["what"] == "acceptance"]
    assert not [c for c in found["causes"] if "SD438" in c["checks"]]
