"""FLy (vLLM, rejection_sample_method "fly"): a rejection may be deferred where the target's entropy is high and later drafted
tokens are accepted. Not lossless; the window that decides it is not in the record.
"""

from collections.abc import Mapping
from typing import Any

from sdtrace.verify.law import Bands, Judged, Law, undecided
from sdtrace.verify.positions import Positions


def judge(pos: Positions, params: Mapping[str, Any], bands: Bands) -> Judged:
    """Nothing is decided: which rejections were deferred is not recorded."""
    return undecided(pos)


LAW = Law(
    "fly",
    "a rejection is deferred where the target is unsure and a window of later tokens is accepted",
    lossless=False,
    draws=False,
    residual=None,
    judge=judge,
)
