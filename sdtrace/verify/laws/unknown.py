"""Unknown: the run declares a rule that is not known here. Nothing is judged, and no other law takes its place."""

from collections.abc import Mapping
from typing import Any

from sdtrace.verify.law import Bands, Judged, Law, undecided
from sdtrace.verify.positions import Positions


def judge(pos: Positions, params: Mapping[str, Any], bands: Bands) -> Judged:
    """Nothing can be decided."""
    return undecided(pos)


LAW = Law("unknown", "a rule that is not known here", lossless=False, draws=False, residual=None, judge=judge)
