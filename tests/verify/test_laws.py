"""The mathematics of the laws, on what the package itself computes: expectations, thresholds and words."""

from itertools import product
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdtrace.schema.run import Run
from sdtrace.stats.ratio import FEWEST, clustered
from sdtrace.verify.band import AGREE, DISAGREE, EXACT
from sdtrace.verify.explain import explain_steps
from sdtrace.verify.law import Bands, Judged
from sdtrace.verify.laws import LAWS
from sdtrace.verify.laws.block import LAW as BLOCK
from sdtrace.verify.laws.block import thresholds
from tests.made.hand_steps import flat, steps

SURE = Bands(EXACT, EXACT)

Row = list[float]


def judged(law: str, frame: pl.DataFrame, **params: Any) -> Judged:
    return LAWS[law].judge(flat(frame), params, SURE)


@st.composite
def pair(draw: st.DrawFn) -> tuple[Row, Row]:
    """Target and draft rows over a small vocabulary, zeros included; the draft can draw something."""
    size = draw(st.integers(2, 6))
    weights = st.lists(st.integers(0, 20), min_size=size, max_size=size).filter(lambda w: sum(w) > 0)
    p, q = draw(weights), draw(weights)
    return [v / sum(p) for v in p], [v / sum(q) for v in q]


def chances(law: str, p: Row, q: Row | None, **params: Any) -> Row:
    """The law's probability of acceptance of every token that the draft may draw."""
    rows = [
        {
            "draft_token_ids": [x],
            "target_probs": [p[x]],
            "draft_probs": None if q is None else [q[x]],
            "num_accepted": 1,
        }
        for x in range(len(p))
    ]
    return [float(v) for v in judged(law, steps(rows), **params).expected]


def variation(p: Row, q: Row) -> float:
    return 0.5 * sum(abs(a - b) for a, b in zip(p, q, strict=True))


def emitted(p: Row, q: Row, beta: Row) -> Row:
    """The law of one emitted token: accepted draft, or max(0, p - q) renormalised (Leviathan et al. 2023)."""
    kept = [d * b if d > 0 else 0.0 for d, b in zip(q, beta, strict=True)]
    spread = [max(0.0, a - b) for a, b in zip(p, q, strict=True)]
    total = sum(spread)
    left = 1.0 - sum(kept)
    return [k + (left * s / total if total > 0 else 0.0) for k, s in zip(kept, spread, strict=True)]


@given(pair())
def test_the_ratio_law_emits_the_target(rows: tuple[Row, Row]) -> None:
    p, q = rows
    assert emitted(p, q, chances("ratio", p, q)) == pytest.approx(p, abs=1e-9)


@pytest.mark.slow
@given(pair())
def test_acceptance_is_one_minus_total_variation_whichever_way_it_is_counted(rows: tuple[Row, Row]) -> None:
    p, q = rows
    forward, reverse = chances("ratio", p, q), chances("ratio", q, p)
    from_draft = sum(d * b for d, b in zip(q, forward, strict=True) if d > 0)
    from_target = sum(t * b for t, b in zip(p, reverse, strict=True) if t > 0)
    assert from_draft == pytest.approx(1 - variation(p, q), abs=1e-9)
    assert from_target == pytest.approx(from_draft, abs=1e-9)


@pytest.mark.slow
@given(pair(), st.floats(0.3, 1.0))
def test_lenience_moves_the_text_by_what_it_accepts_too_much(rows: tuple[Row, Row], lenience: float) -> None:
    p, q = rows
    beta = chances("lenient", p, q, lenience=lenience)
    strict = chances("ratio", p, q)
    excess = sum(d * (b - a) for d, a, b in zip(q, strict, beta, strict=True) if d > 0)
    assert excess >= -1e-12
    away = variation(p, emitted(p, q, beta))
    assert away <= excess + 1e-9
    # accepted tokens alone: none is more than 1/lenience times as likely as under the target (appendix A.5)
    assert all(d * b <= t / lenience + 1e-9 for t, d, b in zip(p, q, beta, strict=True) if d > 0)


@pytest.mark.slow
@given(pair(), st.integers(0, 5))
def test_a_certain_draft_is_accepted_with_its_target_probability(rows: tuple[Row, Row], token: int) -> None:
    p, x = rows[0], token % len(rows[0])
    for law in ("one-hot", "tree-coin", "ratio", "match"):
        assert chances(law, p, None, topk=1)[x] == pytest.approx(p[x])


@pytest.mark.parametrize(("law", "accepted"), [("ratio", 10 / 9), ("block", 11 / 9)])
def test_the_two_token_example_of_block_verification(law: str, accepted: float) -> None:
    """p = (1/3, 2/3), q = (2/3, 1/3), two drafted tokens: 10/9 accepted token by token, 11/9 by blocks (Sun et al. 2024)."""
    p, q = (1 / 3, 2 / 3), (2 / 3, 1 / 3)
    low = high = 0.0
    for block in product((0, 1), repeat=2):
        weight = float(np.prod([q[x] for x in block]))
        row = {"draft_token_ids": list(block), "target_probs": [p[x] for x in block], "num_accepted": 2}
        row |= {"draft_probs": [q[x] for x in block], "overlap": [2 / 3, 2 / 3], "uniforms": [0.5, 0.5]}
        if law == "ratio":
            first, second = judged("ratio", steps([row])).expected
            low += weight * (first + first * second)
            high = low
        else:
            (low_1, low_2), (high_1, high_2) = thresholds(flat(steps([row])), SURE)
            # n_a = 2 with probability h_2, 1 with (1 - h_2) h_1
            low += weight * (2 * low_2 + (1 - low_2) * low_1)
            high += weight * (2 * high_2 + (1 - high_2) * high_1)
    assert low - 1e-4 <= accepted <= high + 1e-4
    if law == "ratio":
        assert low == pytest.approx(accepted)
    else:
        assert low > 10 / 9 + 0.03  # the bounds still tell the two laws apart
        assert high < 4 / 3


@pytest.mark.slow
@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0.01, 1), st.floats(0.01, 1), st.floats(0.001, 0.999)), min_size=1, max_size=6))
def test_block_thresholds_end_in_the_capped_product(tokens: list[tuple[float, float, float]]) -> None:
    """h_tau = P_tau: the last threshold is known exactly, overlap or not."""
    p, q, r = (list(values) for values in zip(*tokens, strict=True))
    row = {"draft_token_ids": list(range(len(p))), "target_probs": p, "draft_probs": q, "uniforms": r}
    low, high = thresholds(flat(steps([row | {"num_accepted": len(p)}])), SURE)
    reach = 1.0
    for a, b in zip(p, q, strict=True):
        reach = min(1.0, reach * a / b)
    assert low[-1] <= reach <= high[-1] + 1e-12
    assert high[-1] - low[-1] < 1e-3
    decision = BLOCK.judge(flat(steps([row | {"num_accepted": len(p)}])), {}, SURE).decision[-1]
    if abs(r[-1] - reach) > 1e-3:
        assert decision == (AGREE if r[-1] <= reach else DISAGREE)


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8),
    st.integers(0, 8),
    st.sampled_from(["ratio", "one-hot"]),
)
def test_the_words_and_the_audit_never_contradict(
    tokens: list[tuple[float, float, float]], accepted: int, law: str
) -> None:
    p, q, r = (list(values) for values in zip(*tokens, strict=True))
    n_a = min(accepted, len(p))
    row = {"draft_token_ids": list(range(len(p))), "target_probs": p, "draft_probs": q, "uniforms": r}
    frame = steps([row | {"num_accepted": n_a}])
    decided = LAWS[law].judge(flat(frame), {}, SURE)
    told = explain_steps(frame, Run(rule=law))[0]["tokens"]
    for audit, tested, token in zip(decided.decision, decided.tested, told, strict=True):
        if token["decision"] in ("not reached", "undecidable") or not tested:
            continue
        if audit == DISAGREE:  # the audit allows for the engine's own rounding, the words do not
            assert token["agrees"] is False
        if token["agrees"] is True:
            assert audit != DISAGREE


LOSSY: list[tuple[str, dict[str, Any], dict[str, Any], list[int]]] = [
    # typical: bar = min(0.3, 0.5 e^-H); H = 1 gives 0.184: 0.2 is above, 0.1 below
    ("typical", {"posterior_threshold": 0.3, "posterior_alpha": 0.5}, {"target_entropy": [1.0, 1.0]}, [1, 1]),
    ("typical", {"posterior_threshold": 0.3, "posterior_alpha": 0.9}, {"target_entropy": [1.0, 1.0]}, [-1, 1]),
    ("typical", {}, {"target_entropy": [1.0, 1.0]}, [0, 0]),
    ("relaxed", {"relaxed_topk": 2, "relaxed_delta": 0.5}, {}, [1, 1]),
    ("relaxed", {"relaxed_topk": 2, "relaxed_delta": 0.1}, {}, [-1, 1]),
    ("synthetic", {"acceptance_rate": 0.5}, {"uniforms": [0.4, 0.6]}, [1, 1]),
    ("synthetic", {"rates": [0.3, 0.7]}, {"uniforms": [0.4, 0.6]}, [-1, -1]),
    ("tree-coin", {"topk": 1, "threshold_single": 0.15}, {"uniforms": [0.9, 0.9]}, [1, 1]),
    ("tree-coin", {"topk": 1}, {"uniforms": [0.9, 0.9]}, [-1, 1]),
    ("tree-coin", {"topk": 1, "threshold_acc": 0.5}, {"uniforms": [0.3, 0.3]}, [1, 1]),
    # with siblings, or where nobody says, a coin above p(x) may still be under a running sum; one under p(x) accepts
    ("tree-coin", {"topk": 4}, {"uniforms": [0.9, 0.9]}, [0, 1]),
    ("tree-coin", {}, {"uniforms": [0.9, 0.05]}, [0, -1]),
    ("tree-coin", {"threshold_single": 0.05}, {"uniforms": [0.9, 0.9]}, [1, -1]),
    ("multi-draft", {}, {"uniforms": [0.9, 0.01]}, [0, 0]),
    ("multi-draft", {"num_drafts": 3}, {"target_probs": [0.0, 0.1]}, [-1, 0]),
    ("multi-draft", {"num_drafts": 1}, {"uniforms": [0.9, 0.9]}, [-1, 1]),
    ("unknown", {}, {"uniforms": [0.9, 0.01]}, [0, 0]),
    # FLy without its parameters: a block may end at a token that the ratio law rejects, and at no other
    ("fly", {}, {"uniforms": [0.9, 0.9]}, [0, 0]),
    ("fly", {}, {"uniforms": [0.1, 0.01]}, [1, -1]),
    # outside a thinking phase the target's best alone is right; in it others are
    ("relaxed", {"relaxed_topk": 2, "relaxed_delta": 0.5}, {"draft_token_ids": [7, 9]}, [1, 0]),
    ("relaxed", {"relaxed_topk": 2, "relaxed_delta": 0.1}, {"draft_token_ids": [7, 9]}, [-1, 1]),
    ("relaxed", {"relaxed_topk": 2, "relaxed_delta": 0.5}, {"draft_token_ids": [3, 3]}, [1, -1]),
    ("tree-coin", {"topk": 1, "threshold_acc": 0.0}, {"uniforms": [0.9, 0.9]}, [1, -1]),
    ("lenient", {"lenience": 0.5}, {"uniforms": [0.7, 0.7]}, [1, 1]),
    ("lenient", {}, {"uniforms": [0.7, 0.7]}, [0, 0]),
]


@pytest.mark.parametrize(("law", "params", "columns", "expected"), LOSSY)
def test_lossy_laws_decide_by_their_declared_parameters(
    law: str, params: dict[str, Any], columns: dict[str, Any], expected: list[int]
) -> None:
    """Two tokens, the first accepted, the second rejected."""
    row = {"draft_token_ids": [7, 8], "target_probs": [0.2, 0.1], "draft_probs": [0.5, 0.6], "num_accepted": 1}
    tops = {"target_top_ids": [[3, 7], [3, 9]], "target_top_probs": [[0.6, 0.2], [0.6, 0.2]]}
    assert judged(law, steps([row | tops | columns]), **params).decision.tolist() == expected


def test_the_clustered_interval_against_a_case_worked_by_hand() -> None:
    """A = (4, 6, 8) and D = (2, 2, 2), three times: theta 3, e = (-2, 0, 2), variance 9/8 * 24 / 18^2, t(8, .975) = 2.306004."""
    table = pl.DataFrame({"a": [4, 6, 8] * 3, "d": [2, 2, 2] * 3})
    half = 2.306004 * (9 / 8 * 24 / 18**2) ** 0.5
    assert clustered(table, "a", "d") == pytest.approx([3 - half, 3 + half], rel=1e-5)
    assert clustered(table.head(FEWEST - 1), "a", "d") is None
