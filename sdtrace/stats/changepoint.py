"""The one place where a series changes, if it does."""

from collections.abc import Sequence


def turn(series: Sequence[float | None]) -> int | None:
    """Where the mean before and the mean behind differ most, by more than a tenth and five deviations; None otherwise.

    The score is Student's t of a split, the greatest over all splits; five leaves few false ones among 120 points. A
    split needs five points on each side.
    """
    known = [(i, v) for i, v in enumerate(series) if v is not None]
    best: tuple[float, int | None] = (5.0, None)
    for cut in range(5, len(known) - 4):
        one, two = [v for _, v in known[:cut]], [v for _, v in known[cut:]]
        a, b = sum(one) / len(one), sum(two) / len(two)
        spread = sum((v - a) ** 2 for v in one) + sum((v - b) ** 2 for v in two)
        error = (spread / (len(known) - 2) * (1 / len(one) + 1 / len(two))) ** 0.5
        score = abs(a - b) / max(error, 1e-9)
        if score > best[0] and abs(a - b) > 0.1 * max(abs(a), abs(b)):
            best = score, known[cut][0]
    return best[1]
