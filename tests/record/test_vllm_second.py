"""What the recorder makes of a step of vLLM's model runner V2 from numbers that have arrived (tests/vllm drives the engine's sampler)."""

import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sdtrace.record import vllm
from sdtrace.record.copies import Flat
from sdtrace.record.known import Known
from sdtrace.record.vllm_second import Batch, lines
from sdtrace.verify.streams.philox import uniform


class Host:
    """A tensor that is on the host already."""

    def __init__(self, values: list[float]) -> None:
        self.values = np.array(values)

    def numpy(self) -> Any:
        return self.values


def step(rule: str, *, mixed: bool, **more: tuple[tuple[int, ...], list[float]]) -> dict[str, dict[str, Any]]:
    """Two requests: "a" drafted 7 and 8, kept the first and got 5 for the second; "b" drafted 9, kept it, and got a bonus 4.

    Rows: a's 3 (the token before, 7, 8), b's 2 (the token before, 9).
    """
    parts: dict[str, tuple[tuple[int, ...], list[float]]] = {
        "0.cu": ((3,), [0, 3, 5]),
        "0.ids": ((5,), [1, 7, 8, 2, 9]),
        "0.pos": ((5,), [10, 11, 12, 20, 21]),
        "0.target_probs": ((5,), [0.5, 0.25, 0.0, 0.75, 0.0]),
        "0.last_p": ((2,), [0.125, 0.0625]),
        "sampled": ((2, 3), [7, 5, -1, 9, 4, -1]),
        "number": ((2,), [2, 2]),
    }
    parts |= {f"0.{name}": part for name, part in more.items()}
    values = [value for _, row in parts.values() for value in row]
    copy = Flat(Host(values), tuple((name, shape) for name, (shape, _) in parts.items()))
    batch = Batch(1.0, 3, ["a", "b"], np.array([77, 99]), mixed, rule, [{}], copy)
    known = {name: Known({"temperature": 1.0}, length, 100, frozenset()) for name, length in (("a", 10), ("b", 20))}
    return dict(lines(batch, known))


def test_a_step_of_two_requests() -> None:
    rows = step("ratio", mixed=True)
    a, b = rows["a"], rows["b"]
    assert (a["draft_token_ids"], a["num_accepted"], a["output_token_ids"], a["last_kind"]) == (
        [7, 8],
        1,
        [7, 5],
        "recovered",
    )
    assert (b["draft_token_ids"], b["num_accepted"], b["output_token_ids"], b["last_kind"]) == ([9], 1, [9, 4], "bonus")
    assert a["target_probs"].tolist() == [0.5, 0.25]
    assert b["target_probs"].tolist() == [0.75]
    assert (a["last_target_prob"], b["last_target_prob"]) == (0.125, 0.0625)
    assert (a["context_len"], b["context_len"], a["engine_step"]) == (10, 20, 3)


@pytest.mark.parametrize(
    ("rule", "mixed", "seeds"),
    [
        ("ratio", True, [77, 77]),
        ("one-hot", False, [77, 77]),
        ("block", True, [77, 77 ^ (1 << 32)]),
        ("block", False, None),
    ],
    ids=["ratio", "one-hot", "block of 0.33", "block of 0.32"],
)
def test_uniforms_follow_from_seed_and_position(rule: str, mixed: bool, seeds: list[int] | None) -> None:
    """The row of position j draws at the position of the token before it; what 0.32 draws under block verification is not told."""
    row = step(rule, mixed=mixed)["a"]
    if seeds is None:
        assert "uniforms" not in row
        return
    assert row["uniforms"].tolist() == uniform(np.array(seeds), np.array([10, 11])).tolist()


def test_top_rows_are_those_of_the_drafted_positions() -> None:
    rows = [0.5, 0.25, 0.75, 0.125, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]
    top: dict[str, tuple[tuple[int, ...], list[float]]] = {
        "top_probs": ((5, 2), rows),
        "top_ids": ((5, 2), [float(i) for i in range(10)]),
    }
    found = step("ratio", mixed=True, **top, **{f"draft_{name}": part for name, part in top.items()})
    for side in ("target", "draft"):
        assert found["a"][f"{side}_top_ids"] == [[0, 1], [2, 3]]
        assert found["a"][f"{side}_top_probs"] == [[0.5, 0.25], [0.75, 0.125]]
        assert found["b"][f"{side}_top_ids"] == [[6, 7]]


@pytest.mark.parametrize(("method", "warned"), [("block", True), ("standard", False)])
def test_block_verification_that_draws_twice_is_said(
    method: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "sdtrace.record"):
        vllm._block_draws_twice(
            None, SimpleNamespace(speculative_config=SimpleNamespace(rejection_sample_method=method))
        )
    assert ("vLLM 0.33 draws afresh" in caplog.text) == warned
