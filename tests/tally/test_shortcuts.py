"""What is quick gives what the plain definition gives: pieces, shares."""

from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import sdtrace.readers.io.lines
import sdtrace.verify.positions
from sdtrace.diagnosis.wrong_rules.recovery import emitted
from sdtrace.limits import USUAL, Budget
from sdtrace.pipeline import read
from sdtrace.readers.io.footer import RowGroup
from sdtrace.readers.io.lines import nulls
from sdtrace.readers.io.row_groups import _portions
from sdtrace.tally.evidence.by_step import AGES, _by_age, _of_small, by_request
from sdtrace.tally.evidence.draws import _in_order, places, ranks_of_any
from sdtrace.tally.evidence.sums import Sums
from sdtrace.tally.evidence.tokens import _half_of, _spread, _total
from sdtrace.verify.band import rounding
from sdtrace.verify.positions import Positions
from sdtrace.verify.scope import Scope

IN_PLACE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
LISTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=12)


@pytest.mark.slow
@IN_PLACE
@given(LISTS)
def test_emitted_tokens_stand_where_they_were_drafted(
    monkeypatch: pytest.MonkeyPatch, sizes: list[tuple[int, int]]
) -> None:
    monkeypatch.setattr(sdtrace.verify.positions, "_STEPS", 3)
    output = [[100 * i + j for j in range(n)] for i, (_, n) in enumerate(sizes)]
    steps = pl.DataFrame({"output_token_ids": output}, schema={"output_token_ids": pl.List(pl.Int64)})
    pos = Positions(steps, np.array([verified for verified, _ in sizes]))
    wanted = [output[i][j] if j < n else -1 for i, (verified, n) in enumerate(sizes) for j in range(verified)]
    assert pos.emitted.tolist() == wanted


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9), st.booleans())
def test_squares_are_added_by_step(counts: list[int], even: bool) -> None:
    counts = [counts[0]] * len(counts) if even else counts
    values = np.random.default_rng(sum(counts)).random(sum(counts))
    row = np.repeat(np.arange(len(counts)), counts)
    pos = Positions(pl.DataFrame({"n": counts}), np.array(counts))
    assert pos.squares(values) == pytest.approx([(values[row == i] ** 2).sum() for i in range(len(counts))])


@pytest.mark.one_of(2)
@given(st.lists(st.tuples(st.floats(1e-6, 1), st.floats(1e-6, 1), st.booleans()), min_size=1, max_size=50))
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rounding_as_a_share_is_rounding_one_by_one(dtype: str, slots: list[tuple[float, float, bool]]) -> None:
    p, q = np.array([s[0] for s in slots]), np.array([s[1] for s in slots])
    hit, ratio, band = np.array([s[2] for s in slots]), p / q, rounding(dtype)
    chance, weight = np.minimum(ratio, 1.0), q - p
    inside = ratio < 1.0

    class Bare:
        def absent(self, column: str) -> bool:
            return True

    share, wide = _half_of(cast(Scope, Bare()), p, q, ratio, band, band), _spread(p, q, ratio, band, band)
    frames = []
    for half in (share, wide):
        sums = Sums("r", "ratio")
        sums.chances("X", chance, hit, half)
        part = half if isinstance(half, float) else half[inside]
        sums.weighed("Y", weight[inside], chance[inside], hit[inside], part, 9)
        frames.append(sums.frame())
    assert isinstance(share, float)
    assert_frame_equal(*frames, abs_tol=1e-9)
    # a ratio next to 1 counts as 1 in the share: rounding of rounding
    assert _total(share, ratio, chance, slice(None)) == pytest.approx(wide.sum(), abs=2 * len(p) * share**2)


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 64, 4095]), st.floats(-2, 2)), min_size=1, max_size=40))
def test_sums_of_small_numbers_are_those_of_any(rows: list[tuple[int, float]]) -> None:
    values = pl.Series("v", [value for value, _ in rows], dtype=pl.Int64)
    sums = np.array([[1.0] * len(rows), [d for _, d in rows]])
    wanted = pl.DataFrame({"n": sums[0], "d": sums[1]}).group_by(values.alias("value")).sum().sort("value")
    names, found = _of_small(sums, values.to_numpy())
    assert names == [str(value) for value in wanted["value"]]
    assert found == pytest.approx(wanted.select("n", "d").to_numpy().T, abs=1e-12)


@given(st.lists(st.tuples(st.integers(-3, 300), st.floats(-2, 2)), min_size=1, max_size=40))
def test_sums_by_age_are_those_of_its_steps(rows: list[tuple[int, float]]) -> None:
    step = np.array([number for number, _ in rows])
    wanted = dict.fromkeys((0, *AGES), 0.0)
    for number, value in rows:
        wanted[max((age for age in AGES if age <= number), default=0)] += value
    names, (found,) = _by_age(np.array([[value for _, value in rows]]), step)
    assert names == [str(age) for age in wanted]
    assert found == pytest.approx(list(wanted.values()))


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(1, 6))
def test_sums_by_request_are_those_of_its_rows(requests: list[int], times: int) -> None:
    """Runs of a request, as files written request by request have, and requests that take turns."""
    hashes = np.repeat(np.array(requests, dtype=np.uint64), times)
    rows = np.random.default_rng(len(requests)).random((2, len(hashes)))
    first, sums = by_request(hashes, rows)
    for request in set(requests):
        mine = hashes[first] == request
        assert sums[:, mine].sum(axis=1) == pytest.approx(rows[:, hashes == request].sum(axis=1))
    if len(hashes) < 4 * (1 + np.count_nonzero(hashes[1:] != hashes[:-1])):
        assert len(first) == len(set(requests))


@given(st.lists(st.sampled_from([0, 1, 7, 250_000, 1 << 48]), min_size=1, max_size=30))
def test_places_of_ids_are_ranks(ids: list[int]) -> None:
    _ranked(np.array(ids, dtype=np.int64), quick=True)


@pytest.mark.slow
@given(st.lists(st.floats(0, 1, width=32) | st.sampled_from([0.0, -0.0, 0.5, 1.0]), min_size=1, max_size=30))
def test_places_of_float32_are_ranks(chances: list[float]) -> None:
    _ranked(np.array(chances), quick=True)


@pytest.mark.parametrize(
    "values", [[0.1, 0.2, 0.1], [-0.5, 0.5], [np.nan, 0.25, 0.25], [1e300, 0.5], [-1, 3], [1 << 49, 2]]
)
def test_places_of_other_values_are_ranks(values: list[float]) -> None:
    _ranked(np.array(values), quick=False)


def _ranked(values: np.ndarray[tuple[int], np.dtype[np.generic]], *, quick: bool) -> None:
    assert (_in_order(values) is not None) is quick
    wanted = 2 * ranks_of_any(values) / max(len(values) - 1, 1) - 1
    assert places(values).tolist() == wanted.tolist()


@given(st.lists(st.integers(0, 300), max_size=8), st.integers(1, 100))
def test_portions_are_whole_row_groups_in_batches_of_equal_size(rows: list[int], size: int) -> None:
    portions = list(_portions([RowGroup(n, 0, None) for n in rows], size, Budget(USUAL, 1)))
    assert [n for groups, _ in portions for n in groups] == list(range(len(rows)))
    for groups, each in portions:
        total = sum(rows[n] for n in groups)
        assert 1 <= each <= size
        assert len(groups) <= 1 or total <= size, "groups are joined only where they fit"
        batches = -(-total // each)
        assert batches == -(-total // size), "no more batches than are needed"
        assert total == 0 or each - (total - (batches - 1) * each) < batches, "and none much smaller than the others"


@pytest.mark.slow
def test_row_groups_do_not_change_what_is_read(tmp_path: Path) -> None:
    n = 5000
    lists = {name: [[0.5, 0.25]] * n for name in ("draft_probs", "target_probs", "uniforms")}
    table = pl.DataFrame({"request_id": [f"r{i // 50}" for i in range(n)], "step": [i % 50 for i in range(n)]})
    table = table.with_columns(draft_token_ids=pl.Series([[1, 2]] * n), **{k: pl.Series(v) for k, v in lists.items()})
    read_back = []
    for size in (n, 700, 64):
        path = tmp_path / f"{size}.parquet"
        table.write_parquet(path, row_group_size=size)
        steps = pl.concat([b.steps for opened in read(path) for b in opened.batches()])
        assert pq.read_metadata(path).num_row_groups == -(-n // size)
        assert steps["line"].to_list() == list(range(1, n + 1))
        read_back.append(steps)
    assert_frame_equal(read_back[0], read_back[1])
    assert_frame_equal(read_back[0], read_back[2])


@IN_PLACE
@given(st.lists(st.sampled_from(["null", " null", "\tnull", "nul", "1", " 1", '"n"', "  null"]), max_size=20))
def test_nulls_are_counted_behind_colons(monkeypatch: pytest.MonkeyPatch, values: list[str]) -> None:
    monkeypatch.setattr(sdtrace.readers.io.lines, "_PLACES", 3)
    text = np.frombuffer("".join(f'"a":{v},' for v in values).encode() + b" ", dtype=np.uint8)
    wanted = sum(v.replace("\t", " ", 1).removeprefix(" ").startswith("n") for v in values)
    assert nulls(text, np.flatnonzero(text == ord(":"))) == wanted


def test_few_recovered_tokens_are_no_reason_to_fail() -> None:
    """Not one of the recorded p(y) may be known."""
    frame = pl.DataFrame(
        {"same": [True], "p_x": [0.5], "q_y": [None], "p_y": [None], "overlap": [None], "target_sq": [0.3]},
        schema_overrides=dict.fromkeys(("q_y", "p_y", "overlap"), pl.Float64),
    )
    assert emitted(frame).cause == "recovered-from-target"
