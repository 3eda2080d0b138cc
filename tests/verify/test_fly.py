"""FLy: what a record proves of deferred rejections, and what it leaves open; watermarks, and thresholds below 1."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from sdtrace.results.not_checked import sentences
from sdtrace.schema.run import Run
from sdtrace.simulate import Settings
from sdtrace.verify.band import EXACT
from sdtrace.verify.law import Bands, parameters
from sdtrace.verify.laws import LAWS
from sdtrace.verify.watermark import tagged, watermarked
from tests.made.hand_steps import flat, steps
from tests.power.judge import at_level, diagnosed, made

FLY = {"fly_window_size": 2, "fly_entropy_threshold": 0.3, "fly_entropy_top_k": 3}
OPEN, SHUT = [[0.5, 0.3, 0.2]], [[0.99, 0.005, 0.005]]
#: Accepted by the ratio law, rejected by it.
YES, NO = 0.1, 0.9


def decided(uniforms: list[float], n_a: int, rows: list[list[float]] | None = None, **more: Any) -> list[int]:
    """Five tokens of p/q = 0.4 in the middle of a request, under FLY unless `params` says otherwise."""
    params = more.pop("params", FLY)
    tau = len(uniforms)
    row = {
        "draft_token_ids": list(range(tau)), "target_probs": [0.2] * tau, "draft_probs": [0.5] * tau, "num_accepted": n_a,
        "uniforms": uniforms, "target_top_probs": rows or OPEN * tau, "target_top_ids": [[1, 2, 3]] * tau,
        "output_token_ids": [*range(n_a), 77],
    } | more  # fmt: skip
    frame = steps([row, row])
    found: list[int] = LAWS["fly"].judge(flat(frame), params, Bands(EXACT, EXACT)).decision.tolist()
    return found[:tau]


CASES = [
    ("all accepted", [YES] * 5, 5, {}, [1] * 5),
    ("a deferred rejection with its window", [YES, NO, YES, YES, YES], 5, {}, [1] * 5),
    ("a gate that is shut", [YES, NO, YES, YES, YES], 5, {"rows": SHUT * 5}, [1, -1, 1, 1, 1]),
    ("the whole row's entropy, below", [NO, YES, YES], 3, {"target_top_probs": None, "target_entropy": [0.2] * 3}, [-1, 1, 1]),
    ("the whole row's entropy, above", [NO, YES, YES], 3, {"target_top_probs": None, "target_entropy": [0.9] * 3}, [0, 1, 1]),
    ("a rejection inside the window", [NO, YES, NO, YES, YES], 5, {}, [-1, 1, 1, 1, 1]),
    ("a window that does not fit", [YES, YES, YES, NO, YES], 5, {}, [1, 1, 1, -1, 1]),
    ("a window that the block does not hold", [YES, NO, YES, YES, YES], 3, {}, [1, -1, 1, -1, 0]),
    ("p is 0", [NO, YES, YES, YES, YES], 5, {"target_probs": [0.0, 0.2, 0.2, 0.2, 0.2]}, [-1, 1, 1, 1, 1]),
    ("a rejection that may have been deferred", [YES, NO, NO, YES, YES], 1, {}, [1, 0, 0, 0, 0]),
    ("a rejection too late to be deferred", [YES, YES, YES, NO, YES], 3, {}, [1, 1, 1, 1, 0]),
    ("a block that ends at an accepted token", [YES, YES, YES, YES, YES], 3, {}, [1, 1, 1, -1, 0]),
    ("no parameters", [YES, NO, YES, YES, YES], 5, {"params": {}}, [1, 0, 1, 1, 1]),
    ("a window of another type", [YES, NO, YES, YES, YES], 5, {"params": FLY | {"fly_window_size": "2"}}, [1, 0, 1, 1, 1]),
    ("a window beyond any draft", [YES, NO, YES, YES, YES], 5, {"params": FLY | {"fly_window_size": 10**12}}, [1, -1, 1, 1, 1]),
    ("no uniforms", [math.nan] * 3, 3, {}, [0, 0, 0]),
]  # fmt: skip


@pytest.mark.one_of(4)
@pytest.mark.parametrize(("uniforms", "n_a", "more", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_what_is_proof(uniforms: list[float], n_a: int, more: dict[str, Any], expected: list[int]) -> None:
    assert decided(uniforms, n_a, **more) == expected


def test_a_clipped_last_step_proves_no_window_missing() -> None:
    """An engine that clips num_accepted at the cut kept more than it says: the last step of a request is left open."""
    row = {
        "draft_token_ids": [0, 1, 2, 3, 4], "target_probs": [0.2] * 5, "draft_probs": [0.5] * 5, "num_accepted": 2,
        "uniforms": [YES, NO, YES, YES, YES], "target_top_probs": OPEN * 5, "output_token_ids": [0, 1, 2],
    }  # fmt: skip
    found = LAWS["fly"].judge(flat(steps([row])), FLY, Bands(EXACT, EXACT)).decision.tolist()
    assert found[:2] == [1, 0]


@pytest.mark.one_of(6)
@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("inverted-ratio", "inverted-ratio"),
        ("fly-gate-inverted", "decision-mismatch"),
        ("fly-short-window", "decision-mismatch"),
    ],
)
@pytest.mark.parametrize("level", ["draws", "rows"])
def test_mutilated_fly_is_named(fault: str, cause: str, level: str) -> None:
    found = diagnosed(at_level(made(Settings(fault, law="fly", tau=6, tested=2500, vocab=256, level="rows")), level))
    named = [c.cause for c in found.causes if "SD101" in c.checks]
    assert named == [cause]


def test_requests_at_temperature_0_defer_too() -> None:
    """Under FLy a drafted token that is not the argmax may be kept: no greedy mismatch; under a shut gate it is one."""
    row = {
        "draft_token_ids": [5, 1, 2], "num_accepted": 3, "target_argmax_ids": [0, 1, 2, 3], "target_top2_gap": [2.0] * 4,
        "target_probs": [0.2] * 3, "target_top_probs": OPEN * 3, "output_token_ids": [5, 1, 2, 3],
    }  # fmt: skip
    for rows, first in ((OPEN, 1), (SHUT, -1)):
        pos = flat(steps([row | {"target_top_probs": rows * 3}] * 2))
        pos.steps.insert_column(0, pos.steps["step"].cast(float).alias("temperature") * 0.0)
        found = LAWS["fly"].judge(pos, FLY, Bands(EXACT, EXACT)).decision.tolist()
        assert found[:3] == [first, 1, 1]


@pytest.mark.one_of(5)
@pytest.mark.parametrize(
    ("config", "on"),
    [
        ({"watermarking": {"algorithm": "dual_key_gumbel"}}, True),
        ({"vllm": {"watermarking_config": {"prf": "philox"}}}, True),
        ({"watermark": "on"}, True),
        ({"watermark": False}, False),
        ({"watermark": "off"}, False),
        ({"watermarking": None}, False),
        ({"watermarking": {"enabled": False}}, False),
        ({"note": "no watermark"}, False),
        ({}, False),
        (["watermark"], False),
    ],
)
def test_a_watermark_is_on_where_the_run_says_so(config: Any, on: bool) -> None:
    assert watermarked(Run(config=json.dumps(config))) is on
    assert watermarked(Run(rule_params=json.dumps(config))) is on
    assert not watermarked(Run(config=json.dumps(config)[:-1] + "watermark"))


@pytest.mark.one_of(2)
@pytest.mark.parametrize("variant", ["watermark", "watermark-tagged"])
def test_watermarked_draws_are_left_out_and_said(variant: str) -> None:
    """The same keyed draws are an accusation where nobody says that they are keyed; wrong decisions are proof all the same."""
    asked = Settings(variant=variant, tested=1500, vocab=128)
    found = diagnosed(made(asked))
    assert [c for c in found.causes if c.side == "wrong"] == []
    assert any("watermarked" in note for note in sentences(found.not_checked))
    wrong = diagnosed(made(Settings("inverted-ratio", variant=variant, tested=1500, vocab=128)))
    assert wrong.causes[0].cause == "inverted-ratio"


def test_tags_without_a_watermark_are_none() -> None:
    frame = steps([{"draft_token_ids": [1], "num_accepted": 0, "output_token_ids": [2]}])
    assert not tagged(frame["request_id"])
    assert not tagged(frame["request_id"].clear())


def test_thresholds_stand_under_the_names_of_the_engine() -> None:
    run = Run(config='{"speculative_accept_threshold_acc": 0.5, "eagle_topk": 1}')
    assert parameters(run)["threshold_acc"] == 0.5
    assert parameters(replace(run, rule_params='{"threshold_acc": 0.7}'))["threshold_acc"] == 0.7
