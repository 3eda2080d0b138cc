"""The catalogue: every check has a manual page, and a case that fires, one that stays clear, one that cannot tell."""

import json
from functools import cache
from typing import Any

import pytest

from sdtrace.checks import CHECKS, by_code
from sdtrace.errors import UsageError
from sdtrace.render import terminal
from sdtrace.simulate import Settings
from sdtrace.simulate import simulate as simulate_product
from sdtrace.writers.convert import line
from tests.made.faults import QUIET, QUIETLY
from tests.made.log import Log
from tests.made.pairs import often
from tests.made.simulate import Scenario, documented, documented_lines
from tests.made.world import Shape

HEADINGS = ("What it finds", "Why it matters", "What to do", "How it can be wrong")
#: Faults of the product's simulator, for checks that read top rows.
ROWS = {
    "SD205": "recovery-reuses-draw",
    "SD206": "lenience-behind-the-first",
    "SD224": "one-draw-a-batch",
    "SD225": "draft-and-test-share",
}
#: Those of counts and of responses: test_counts.py, test_responses.py.
CODES = [check.code for check in CHECKS if not check.code.startswith(("SD3", "SD4"))]
#: Those of a few lines, which one trace of many runs fires together; SD152 reads what all runs have in common.
LINES = [code for code in CODES if code not in {**QUIETLY, **ROWS, "SD152": ""}]
#: In the default suite those that stand neither there nor in tests/diagnosis/test_planted.py.
ALONE = ["SD152", "SD222", *ROWS]

RUN = {"kind": "run", "run_id": "r", "rule": "ratio", "vocab_size": 100, "prob_dtype": "float32"}
REQUEST = {"kind": "request", "run_id": "r", "request_id": "a", "temperature": 1.0, "stop_token_ids": [2], "seed": 1}


def ratio(number: int, n_a: int, **more: Any) -> dict[str, Any]:
    """A lawful step of two drafted tokens with n_a accepted."""
    uniforms = [0.4 if n_a > 0 else 0.91, 0.3 if n_a > 1 else 0.93]
    draft = [10 + number, 20 + number]
    last = {"last_kind": "bonus"} if n_a == 2 else {"last_kind": "recovered", "last_draft_prob": 0.1}
    row = {
        "kind": "step",
        "run_id": "r",
        "request_id": "a",
        "step": number,
        "draft_token_ids": draft,
        "draft_probs": [0.9, 0.8],
        "target_probs": [0.5, 0.45],
        "uniforms": [u + number * 1e-4 for u in uniforms],
        "num_accepted": n_a,
        "accepted": [True] * n_a + [False] * (n_a < 2),
        "output_token_ids": [*draft[:n_a], 40 + number],
        "last_target_prob": 0.3,
        "target_entropy": [1.0, 1.5],
        **last,
    }
    return row | more


def greedy(number: int, **more: Any) -> dict[str, Any]:
    row = {
        "kind": "step",
        "run_id": "r",
        "request_id": "a",
        "step": number,
        "draft_token_ids": [1, 5],
        "num_accepted": 1,
        "output_token_ids": [1, 7],
        "target_argmax_ids": [1, 7, 9],
        "target_top2_gap": [3.0, 2.0, 4.0],
    }
    return row | more


CLEAR = [RUN, REQUEST | {"output_len": 8}, ratio(0, 1), ratio(1, 2), ratio(2, 0), ratio(3, 1)]
GREEDY = [RUN | {"rule": "greedy"}, REQUEST | {"temperature": 0.0}, *(greedy(i) for i in range(4))]
BARE = [{"kind": "step", "request_id": "a", "step": i, "draft_token_ids": []} for i in range(3)]


def fired(code: str) -> list[dict[str, Any]]:
    """A trace in which the check of that code fires."""
    faults: dict[str, list[dict[str, Any]]] = {
        "SD101": [ratio(1, 1, uniforms=[0.9, 0.95])],
        "SD102": [ratio(1, 0, target_probs=[0.95, 0.1])],
        "SD103": [ratio(1, 2, accepted=[False, True])],
        "SD104": [ratio(1, 1, target_probs=[0.0, 0.1])],
        "SD105": [ratio(1, 1, draft_probs=[0.0, 0.8])],
        "SD106": [ratio(1, 1, target_probs=[float("nan"), 0.4])],
        "SD107": [ratio(1, 1, uniforms=[-0.5, 0.93])],
        "SD111": [ratio(1, 1, last_target_prob=0.05)],
        "SD112": [ratio(1, 1, output_token_ids=[11, 21])],
        "SD121": [ratio(1, 2, output_token_ids=[11, 21])],
        "SD122": [ratio(1, 2, output_token_ids=[11, 21, 41, 41])],
        "SD131": [ratio(1, 1, output_token_ids=[11, 41, 42])],
        "SD132": [ratio(1, 1, output_token_ids=[77, 41])],
        "SD134": [ratio(1, 1, num_accepted=3)],
        "SD135": [ratio(1, 1, last_kind="bonus")],
        "SD136": [ratio(1, 1, output_token_ids=[11, 140])],
        "SD162": [ratio(1, 1, output_token_ids=[11, 2])],
        "SD161": [ratio(1, 1, output_token_ids=[2, 41], draft_token_ids=[2, 21])],
    }
    if code in faults:
        return [RUN, REQUEST, ratio(0, 1), *faults[code], ratio(2, 0), ratio(3, 1)]
    if code == "SD133":
        return [RUN, REQUEST | {"output_len": 11}, *CLEAR[2:-1], ratio(3, 1, output_token_ids=[13, 2])]
    if code == "SD137":
        return [RUN, REQUEST | {"output_len": 8, "max_tokens": 6}, *CLEAR[2:]]
    if code == "SD138":
        return [RUN, REQUEST, *(ratio(i, 1, context_len=30 + 2 * i + i // 2) for i in range(8))]
    if code in ("SD141", "SD142"):
        wrong = {"num_accepted": 2, "output_token_ids": [1, 5, 9]} if code == "SD141" else {"output_token_ids": [1, 8]}
        return [*GREEDY[:3], greedy(1, **wrong), *GREEDY[4:]]
    if code == "SD143":
        bare: dict[str, Any] = {"target_top2_gap": None, "target_argmax_ids": [3, 7, 9]}
        return [*GREEDY[:2], *(greedy(i, **bare) for i in range(12))]
    if code == "SD151":
        flat = {"target_entropy": [4.605170186, 4.605170186]}
        return [RUN, REQUEST, *(ratio(i, 1, **flat) for i in range(6))]
    if code == "SD152":
        return [RUN, REQUEST, *(ratio(i, 1, target_entropy=[0.0, 0.0]) for i in range(30))]
    if code == "SD153":
        wide = {"target_entropy": [2.0, 2.0], "target_sq": [0.2, 0.2]}
        return [RUN | {"prob_basis": "processed"}, REQUEST | {"top_k": 3}, *(ratio(i, 1, **wide) for i in range(6))]
    if code == "SD171":
        return [RUN, REQUEST, *(ratio(i, 1, uniforms=[0.4, 0.93]) for i in range(20))]
    if code == "SD182":
        return [RUN, REQUEST, *(ratio(i, 1, output_token_ids=[10 + i % 3, 50 + i % 5]) for i in range(120))]
    if code == "SD181":
        loop = {"draft_token_ids": [50, 51], "output_token_ids": [50, 51]}
        return [RUN, REQUEST, *(ratio(i, 1, **loop) for i in range(60))]
    if code == "SD183":
        return [RUN, REQUEST | {"finish_reason": "length"}, *fired("SD182")[2:]]
    if code == "SD213":
        bare = {"uniforms": None, "draft_probs": [0.2, 0.8]}
        return [RUN | {"rule": "block"}, REQUEST, *(ratio(i, 2, **bare) for i in range(60))]
    assert code == "SD191"
    return [RUN | {"rule": "lenient", "rule_params": {"lenience": 0.9}}, REQUEST, ratio(0, 1)]


def simulated(name: str | None, law: str = "ratio", tested: int = 600) -> dict[str, Any]:
    """The report on a simulated trace; faults that uniforms would prove are logged without them."""
    if name is not None:
        tested = QUIET[name][1]
    log = Log(uniforms=name is None or name in ("draws-biased", "one-draw-a-step-unlogged"))
    return documented(Scenario(law, name, shape=Shape(tested=tested), log=log))


@cache
def with_rows(fault: str) -> dict[str, Any]:
    """The report on a trace of the product's own simulator, top rows included."""
    variant = "batches" if fault == "healthy" else ""
    batches = simulate_product(Settings(fault, tested=900, vocab=128, level="rows", variant=variant))
    tables = [
        (name, frame) for b in batches for name, frame in (("run", b.runs), ("request", b.requests), ("step", b.steps))
    ]
    return read([json.loads(line(name, row)) for name, frame in tables for row in frame.iter_rows(named=True)])


def read(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The report on some lines."""
    return documented_lines("".join(json.dumps(r) + "\n" for r in records))


def state(found: dict[str, Any], code: str) -> str:
    """The state of a check in a report."""
    said: str = next(c["state"] for c in found["checks"] if c["code"] == code)
    return said


@cache
def fired_together() -> dict[str, Any]:
    """The report on a trace with a run for every check of LINES."""
    return read([record | {"run_id": code} for code in LINES for record in fired(code)])


@pytest.mark.slow
@pytest.mark.parametrize("code", LINES)
def test_fires_among_others(code: str) -> None:
    assert state(fired_together(), code) == "fired"


@pytest.mark.one_of(3)
@pytest.mark.parametrize("code", often(ALONE, CODES))
def test_fires(code: str) -> None:
    found = (
        simulated(QUIETLY[code]) if code in QUIETLY else with_rows(ROWS[code]) if code in ROWS else read(fired(code))
    )
    assert state(found, code) == "fired"


def clear(code: str) -> list[dict[str, Any]]:
    """A trace in which the check of that code looks and finds nothing."""
    if code == "SD153":
        narrow = {"target_entropy": [1.0, 1.0], "target_sq": [0.4, 0.4]}
        made = (ratio(i, 1, **narrow) for i in range(6))
        return [RUN | {"prob_basis": "processed"}, REQUEST | {"top_k": 3}, *made]
    if code == "SD152":
        return [RUN, REQUEST, *(ratio(i, 1) for i in range(30))]
    if code == "SD137":
        return [RUN, REQUEST | {"output_len": 8, "max_tokens": 8}, *CLEAR[2:]]
    if code == "SD138":
        return [RUN, REQUEST, *(ratio(i, 1, context_len=30 + 2 * i) for i in range(8))]
    if code == "SD162":
        return [*CLEAR[:-1], ratio(3, 1, output_token_ids=[13, 2])]
    if code == "SD183":
        return [RUN, REQUEST | {"finish_reason": "stop"}, *fired("SD182")[2:]]
    if code in ("SD181", "SD182"):
        return [RUN, REQUEST, *(ratio(i, 1, output_token_ids=[10 + i, 900 + i * i]) for i in range(90))]
    return GREEDY if code.startswith("SD14") else CLEAR


@pytest.mark.one_of(5)
@pytest.mark.parametrize("code", CODES)
def test_stays_clear(code: str) -> None:
    if code in QUIETLY or code == "SD213":
        found = simulated(None, "block" if code in ("SD213", "SD231", "SD241") else "ratio")
    else:
        found = with_rows("healthy") if code in ROWS else read(clear(code))
    assert state(found, code) == "clear"


@pytest.mark.parametrize("code", CODES)
def test_cannot_tell(code: str) -> None:
    assert state(read(BARE), code) == "cannot-tell"


def test_a_trace_that_was_cut_accuses_nobody() -> None:
    """The recorder died, or somebody took the head of the file: the last steps of a request are not there."""
    assert state(read([RUN, REQUEST | {"output_len": 20}, *CLEAR[2:]]), "SD133") == "cannot-tell"


def test_codes_and_pages() -> None:
    assert len(set(CODES)) == len(CODES)
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        places = [check.text.find(f"\n{heading}\n") for heading in HEADINGS]
        assert min(places) > 0, check.code
        assert places == sorted(places)
        assert check.text.split("\n", 1)[0].strip().endswith(".")
        assert check.code in terminal.page(check)
    assert by_code("repeated-uniforms").code == "SD171"
    with pytest.raises(UsageError):
        by_code("SD999")
