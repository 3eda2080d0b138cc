"""Bonus tokens from another row are told from bonus tokens with other parameters; text that repeats itself is not accused."""

import numpy as np
import polars as pl
import pytest

from sdtrace.diagnosis.bonus_row import bonus_row

K, VOCAB, BATCH = 3, 40, 8


def steps(source: str, *, temperature: float = 1.0, n: int = 60) -> pl.DataFrame:
    """n engine steps of BATCH requests in which all drafts are kept; the bonus is drawn from the row that `source` names."""
    rng = np.random.default_rng(7)
    p = rng.gumbel(size=(n, BATCH, K + 1, VOCAB)) * 2.0
    best = p.argmax(-1)
    rows = []
    for step in range(n):
        for slot in range(BATCH):
            row = {"own": p[step, slot, K], "before": p[step, slot, K - 1], "next": p[step, (slot + 1) % BATCH, 0]}[
                source
            ]
            weights = np.exp((row - row.max()) / temperature)
            y = int(rng.choice(VOCAB, p=weights / weights.sum()))
            rows.append({
                "run_id": "", "rank": None, "engine_step": step, "slot": slot, "last_kind": "bonus", "draft_token_ids": [1, 2, 3],
                "output_token_ids": [1, 2, 3, y], "target_argmax_ids": best[step, slot].tolist(),
            })  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"rank": pl.Int64})


@pytest.mark.one_of(3)
@pytest.mark.parametrize(
    ("source", "temperature", "expected"),
    [
        ("before", 1.0, "before"),
        ("next", 1.0, "next"),
        ("own", 1.0, None),
        ("own", 3.0, None),
        ("own", 1e6, None),
    ],
    ids=["row before", "next request", "right", "flatter", "flat"],
)
def test_the_row_that_bonus_tokens_come_from(source: str, temperature: float, expected: str | None) -> None:
    assert bonus_row(steps(source, temperature=temperature)) == expected


def test_without_what_it_needs() -> None:
    assert bonus_row(None) is None
    assert bonus_row(steps("before").drop("target_argmax_ids")) is None
    unplaced = steps("next").with_columns(engine_step=pl.lit(None, pl.Int64))
    assert bonus_row(unplaced) is None


@pytest.mark.parametrize(("hits", "expected"), [(900, "before"), (750, None), (600, None)])
def test_a_sign_test_of_more_steps_than_a_float_holds(hits: int, expected: str | None) -> None:
    """2^1,400 is beyond a float: the whole report ended in an OverflowError."""
    n = 1400
    row = {"run_id": "", "last_kind": "bonus", "draft_token_ids": [1], "target_argmax_ids": [1, 2]}
    made = pl.DataFrame([row | {"output_token_ids": [1, 1 if i < hits else 2]} for i in range(n)])
    assert bonus_row(made) == expected
