"""Few windows from two places of a log, as people paste them to compare: before and after an upgrade, a deploy, a flag.

A pause splits them: much longer than those on either side, or, without a clock, lines of something else in between. What is told is
where the acceptance of one side is at most half of the other's; so few windows may hold other requests, so nothing is proved.
"""

import polars as pl

#: Windows of a side at most; seconds of a pause at least, and how many times longer it is than the others; lines in between.
MOST, PAUSE_S, TIMES, LINES = 4, 60.0, 3.0, 3
#: The lower share over the higher one at most, their difference at least, steps that a counted side must have.
SHARE, POINTS, STEPS = 0.5, 0.1, 100


def sides(windows: pl.DataFrame) -> list[tuple[pl.DataFrame, pl.DataFrame]]:
    """(windows in front of the pause, windows behind it) of every surface that was pasted twice."""
    shares = windows.filter((pl.col("basis") == "interval") & pl.col("rate").is_not_null())
    found = []
    for _, part in shares.group_by("path", "engine", "surface", maintain_order=True):
        if 2 <= part.height <= 2 * MOST and part["merged"].is_null().all() and (cut := _pause(part)) is not None:
            clocked = part["at"].null_count() == 0
            ordered = part.sort("at", maintain_order=True) if clocked else part.sort("line", maintain_order=True)
            ahead, behind = ordered[:cut], ordered[cut:]
            if max(ahead.height, behind.height) <= MOST and _apart(ahead, behind):
                found.append((ahead, behind))
    return found


def share(part: pl.DataFrame) -> float:
    """Accepted of drafted tokens, over the sums where they are counted."""
    drafted = part["drafted"]
    if drafted.null_count() == 0 and drafted.sum():
        return float(part["accepted"].sum()) / float(drafted.sum())
    return float(part["rate"].to_numpy().mean())


def _pause(part: pl.DataFrame) -> int | None:
    """How many windows stand in front of the one long pause; None where there is none."""
    clocked = part["at"].null_count() == 0
    if not clocked and part["line"].null_count():
        return None
    steps = (part["at"] if clocked else part["line"].cast(pl.Float64)).sort().diff().drop_nulls().to_list()
    widest = max(range(len(steps)), key=steps.__getitem__)
    others = [step for i, step in enumerate(steps) if i != widest]
    least = PAUSE_S if clocked else float(LINES)
    if steps[widest] < least or (others and steps[widest] < TIMES * max(others)):
        return None
    return widest + 1


def _apart(ahead: pl.DataFrame, behind: pl.DataFrame) -> bool:
    low, high = sorted((share(ahead), share(behind)))
    steps = [part["drafts"].sum() for part in (ahead, behind) if part["drafts"].null_count() == 0]
    return low <= SHARE * high and high - low >= POINTS and all(n >= STEPS for n in steps)
