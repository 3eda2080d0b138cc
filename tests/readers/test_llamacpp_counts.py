"""llama.cpp by era: what `a`, `#gen drafts` and the request line mean, and how many steps the tokens of a request tell."""

from pathlib import Path
from typing import Any

import pytest

from tests.made.envelope_samples import sums
from tests.made.log_samples import LLAMA_COINS
from tests.made.reading import told
from tests.made.simulate import document

SLOT = "0.10.000.000 I slot print_timing: id  0 | task 0 |"
EVAL = "eval time =    1000.00 ms / {n:5d} tokens (   10.00 ms per token,   100.00 tokens per second)"
RATE_A = "draft acceptance rate = {r:.5f} ({a:5d} accepted / {d:5d} generated)"
RATE_D = "draft acceptance = {r:.5f} ({a:5d} accepted / {d:5d} generated), mean len = {m:5.2f}"
STATISTICS = "statistics draft: #calls(b,g,a) = 1 {g} {c}, #gen drafts = {g}, #acc drafts = {t}, #gen tokens = {d}, #acc tokens = {a}"
FIXED = "common_context_can_seq_rm: the target context does not support partial sequence removal"


def request_d(n: int, a: int, d: int, m: float, task: int = 0) -> str:
    head = SLOT.replace("task 0", f"task {task}")
    return f"{head} {EVAL.format(n=n)}\n{head} {RATE_D.format(r=a / d, a=a, d=d, m=m)}\n"


def request_a(n: int, a: int, d: int, head: str = "slot print_timing: id  0 | task 0 | ") -> str:
    return f"{head}\nprompt {EVAL.format(n=10)}\n       {EVAL.format(n=n)}\n{RATE_A.format(r=a / d, a=a, d=d)}\n"


def statistics(g: int, c: int, t: int, d: int, a: int, more: str = "") -> str:
    return STATISTICS.format(g=g, c=c, t=t, d=d, a=a) + more + "\n"


#: log -> (steps, drafted, accepted, tokens per step, between)
TABLE: dict[str, tuple[str, tuple[Any, ...]]] = {
    # 1 + 60/30; the second: 3001 = 1 + 1800 + 1200 steps, and 1 + 1800/1200 is the printed 2.50
    "both count": (request_d(91, 60, 90, 3.0) + request_d(3001, 1800, 3600, 2.5, 31), (1230, 3690, 1860, 1 + 1860 / 1230, None)),
    # 2500 tokens: 1 + 1800 + 699, which 2.50 does not allow: half of the steps drafted, how many is not pinned down
    "one cannot": (request_d(91, 60, 90, 3.0) + request_d(2500, 1800, 3600, 2.5, 31), (None, 3690, 1860, 3.0, None)),
    # 100 = 1 + 60 + 39
    "generation A": (request_a(100, 60, 80), (39, 80, 60, 1 + 60 / 39, None)),
    "generation A, head stamped": (request_a(100, 60, 80, SLOT), (39, 80, 60, 1 + 60 / 39, None)),
    # calls = drafts accepted in part = 100 of 200 drafts: calls skip the other 100; 501 = 1 + 300 + 200
    "calls skip": (request_a(501, 300, 1500) + statistics(200, 100, 100, 1500, 300), (200, 1500, 300, 2.5, None)),
    # b4970 skips them, whatever else is counted: 100 calls of 200 drafts; in b11434 every judged draft is a call
    "an old build": ("build: 4970 (ab12)\n" + request_a(501, 300, 1500) + statistics(200, 100, 90, 1500, 300), (200, 1500, 300, 2.5, None)),
    "a new build": (
        "0.00.001.000 I build_info: b11434-ab12cd3\n" + request_a(501, 300, 1500) + statistics(200, 100, 100, 1500, 300),
        (100, 1500, 300, 4.0, None),
    ),
    # a mean length is printed: it is per call, 1 + 300/150, and 50 drafts were never judged
    "calls are steps": (statistics(200, 150, 100, 1500, 300, ", #mean acc len = 3.00"), (150, 1500, 300, 3.0, None)),
    # 213 = 1 + 1 + 211 steps; of the share 0.005 of one accepted token alone 182 to 222 could be
    "a share of few": (
        f"{SLOT} {EVAL.format(n=213)}\n{SLOT} draft acceptance = 0.00158 (    1 accepted /   633 generated), "
        "mean acceptance length =  1.00, acceptance rate per position = (0.005, 0.000, 0.000)\n",
        (211, 633, 1, 1 + 1 / 211, None),
    ),
    # 673 = 526 + 147 steps: 730 drafted tokens fit in 147 steps of five; the drafter's own times behind it are no request
    "llama-speculative": (
        "decoded  673 tokens in   12.132 seconds, speed:   55.473 t/s\n\nn_draft   = 5\nn_predict = 673\nn_drafted = 730\n"
        "n_accept  = 526\naccept    = 72.055%\n\ndraft:\n\nllama_perf_context_print:        eval time =    5000.00 ms /   730 runs   ("
        "    6.85 ms per token,   146.00 tokens per second)\n",
        (147, 730, 526, 1 + 526 / 147, [146, 147]),
    ),
    # a request that accepts nothing prints no length: the other one drafts 90/30 = 3 a step, so 300 need 100 steps at least
    "nothing accepted": (
        request_d(91, 60, 90, 3.0) + request_d(101, 0, 300, 1.0, 31), (130, 390, 60, 1 + 60 / 130, None)
    ),
    # 110 of 110 by construction: the statistics line counts 110 of 214 in 81 drafts
    "no way back": (
        f"{FIXED}\n{request_a(200, 110, 110)}{statistics(81, 33, 33, 214, 110)}", (81, 214, 110, 1 + 110 / 81, None)
    ),
}  # fmt: skip


@pytest.mark.one_of(6)
@pytest.mark.parametrize("name", TABLE)
def test_by_hand(name: str, tmp_path: Path) -> None:
    text, (steps, drafted, accepted, length, between) = TABLE[name]
    path = tmp_path / "server.log"
    path.write_text(text)
    a = document(path)["acceptance"]
    assert (a["steps"], a["drafted"], a["accepted"], a["steps_between"]) == (steps, drafted, accepted, between)
    assert a["tokens_per_step"] == pytest.approx(length, abs=1e-9)


def test_steps_that_drafted_lie_between(tmp_path: Path) -> None:
    """At most 3 tokens a step are drafted: 80 need 27 steps, and 100 = 1 + 60 + 39 allow 39."""
    path = tmp_path / "server.log"
    path.write_text(f"llama-server -m a.gguf -md b.gguf --draft-max 3\n{request_a(100, 60, 80)}")
    a = document(path)["acceptance"]
    assert a["steps_between"] == [27, 39]
    assert a["tokens_per_step"] == pytest.approx(1 + 60 / 39)


def test_requests_are_right_where_statistics_count_replays(tmp_path: Path) -> None:
    """Of the same 594 drafted tokens the statistics accept 99, replays of a rejected part; the requests, rightly, none."""
    path = tmp_path / "server.log"
    path.write_text(
        "".join(
            request_d(73, 0, 66, 1.0, 60 * j)
            + f"0.20.000.000 I spec common_specu: statistics draft-mtp: #calls(b,g,a) = {j} {11 * j} {11 * j}, #gen drafts = {11 * j}, "
            f"#acc drafts = {11 * j}, #gen tokens = {66 * j}, #acc tokens = {11 * j}, #mean acc len = 2.00, #acc rate/pos = (1.000)\n"
            for j in range(1, 10)
        )
    )
    a = document(path)["acceptance"]
    assert (a["steps"], a["drafted"], a["accepted"], a["tokens_per_step"]) == (99, 594, 0, 1.0)


@pytest.mark.slow
def test_only_no_way_back_sets_a_request_line_aside(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    path.write_text(f"{FIXED}\n{request_a(200, 110, 110)}")
    assert document(path)["acceptance"] is None or document(path)["acceptance"]["accepted"] is None
    path.write_text(request_a(200, 110, 110))
    assert document(path)["acceptance"]["accepted"] == 110


def test_user_text_does_not_go_on_where_a_head_began(tmp_path: Path) -> None:
    """Behind the head come the engine's own lines, one after the other; a line in between ends them."""
    text = request_a(100, 60, 80, SLOT) + "0.11.000.000 I srv  update_slots: all slots are idle\n"
    path = tmp_path / "server.log"
    path.write_text(text + RATE_A.format(r=1.0, a=999, d=999) + "\n")
    assert document(path)["acceptance"]["accepted"] == 60


@pytest.mark.one_of(2)
@pytest.mark.parametrize(
    ("front", "apart"), [("", 1), ("[pod/a-0/server] ", 2), ("server-1  | ", 2)], ids=["one", "pods", "compose"]
)
def test_pods_are_kept_apart(front: str, apart: int, tmp_path: Path) -> None:
    """The same request printed by two pods is two requests; printed twice by one it is one."""
    line = f"{front}{SLOT} {RATE_D.format(r=2 / 3, a=60, d=90, m=3.0)}\n"
    path = tmp_path / "server.log"
    path.write_text(line + line.replace("a-0", "a-1").replace("server-1", "server-2"))
    found = document(path)
    assert found["acceptance"]["accepted"] == 60 * apart
    assert sum(loss["count"] for loss in found["inputs"][0]["losses"]) == 2 - apart


def test_speeds_of_programs_without_requests(tmp_path: Path) -> None:
    """898 tokens in 27.636 s of llama-cli, 673 in 12.132 s of llama-speculative: the base and the other side of a comparison."""
    cli, spec = tmp_path / "cli.log", tmp_path / "spec.log"
    cli.write_text(
        "llama_perf_context_print:        eval time =   27636.04 ms /   898 runs   (   30.78 ms per token,    32.49 tokens per second)\n"
    )
    spec.write_text(TABLE["llama-speculative"][0])
    assert sums(cli)[1]["emitted"] == 898
    assert sums(spec)[1]["emitted"] == 673
    assert sums(spec)[1]["generation_tps"] == 55.473


@pytest.mark.slow
def test_llama_speculative_coins_are_recomputed(tmp_path: Path) -> None:
    """r, p_dft and p_tgt stand in the debug log: 2 of 3 decisions are right, 0.6 > 0.4 / 0.8 was accepted all the same."""
    found = told(tmp_path, LLAMA_COINS)
    assert (found["audit"]["tested"], found["audit"]["agree"], found["audit"]["disagree"]) == (3, 2, 1)
    assert found["causes"][0]["side"] == "wrong"
    assert found["causes"][0]["evidence"][0]["line"] == 9
    assert "several branches" in found["inputs"][0]["losses"][0]["what"]
    fixed = LLAMA_COINS.replace("r = 0.600000", "r = 0.500000")
    assert told(tmp_path, fixed)["audit"]["disagree"] == 0
