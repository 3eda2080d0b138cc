"""The statistics of many tokens: exact where they can be, bounded from the right side where they cannot."""

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdtrace.audit.audit import audit
from sdtrace.checks import CHECKS
from sdtrace.diagnosis.chosen import Chosen
from sdtrace.diagnosis.law_choice import choose
from sdtrace.diagnosis.signatures import signs
from sdtrace.pipeline import read as open_all
from sdtrace.simulate import Settings
from sdtrace.stats.significance import bins, chi_square, overdispersion, quantile, read, two_sided
from sdtrace.tally.evidence.slots import Slots
from sdtrace.tally.evidence.sums import THETAS, Sums, stakes, tosses
from sdtrace.tally.evidence.weights import reuse
from tests.made.lawful import cut_by_length, name_seeds, seeded_pairs
from tests.made.log import Log
from tests.made.simulate import Scenario, simulate
from tests.made.world import Shape
from tests.power.judge import made

chances = st.lists(st.floats(0.001, 0.999), min_size=1, max_size=60)


def row_of(chance: np.ndarray, hit: np.ndarray, spread: float = 0.0) -> dict[str, float]:
    sums = Sums("r", "ratio")
    sums.chances("X", chance, hit, np.full(len(chance), spread))
    return sums.frame().row(0, named=True)


@pytest.mark.slow
@given(chances, st.integers(0, 2**32))
def test_sums_of_a_coin_are_exact_and_its_e_process_is_bounded_from_below(values: list[float], seed: int) -> None:
    chance = np.array(values)
    hit = np.random.default_rng(seed).random(len(chance)) < chance
    row = row_of(chance, hit)
    assert row["d"] == pytest.approx((hit - chance).sum(), abs=1e-9)
    assert row["v"] == pytest.approx((chance * (1 - chance)).sum())
    assert sum(row[f"d{i}"] for i in range(10)) == pytest.approx(row["d"], abs=1e-9)
    for i, theta in enumerate(THETAS):
        exact = (theta * hit - np.log1p(chance * np.expm1(theta))).sum()
        assert exact - 0.002 * len(chance) <= row[f"e{i}"] <= exact + 1e-9
    wide = row_of(chance, hit, spread=0.01)
    assert all(wide[f"e{i}"] <= row[f"e{i}"] + 1e-9 for i in range(len(THETAS))), "rounding never helps a bet"


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=60))
def test_stakes_never_exceed_the_wealth_of_the_bet(values: list[float]) -> None:
    value = np.array(values)
    for theta, log in zip(THETAS, stakes(value, 0.0), strict=True):
        exact = float(np.log1p(theta * value).sum())
        assert exact - 0.002 * len(value) <= log <= exact + 1e-9


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=6), st.lists(st.floats(0.01, 1), min_size=6, max_size=6))
def test_given_the_emitted_token_a_slot_was_accepted_with_min_1_q_over_p(a: list[float], b: list[float]) -> None:
    """Both ways to y, by enumeration: q(y) min(1, p/q)(y) accepted, (1 - alpha) residual(y) recovered."""
    p, q = np.array(a) / sum(a), np.array(b[: len(a)]) / sum(b[: len(a)])
    accepted, left = np.minimum(p, q), np.maximum(p - q, 0)
    assert np.allclose(accepted + left, p)
    assert np.allclose(accepted / (accepted + left), np.minimum(1, q / p))


def test_tails() -> None:
    assert two_sided(quantile(1e-5)) == pytest.approx(1e-5)
    for freedom in (2, 4, 10):
        for x in (0.1, freedom - 1.0, freedom + 3.0, 25.0, 45.0, 600.0):
            exact = math.exp(-x / 2) * sum((x / 2) ** i / math.factorial(i) for i in range(freedom // 2))
            assert chi_square(x, freedom) == pytest.approx(exact, rel=1e-12)
    assert chi_square(math.inf, 3) == 0.0


@pytest.mark.slow  # scipy takes two seconds to import
@pytest.mark.parametrize("freedom", [0.3, 1, 2, 3, 7.7, 50, 1000, 1e6])
def test_the_tail_of_chi_square_is_the_one_of_scipy(freedom: float) -> None:
    """Down to 1e-250, both sides of the mean, whole and broken degrees of freedom."""
    from scipy.stats import chi2

    tails = [float(chi2.isf(p, freedom)) for p in (0.999, 0.5, 0.1, 8e-6, 1e-12, 1e-50, 1e-250)]
    for x in [*tails, *(freedom * part for part in (1e-6, 0.3, 0.999, 1.0, 1.001, 3.0))]:
        assert chi_square(x, freedom) == pytest.approx(float(chi2.sf(x, freedom)), rel=1e-8, abs=1e-290)


@pytest.mark.parametrize(
    ("x", "freedom", "p"),  # DLMF 8.4: Q(1/2, x) = erfc(sqrt x), Q(1, x) = exp(-x), and upwards by 8.8.6
    [
        (2 * math.log(1 / 8e-6), 2, 8e-6),
        (2 * math.log(1e12), 2, 1e-12),
        (2 * 7.0**2, 1, math.erfc(7.0)),
        (24.0, 3, math.erfc(math.sqrt(12.0)) + math.sqrt(12.0) * math.exp(-12.0) / math.gamma(1.5)),
    ],
)
def test_tails_that_have_a_formula(x: float, freedom: float, p: float) -> None:
    assert chi_square(x, freedom) == pytest.approx(p, rel=1e-12)


def test_rounding_is_taken_off_before_anything_is_accused() -> None:
    chance = np.full(4000, 0.5)
    hit = np.arange(4000) % 20 < 11  # 0.05 too many
    sure, unsure = row_of(chance, hit), row_of(chance, hit, spread=0.05)
    assert read(sure, 1e-5).z > 6
    assert read(unsure, 1e-5).z == pytest.approx(0, abs=1e-6)
    assert bins(sure | {"inflation": 1.0})[2] == 1


def test_bins_of_little_information_are_read_with_their_neighbours() -> None:
    row = {f"{name}{i}": 0.0 for name in "dvs" for i in range(10)} | {"n": 400.0}
    row |= {"d0": -3.0, "v0": 3.0, "d1": -9.0, "v1": 6.0, "d3": 11.0, "v3": 20.0, "d9": 1.0, "v9": 2.0}
    p, _, used = bins(row)
    assert used == 2
    assert p == pytest.approx(chi_square(12**2 / 9 + 12**2 / 22, 2))


def evidence_row(code: str, found: pl.DataFrame) -> dict[str, float]:
    return found.filter(pl.col("code") == code).row(0, named=True)


@pytest.mark.slow
@given(st.lists(st.lists(st.floats(0.02, 1.0), min_size=1, max_size=12), min_size=1, max_size=8), st.integers(0, 2**32))
def test_one_draw_a_step_shifts_every_later_chance_to_what_the_weight_says(steps: list[list[float]], seed: int) -> None:
    """By its definition: given that the shared draw is at most the smallest chance m so far, b becomes min(1, b / m)."""
    rng = np.random.default_rng(seed)
    d = v = 0.0
    chance: list[float] = []
    later: list[float] = []
    accepted: list[float] = []
    step: list[float] = []
    for row, betas in enumerate(steps):
        for j, b in enumerate(betas):
            hit = rng.random() < b
            for values, one in ((chance, b), (later, j > 0), (accepted, hit), (step, row)):
                values.append(one)
            least = min([1.0, *betas[:j]])
            if least < 1.0 and b < 1.0:
                w = min((min(1.0, b / least) - b) / (b * (1.0 - b)), 10.0)
                d, v = d + w * (hit - b), v + w * w * b * (1 - b)
            if not hit:
                break
    beta, n = np.array(chance), len(chance)
    at, ones = np.arange(n), np.ones(n)
    taken, behind = np.array(accepted, dtype=bool), np.array(later, dtype=bool)
    here = Slots(at, np.array(step, dtype=np.int64), at, behind, taken, beta, ones, beta, ones, ones.astype(bool))
    sums = Sums("r", "ratio")
    reuse(beta, tosses(beta, taken, np.zeros(n)), here, sums)
    found = evidence_row("SD201:reuse", sums.frame())
    assert found["d"] == pytest.approx(d, abs=1e-9)
    assert found["v"] == pytest.approx(v, abs=1e-9)


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=6), st.lists(st.floats(0.01, 1), min_size=6, max_size=6))
def test_p_over_q_at_a_draft_is_one_at_most_in_the_mean(a: list[float], b: list[float]) -> None:
    """Where q is 0 somewhere, and where the ratio is cut."""
    p, q = np.array(a) / sum(a), np.array(b[: len(a)])
    q[0] = 0.0
    q /= q.sum()
    ratio = np.divide(p, q, out=np.zeros_like(p), where=q > 0)
    assert (q * np.minimum(ratio, 4.0)).sum() <= (q * ratio).sum() + 1e-12 <= 1.0 + 2e-12


def test_an_effect_too_small_to_matter_does_not_fire() -> None:
    """Over ten million positions a bias of a thousandth is certain, and nobody's business."""
    row = row_of(np.full(1000, 0.5), np.arange(1000) < 501)
    huge = row | {name: row[name] * 1e4 for name in ("n", "d", "v", "k", "s")}
    assert read(huge, 1e-5).p < 1e-5
    assert not read(huge, 1e-5).fires(1e-5)
    assert read(huge | {"d": 4 * huge["d"]}, 1e-5).fires(1e-5)


def test_what_would_have_been_seen_shrinks_with_the_root_of_the_trace() -> None:
    rng = np.random.default_rng(3)
    sizes = []
    for n in (1000, 16_000):
        chance = rng.random(n)
        sizes.append(read(row_of(chance, rng.random(n) < chance), 1e-5).visible)
    assert sizes[0] / sizes[1] == pytest.approx(4, rel=0.05)


def test_lanes_that_share_draws_spread_more_than_their_squares() -> None:
    rng = np.random.default_rng(5)

    def lanes(shared: bool) -> list[dict[str, float]]:
        found = []
        for step in range(40):
            r = np.full(30, rng.random()) if shared else rng.random(30)
            chance = rng.random(30)
            gap = (r <= chance) - chance
            found.append({"position": 0, "n": 30.0, "d": float(gap.sum()), "v": float((gap**2).sum()), "step": step})
        return found

    assert overdispersion(lanes(shared=False))[0] > 1e-3
    assert overdispersion(lanes(shared=True))[0] < 1e-9


def tallied(scenario: Scenario, folder: Path) -> tuple[dict[str, float], pl.DataFrame]:
    found = audit(open_all(simulate(scenario).write(folder / "t.jsonl")), CHECKS)
    return dict(signs(found.tally, Chosen(found.tally, choose(found.tally)).rows, found.runs).z), found.tally.frame(
        "evidence"
    )


@pytest.mark.slow
def test_requests_that_share_a_user_seed_are_left_out(tmp_path: Path) -> None:
    shape = Shape(tested=600)
    _, alone = tallied(Scenario(shape=shape), tmp_path)
    _, pairs = tallied(Scenario(shape=shape, remake=seeded_pairs, edit=name_seeds), tmp_path)
    assert alone.filter(pl.col("code") == "SD201")["n"][0] > 500
    assert pairs.filter(pl.col("code") == "SD201")["n"].sum() < 60


def test_a_token_that_was_cut_away_is_not_looked_at(tmp_path: Path) -> None:
    _, frame = tallied(Scenario(shape=Shape(tested=600, steps=(3, 5)), edit=cut_by_length(clip=False)), tmp_path)
    slots = {row["code"]: row["n"] for row in frame.iter_rows(named=True)}
    assert slots["SD202"] < slots["SD201"], "decisions beyond the cut count, emitted tokens do not"


@pytest.mark.slow
def test_no_statistic_leans_on_healthy_traces() -> None:
    """Over 40 traces the squares of every z add up to what a standard normal gives."""
    squares: dict[str, list[float]] = {}
    for seed in range(40):
        found = audit([made(Settings(tested=300, vocab=64, seed=seed))], CHECKS)
        for code, z in signs(found.tally, Chosen(found.tally, choose(found.tally)).rows, found.runs).z.items():
            squares.setdefault(code, []).append(z * z)
    assert {"SD201", "SD202", "SD203", "SD204", "SD211", "SD212", "SD221", "SD222"} <= set(squares)
    for code, values in squares.items():
        assert sum(values) / len(values) < 2.0, code


@pytest.mark.slow
def test_laws_get_their_own_tests(tmp_path: Path) -> None:
    """None of the ratio law's two-sided tests on block, match or greedy."""
    for law, there, gone in (
        ("block", {"SD231", "SD211", "SD241"}, {"SD201", "SD202", "SD203", "SD204", "SD212"}),
        ("match", {"SD212"}, {"SD201", "SD202", "SD203", "SD211", "SD221"}),
        ("one-hot", {"SD201", "SD212", "SD221"}, {"SD202", "SD203", "SD204", "SD211"}),
        ("greedy", set(), {"SD201", "SD202", "SD212", "SD221"}),
    ):
        _, frame = tallied(Scenario(law, log=Log()), tmp_path)
        codes = set(frame["code"])
        assert there <= codes
        assert not gone & codes
