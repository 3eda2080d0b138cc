"""Where a recovered token that breaks its support came from: the target itself, or something else."""

import math

import polars as pl

from sdtrace.diagnosis.wrong_rules.explanation import Explanation


def emitted(recovered: pl.DataFrame) -> Explanation:
    """recovered-from-target if the tokens look drawn from p, otherwise recovered-not-residual.

    `recovered`: p_y, q_y, same (y equals the rejected token), p_x, q_x, overlap, target_sq. Drawn from p, the rejected token comes
    back with probability p(x), so `same` has mean sum p(x); drawn from p without x, from the residual of something, by
    argmax or from q it does not.
    """
    n = recovered.height
    same, expected = int(recovered["same"].sum()), float(recovered["p_x"].fill_nan(None).drop_nulls().sum())
    spread = math.sqrt(max(expected, 1.0))
    from_target = abs(same - expected) <= 3.5 * spread + 1 and (same > 0 or expected < 4.0)
    ratio = (recovered["q_y"] / recovered["p_y"]).fill_nan(None).drop_nulls()
    ratio = ratio.filter(ratio.is_finite())
    if len(ratio) >= 20:
        # under y ~ p the mean of min(1, q/p) is the overlap; from q it is far higher, under argmax p it is lower
        capped = ratio.clip(0.0, 1.0)
        overlap = recovered["overlap"].fill_nan(None).drop_nulls()
        if len(overlap) >= 0.9 * n:
            from_target &= _about(capped, float(overlap.to_numpy().mean()))
    if "free" in recovered.columns and len(ratio) >= 40:
        # drawn from p, tokens with p < q come as often as they are accepted (min(p, q) = p there)
        free = recovered["free"][0]
        from_target &= free is None or (ratio > 1.0).sum() >= 0.4 * free * len(ratio)
    square = recovered["target_sq"].fill_nan(None)
    if square.null_count() < 0.1 * n:
        # under y ~ p the mean of p(y) is sum p^2; argmax p gives far more
        from_target &= _about((recovered["p_y"] - square).fill_nan(None).drop_nulls(), 0.0)
    cause = "recovered-from-target" if from_target else "recovered-not-residual"
    label = "drawn from p" if from_target else "not drawn from the residual"
    return Explanation(cause, label, None, None, None, 0, n)


def _about(values: pl.Series, mean: float) -> bool:
    """Whether the mean of some values is within 4.5 standard errors of `mean`; so few that they tell nothing are."""
    if len(values) < 2:
        return True
    numbers = values.to_numpy()
    error = max(float(numbers.std(ddof=1)) / math.sqrt(len(numbers)), 1e-3)
    return abs(float(numbers.mean()) - mean) <= 4.5 * error
