"""A series of numbers as a line of characters."""

from collections.abc import Sequence

#: Heights of a cell, and what stands for them where a terminal has no such characters.
BLOCKS, PLAIN = "▁▂▃▄▅▆▇█", "_.-:=+*#"


def spark(values: Sequence[float | None], cells: int, *, plain: bool = False) -> str:
    """`values` in at most `cells` cells, each the mean of its part; a blank where nothing is known. One height where all are equal.

    The axis reaches from the least to the greatest cell: a spark shows a shape, numbers stand beside it.
    """
    parts = min(cells, len(values))
    means: list[float | None] = []
    for i in range(parts):
        part = [v for v in values[i * len(values) // parts : (i + 1) * len(values) // parts] if v is not None]
        means.append(sum(part) / len(part) if part else None)
    known = [mean for mean in means if mean is not None]
    if not known:
        return ""
    low, span = min(known), max(known) - min(known)
    heights = PLAIN if plain else BLOCKS
    middle = len(heights) // 2
    level = {m: middle if span <= 1e-9 * abs(low) else round((m - low) / span * (len(heights) - 1)) for m in known}
    return "".join(" " if mean is None else heights[level[mean]] for mean in means)
