"""Wrong rules that look at the target alone, neither at the draft nor at a draw: tests of lossy laws, and of temperature 0."""

from itertools import product

import numpy as np

from sdtrace.diagnosis.wrong_rules.exact import Decisions, separation
from sdtrace.diagnosis.wrong_rules.explanation import Explanation

#: Accepted and rejected tokens, each, from which a rule is told.
_FEW = 8
#: Thresholds of typical acceptance that are tried (Medusa: 0.09 and 0.3).
_EPSILON, _DELTA = (0.05, 0.09, 0.1, 0.2, 0.3), (0.1, 0.2, 0.3, 0.5)


def of_target_alone(d: Decisions) -> list[Explanation]:
    """x is the argmax of p; p(x) > min(eps, delta exp(-H)) (typical acceptance, Cai et al. 2024); p(x) >= t.

    Every decision is held to them: with uniforms recorded or not.
    """
    if min(d.accepted.sum(), (~d.accepted).sum()) < _FEW:
        return []
    found = [_typical(d), _above(d)]
    best = d["best"]
    if np.isfinite(best).mean() > 0.9:
        known = np.isfinite(best)
        wrong = int(((best == 1.0) != d.accepted)[known].sum())
        label = "a drafted token is kept if and only if it is the best one of the target, as at temperature 0"
        found.append(Explanation("sampling-params-ignored", label, None, None, None, wrong, int(known.sum())))
    return [one for one in found if one is not None]


def _typical(d: Decisions) -> Explanation | None:
    p, entropy = d["p"], d["target_entropy"]
    known = np.isfinite(p) & np.isfinite(entropy)
    if known.mean() < 0.9:
        return None
    tried = []
    for eps, delta in product(_EPSILON, _DELTA):
        accept = p > np.minimum(eps, delta * np.exp(-entropy))
        tried.append((int((accept != d.accepted)[known].sum()), eps, delta))
    wrong, eps, delta = min(tried)
    label = f"typical acceptance, target probability above min({eps}, {delta} exp(-entropy)), whatever q and r"
    return Explanation("lenient-acceptance", label, eps, None, None, wrong, int(known.sum()))


def _above(d: Decisions) -> Explanation | None:
    known = np.isfinite(d["p"])
    if known.mean() < 0.9:
        return None
    low, high, wrong = separation(d["p"][known], d.accepted[known])
    middle = (max(low, 0.0) + min(high, 1.0)) / 2
    label = f"accepted when the target probability is above about {middle:.2f}, whatever q and r"
    return Explanation("lenient-acceptance", label, middle, max(low, 0.0), min(high, 1.0), wrong, int(known.sum()))
