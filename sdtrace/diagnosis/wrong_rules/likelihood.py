"""Wrong rules without uniforms: each gives every decision a chance, and the likeliest one is named.

Nothing is proved by it: impossible events have already proved that decisions are wrong, and this says which rule makes
such decisions. A rule is named only if it beats the law and every other rule by odds that leave no doubt.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from sdtrace.diagnosis.wrong_rules.exact import Decisions, tempered_value
from sdtrace.diagnosis.wrong_rules.explanation import Explanation
from sdtrace.schema.arrays import Floats

#: Natural log of the odds over the next rule; of any parameter's own cost.
_MARGIN, _COST = 4.0, 2.0
#: A few decisions may have another reason than the rule.
_SLACK = 2e-3
_TEMPERATURES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.15, 1.3, 1.5, 2.0)


def likeliest(d: Decisions) -> Explanation | None:
    """The rule whose chances fit the recorded decisions best; None where none stands out. A share of decisions
    that are turned round or forced is a rule of the last resort: decision-mismatch."""
    p, q = d["p"], d["q"]
    known = np.isfinite(p) & np.isfinite(q) & (q > 0) & (p >= 0)
    if known.sum() < 100:
        return None
    best: dict[str, tuple[float, str, float | None, Floats]] = {}
    for cause, label, parameter, chance in _rules(d, p, q):
        score = _fit(chance[known], d.accepted[known]) - (_COST if parameter is not None else 0.0)
        if cause not in best or score > best[cause][0]:
            best[cause] = (score, label, parameter, chance)
    ranked = sorted(best.items(), key=lambda item: -item[1][0])
    (cause, (score, label, parameter, chance)), (_, second) = ranked[0], ranked[1]
    if cause == "" or score - second[0] < _MARGIN or not _whole(d, chance, known):
        return None
    return Explanation(cause, label, parameter, None, None, 0, int(known.sum()))


def _rules(d: Decisions, p: Floats, q: Floats) -> Iterator[tuple[str, str, float | None, Floats]]:
    """(cause, label, parameter, chance of acceptance) of every rule; the law itself has no cause."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        law = np.minimum(p / q, 1.0)
        yield "", "", None, law
        yield "inverted-ratio", "accepted when r <= q/p", None, np.minimum(q / np.maximum(p, 1e-300), 1.0)
        yield (
            "recovered-not-residual",
            "tokens are tested as if the draft were certain (r <= p), and recovered as if it were not",
            None,
            np.minimum(p, 1.0),
        )
        for share in (0.01, 0.02, 0.05, 0.1, 0.2, 0.3):
            yield "decision-mismatch", "", share, law + (1 - law) * share
            yield "decision-mismatch", "", share, law * (1 - share) + (1 - law) * share
        rate = float(d.accepted.mean())
        yield (
            "synthetic-acceptance",
            f"accepted with a chance of {rate:.2f}, whatever p and q",
            rate,
            np.full_like(p, rate),
        )
        for factor in (0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95):
            label = f"lenient acceptance, threshold about {factor:.2f}"
            yield "lenient-acceptance", label, factor, np.minimum(p / q / factor, 1.0)
        for name, cause, side in (("q", "misaligned-draft-probs", "draft"), ("p", "misaligned-target-probs", "target")):
            for suffix, where in (("next", "the next position"), ("prev", "the position before")):
                other = np.where(np.isfinite(d[f"{name}_{suffix}"]), d[f"{name}_{suffix}"], d[name])
                ratio = p / np.maximum(other, 1e-300) if name == "q" else other / q
                yield cause, f"decisions used the {side} probability of {where}", None, np.minimum(ratio, 1.0)
        for side in ("target", "draft"):
            for temperature in _TEMPERATURES:
                value = tempered_value(d, side, 1 / temperature)
                if value is None:
                    break
                ratio = value / q if side == "target" else p / np.maximum(value, 1e-300)
                label = f"the {side} at temperature about {temperature:.2f} of what was logged, the other side not"
                yield "one-sided-sampling-params", label, temperature, np.minimum(np.nan_to_num(ratio, nan=0.5), 1.0)


def _whole(d: Decisions, chance: Floats, known: npt.NDArray[np.bool_]) -> bool:
    """Whether nothing is left that depends on p or q: what a rule does not explain must not lean on either."""
    chance = np.clip(chance[known], _SLACK, 1 - _SLACK)
    rest = d.accepted[known] - chance
    for name in ("p", "q"):
        lean = np.log(np.clip(d[name][known], 1e-6, None))
        lean = lean - lean.mean()
        if abs(float((rest * lean).sum())) > _LEAN * float(np.sqrt((chance * (1 - chance) * lean**2).sum())):
            return False
    return True


#: Standard errors that the rest of a rule may lean.
_LEAN = 4.5


def _fit(chance: Floats, accepted: npt.NDArray[np.bool_]) -> float:
    chance = chance * (1 - 2 * _SLACK) + _SLACK
    return float(np.log(np.where(accepted, chance, 1 - chance)).sum())
