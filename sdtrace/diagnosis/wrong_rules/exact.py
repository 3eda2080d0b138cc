"""Wrong rules that settle every decision: inverted ratio, lenience, thresholds, fixed rates, shifted values."""

from collections.abc import Callable

import numpy as np

from sdtrace.diagnosis.wrong_rules.explanation import Explanation
from sdtrace.schema.arrays import Flags, Floats
from sdtrace.verify.band import EXACT, Rounding, compare


class Decisions:
    """Tested decisions as arrays of one length; NaN is absent."""

    def __init__(self, columns: dict[str, Floats], accepted: Flags, p_band: Rounding, q_band: Rounding) -> None:
        self.columns, self.accepted, self.p_band, self.q_band = columns, accepted, p_band, q_band

    def __getitem__(self, name: str) -> Floats:
        return self.columns[name]

    def judge(self, p: Floats, q: Floats) -> tuple[int, int]:
        """(contradictions, decided) of `accept iff r <= p / q` with other p and q."""
        found = compare(self.accepted, p, q, self["r"], self.p_band, self.q_band)
        return int((found == -1).sum()), int((found != 0).sum())


def separation(values: Floats, accepted: Flags) -> tuple[float, float, int]:
    """The threshold that best parts accepted (values at or above it) from rejected ones: low, high, contradictions."""
    order = np.argsort(values, kind="stable")
    v, a = values[order], accepted[order]
    # errors if the threshold stands before element i: accepted ones below it, rejected ones from it on
    below = np.concatenate(([0], np.cumsum(a)))
    above = np.concatenate(([0], np.cumsum(~a)))
    errors = below + (above[-1] - above)
    best = int(errors.argmin())
    low = float(v[best - 1]) if best else float("-inf")
    high = float(v[best]) if best < len(v) else float("inf")
    return low, high, int(errors[best])


def inverted(d: Decisions) -> Explanation:
    """r <= q/p."""
    wrong, decided = d.judge(d["q"], d["p"])
    return Explanation("inverted-ratio", "accepted when r <= q/p", None, None, None, wrong, decided)


def lenient(d: Decisions) -> Explanation | None:
    """r <= p / (l q), l < 1 (Leviathan et al. 2023, A.5): l is the greatest value that no rejection forbids."""
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = d["p"] / (d["q"] * d["r"])
    known = np.isfinite(bound) & (bound < 1.0)
    if known.sum() < 5:
        return None
    low, high, wrong = separation(bound[known], d.accepted[known])
    # decisions with p/(q r) >= 1 are accepted by any lenience; a rejection there contradicts it
    wrong += int((~d.accepted & (bound > 1.0 + 1e-4) & np.isfinite(bound)).sum())
    low, high = max(low, 0.0), min(high, 1.0)
    middle = (low + high) / 2 if np.isfinite(high) else low
    label = f"lenient acceptance, threshold about {middle:.2f}"
    return Explanation("lenient-acceptance", label, middle, low, high, wrong, int(np.isfinite(bound).sum()))


def certain(d: Decisions) -> Explanation:
    """r <= p: the test of a draft that is a point, beside a residual that is another draft's."""
    wrong, decided = d.judge(d["p"], np.ones_like(d["p"]))
    label = "tokens are tested as if the draft were certain (r <= p), and recovered as if it were not"
    return Explanation("recovered-not-residual", label, None, None, None, wrong, decided)


def uncut(d: Decisions) -> Explanation | None:
    """p / S(p) is logged, p is compared: the log has the target after top-k, top-p or min-p, the decision before it.

    What is cut away has p = 0 in the log and may be accepted; what is kept was 1 / S times smaller in the decision, S the mass
    that is kept, so that a wrong rejection has r q >= S p.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(np.isfinite(d["r"]), d["r"], 1.0) * d["q"] / d["p"]
    gone = d.accepted & (d["p"] == 0.0)
    if gone.sum() < 3:
        return None
    wrong = d.accepted & ~gone & np.isfinite(d["r"]) & (share > 1.0 + 1e-4)
    wrong |= ~d.accepted & (share < _LEAST_KEPT)
    label = "the decision sees the target before top-k, top-p or min-p, the log after it: tokens of p = 0 are accepted"
    return Explanation(
        "one-sided-sampling-params", label, None, None, None, int(wrong.sum()), int(np.isfinite(share).sum())
    )


#: The least mass that a cut of the target is taken to keep.
_LEAST_KEPT = 0.1


def threshold(d: Decisions) -> Explanation | None:
    """Also accepted when p(x) is at least t (SGLang's threshold_single, typical acceptance with a flat target)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        lawful = d["r"] * d["q"] <= d["p"]
    open_ = ~lawful & np.isfinite(d["p"])
    if open_.sum() < 5:
        return None
    low, high, wrong = separation(d["p"][open_], d.accepted[open_])
    wrong += int((~d.accepted & lawful & (d["p"] > d["r"] * d["q"] * (1 + 1e-4))).sum())
    if not np.isfinite(high):
        return None
    middle = (max(low, 0.0) + high) / 2
    label = f"lenient acceptance, any token with target probability above about {middle:.2f} is accepted"
    return Explanation("lenient-acceptance", label, middle, max(low, 0.0), high, wrong, len(lawful))


def fixed_rate(d: Decisions) -> Explanation | None:
    """r <= c whatever p and q are: one c, or one a position."""
    drawn = np.isfinite(d["r"])
    if drawn.sum() < 20:
        return None
    low, high, wrong = separation(-d["r"][drawn], d.accepted[drawn])
    rate = -(max(low, -1.0) + min(high, 0.0)) / 2
    whole = Explanation(
        "synthetic-acceptance",
        f"accepted when r <= {rate:.2f}, whatever p and q",
        rate,
        -high,
        -low,
        wrong,
        int(drawn.sum()),
    )
    by_position = 0
    places = np.unique(d["position"][drawn])
    for place in places:
        here = drawn & (d["position"] == place)
        by_position += separation(-d["r"][here], d.accepted[here])[2]
    if len(places) > 1 and wrong > 0.02 * drawn.sum() and by_position < 0.2 * wrong:
        label = "accepted when r is under a fixed rate of its position, whatever p and q"
        return Explanation("synthetic-acceptance", label, None, None, None, by_position, int(drawn.sum()))
    return whole


_SHIFTS = (
    ("misaligned-draft-probs", "q", "q_next", "the next position"),
    ("misaligned-draft-probs", "q", "q_prev", "the position before"),
    ("misaligned-target-probs", "p", "p_next", "the next position"),
    ("misaligned-target-probs", "p", "p_prev", "the position before"),
)


def shifted(d: Decisions) -> list[Explanation]:
    """The decision used p or q as logged one place further or before."""
    found = []
    for cause, name, other, where in _SHIFTS:
        values = np.where(np.isnan(d[other]), np.nan, d[other])
        p, q = (values, d["q"]) if name == "p" else (d["p"], values)
        wrong, decided = d.judge(p, q)
        side = "target" if name == "p" else "draft"
        if decided >= 0.4 * len(d.accepted):
            found.append(
                Explanation(
                    cause, f"decisions used the {side} probability of {where}", None, None, None, wrong, decided
                )
            )
    return found


def tempered(d: Decisions) -> list[Explanation]:
    """One side at another temperature, undone by `tempered_value`."""
    found = []
    for side in _MOMENTS:
        tried = [(t, _under(d, side, 1 / t)) for t in _TEMPERATURES]
        fits = [(fit, t) for t, fit in tried if fit is not None]
        if not fits:
            continue
        (wrong, decided), temperature = min(fits)
        label = f"the {side} at temperature about {temperature:.2f} of what was logged, the other side not"
        found.append(Explanation("one-sided-sampling-params", label, temperature, None, None, wrong, decided))
    return found


_TEMPERATURES = (0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 1.1, 1.2, 1.25, 1.3, 1.4, 1.5, 1.75, 2.0)
_MOMENTS = {
    "target": ("p", "target_entropy", "target_varentropy", "target_sq"),
    "draft": ("q", "draft_entropy", "draft_varentropy", "draft_sq"),
}


def tempered_value(d: Decisions, side: str, theta: float) -> Floats | None:
    """p or q to the power theta over Z(theta), with log Z interpolated from the logged moments; None without entropies.

    log Z(1) = 0, its slope there is -H, its curvature the varentropy, log Z(2) = log sum p^2: a cubic through them, a
    parabola where there is no varentropy.
    """
    name, *moments = _MOMENTS[side]
    entropy, varentropy, square = (d[m] for m in moments)
    if not np.isfinite(entropy).mean() > 0.9:
        return None
    t = theta - 1.0
    whole = np.log(np.clip(square, 1e-12, 1.0)) + entropy
    curve = np.where(np.isfinite(varentropy), varentropy / 2, np.where(np.isfinite(whole), whole, 0.0))
    rest = np.where(np.isfinite(whole), whole - curve, 0.0)
    with np.errstate(divide="ignore"):
        return np.clip(np.exp(theta * np.log(d[name]) + entropy * t - curve * t**2 - rest * t**3), 0.0, 1.0)


def _under(d: Decisions, side: str, theta: float) -> tuple[int, int] | None:
    value = tempered_value(d, side, theta)
    if value is None:
        return None
    p, q = (value, d["q"]) if side == "target" else (d["p"], value)
    with np.errstate(invalid="ignore", divide="ignore"):
        wrong = (d["r"] * q <= p) != d.accepted
    known = np.isfinite(d["r"] * q * p)
    return int((wrong & known).sum()), int(known.sum())


HYPOTHESES: tuple[Callable[[Decisions], Explanation | None], ...] = (
    inverted,
    certain,
    uncut,
    lenient,
    threshold,
    fixed_rate,
)

__all__ = ["EXACT", "HYPOTHESES", "Decisions", "shifted", "tempered", "tempered_value", "uncut"]
