"""What is noise of a recorded p, and what is a rule: contradictions by side and margin."""

import polars as pl
import pytest

from sdtrace.diagnosis.trial.noise import imprecise, wide
from sdtrace.tally.margins import SCHEMA

NEAR, FAR = -40, -24  #: cells of margins of 3% and 14%


def rows(accepted: int, rejected: int, beside: int, cell: int = NEAR, farthest: int = NEAR) -> pl.DataFrame:
    """Contradictions by side at one margin, one of the accepted ones at the farthest, with right rejections beside them."""
    found = [("accepted", cell, accepted - 1, 2 * accepted), ("accepted", farthest, 1, 3)]
    found += [("rejected", cell - 4, rejected, rejected + beside)]
    return pl.DataFrame([("r", "ratio", *row) for row in found], schema=SCHEMA, orient="row")


@pytest.mark.parametrize(
    ("accepted", "rejected", "beside", "noise"),
    [
        (6, 0, 6, True),  # the other side is empty by chance
        (14, 1, 14, True),
        (14, 0, 0, False),  # a lenient rule rejects nothing there
        (40, 1, 60, False),  # so many on one side are no chance: a rule in a part of the traffic
        (30, 0, 60, False),
        (30, 8, 20, True),
    ],
)
@pytest.mark.parametrize("farthest", [NEAR, FAR])
def test_one_side_may_be_missing_by_chance(
    accepted: int, rejected: int, beside: int, noise: bool, farthest: int
) -> None:
    table = rows(accepted, rejected, beside, farthest=farthest)
    width = imprecise(table) if farthest == NEAR else wide(table, block=False)
    assert (width is not None) == noise
