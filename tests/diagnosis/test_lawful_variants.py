"""No correct engine is accused: a sample of the cells variant x law x log level x rounding; `python -m tests.lawful` walks them all
(.ci/run does).
"""

import pytest

from sdtrace.results.not_checked import sentences
from sdtrace.simulate import VARIANTS, Settings
from tests.lawful.cells import Cell, accused, sampled
from tests.made.pairs import in_turn
from tests.power.judge import diagnosed, made


@pytest.mark.one_of(6)
@pytest.mark.parametrize("cell", sampled(len(VARIANTS), 0)[::4], ids=str)
def test_a_lawful_engine_is_not_accused(cell: Cell) -> None:
    assert accused(cell, 700, 64) == ()


@pytest.mark.one_of(5)
@pytest.mark.parametrize(
    "cell",
    [
        Cell("cut-clipped-called", "ratio", "draws", "float32"),
        Cell("cut-clipped-to-all-called", "ratio", "draws", "float32"),
        Cell("scheduled-ahead", "ratio", "draws", "float32"),
        Cell("turns-without-lines", "ratio", "draws", "float32"),
        Cell("drafts-lost", "ratio", "draws", "float32"),
        Cell("drafts-lost", "block", "draws", "float32"),
        Cell("drafts-unwritten", "ratio", "draws", "float32"),
        Cell("temperatures-none-half-greedy", "ratio", "draws", "float32"),
        Cell("raw-null-point", "one-hot", "draws", "float32"),
        Cell("p-too-high", "ratio", "draws", "float32"),
        Cell("noise-8%", "ratio", "draws", "float32"),
        Cell("noise-8%", "block", "draws", "float32"),
        Cell("noise-of-both-5%", "ratio", "draws", "float32"),
        Cell("noise-of-both-5%", "ratio", "basic", "float32"),
        Cell("noise-of-both-5%", "block", "basic", "bfloat16", 1),
    ],
    ids=str,
)
def test_a_record_that_was_accused_once_is_not_again(cell: Cell) -> None:
    assert accused(cell, 1000) == ()


@pytest.mark.parametrize(
    "cell",
    [
        # six accepted ones, the farthest at 15%: the other side is empty by chance
        Cell("noise-8%", "ratio", "draws", "decimals:3", 2),
        # three rejections, half of them within 13%, the farthest at 15%
        Cell("noise-of-both-5%", "ratio", "basic", "float32", 18),
        # two rejections and three recovered tokens, the farthest at 27%
        Cell("noise-of-both-5%", "block", "sums", "decimals:4", 8),
    ],
    ids=str,
)
def test_what_a_sweep_of_twenty_seeds_accused(cell: Cell) -> None:
    assert accused(cell, 700) == ()


@pytest.mark.parametrize(
    "cell",
    [
        # five rejections, half of them within 2% of the boundary, the farthest at 14%
        Cell("noise-8%", "block", "sums", "decimals:4", 2),
        # one recovered token of 335 whose p is 15% below its q
        Cell("noise-8%", "ratio", "sums", "decimals:3", 3),
    ],
    ids=str,
)
def test_few_contradictions_without_uniforms_are_noise(cell: Cell) -> None:
    """One side alone shows there."""
    assert accused(cell, 1500) == ()


@pytest.mark.one_of(3)
@pytest.mark.parametrize(
    "cell",
    [
        # ten rejections, half of them within 2.4% of the boundary, the farthest at 11%; a sharper p would explain them
        Cell("noise-8%", "ratio", "basic", "float32"),
        # four rejections, half of them within 2.4%, the farthest at 14%
        Cell("noise-8%", "block", "basic", "float32"),
        Cell("noise-8%", "block", "sums", "decimals:4", 1),
    ],
    ids=str,
)
def test_noise_is_noise_in_more_decisions_too(cell: Cell) -> None:
    """Without uniforms; the more of them, the more contradict, and the farther from the boundary the farthest one."""
    assert accused(cell, 4000) == ()
    assert accused(cell, 12_000) == ()


def test_a_greedy_request_is_held_to_greedy_whatever_the_run_declares_or_does_not() -> None:
    """A run without a law, every other request at temperature 0: all steps are in the figures, both laws are judged."""
    trace = made(Settings(variant="half-greedy-rule-null", tested=800, vocab=64))
    found = diagnosed(trace)
    assert found.audit is not None
    assert found.acceptance is not None
    assert set(found.audit["laws"]) == {"ratio", "greedy"}
    assert found.audit["steps"] == found.acceptance["steps"] == sum(b.steps.height for b in trace.held)
    assert (found.audit["disagree"], found.audit["undecidable"]) == (0, 0)


@pytest.mark.one_of(2)
@pytest.mark.parametrize("variant", ["specinfer-rule-null", "tree-rule-null"])
def test_a_law_outside_the_list_is_not_replaced_by_the_nearest_one(variant: str) -> None:
    found = diagnosed(made(Settings(variant=variant, tested=3000, vocab=128)))
    assert [c for c in found.causes if c.side == "wrong"] == []
    assert any("declares no law" in note for note in sentences(found.not_checked))


@pytest.mark.one_of(3)
@pytest.mark.parametrize(("law", "tested"), in_turn(["ratio", "greedy", "block"], [40, 300], of=2))
def test_few_stop_ids_at_the_end_of_a_block_prove_nothing(law: str, tested: int) -> None:
    """Short traces: requests that ignore their stop ids meet none or few of them at the end of a block."""
    for seed in range(4):
        cell = Cell("ignored-stop", law, "rows", "float32", seed)
        assert accused(cell, tested) == (), cell
