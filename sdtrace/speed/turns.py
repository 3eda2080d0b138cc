"""The one place where a series changes, if it does."""

from collections.abc import Sequence


def turn(series: Sequence[float | None]) -> int | None:
    """Where the mean before and the mean behind differ most, if by more than a fifth and four deviations; None otherwise."""
    known = [(i, v) for i, v in enumerate(series) if v is not None]
    best: tuple[float, int | None] = (4.0, None)
    for cut in range(3, len(known) - 2):
        one, two = [v for _, v in known[:cut]], [v for _, v in known[cut:]]
        a, b = sum(one) / len(one), sum(two) / len(two)
        spread = sum((v - a) ** 2 for v in one) + sum((v - b) ** 2 for v in two)
        error = (spread / max(len(known) - 2, 1) * (1 / len(one) + 1 / len(two))) ** 0.5
        score = abs(a - b) / max(error, 1e-9)
        if score > best[0] and abs(a - b) > 0.2 * max(min(a, b) - 1, 0.05):
            best = score, known[cut][0]
    return best[1]
