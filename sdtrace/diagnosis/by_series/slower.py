"""Steps that came to take much longer under the same load: what a person sees in the throughput, and acceptance does not explain."""

from collections.abc import Sequence

from sdtrace.counters.changes import Change
from sdtrace.results.clock import clock

#: How many times longer steps take, at least, and how much more load explains that by itself, at most.
LONGER, LOADED = 2.0, 1.25
#: Seconds between changes of one moment.
NEAR_S = 120.0


def slower(changes: Sequence[Change]) -> str:
    """`each step takes 3.3 times as long since 10:03:20 (144 to 480 ms, throughput 3,000.0 to 900.0 tokens/s)`; empty where none does."""
    for change in changes:
        before, after = change.before or 0.0, change.after or 0.0
        if change.what != "step_time" or not change.lasts or before <= 0 or after < LONGER * before:
            continue
        if _with(change, changes, "load", LOADED):
            continue
        speed = _with(change, changes, "throughput", 0.0)
        told = "" if speed is None else f", throughput {speed.before:,.1f} to {speed.after:,.1f} tokens/s"
        times = f"{before:,.4g} to {after:,.4g} ms{told}"
        return f"each step takes {after / before:.1f} times as long since {clock(change.at, change.line)} ({times})"
    return ""


def _with(change: Change, changes: Sequence[Change], what: str, least: float) -> Change | None:
    """A change of another figure of the server at that time, to `least` times its level before at least."""
    for other in changes:
        if other.what != what or change.at is None or other.at is None or abs(other.at - change.at) > NEAR_S:
            continue
        if (other.after or 0.0) >= least * (other.before or 0.0):
            return other
    return None
