"""What decisions depend on: a logistic fit of accepted on log p, log q, log r.

accepted ~ sigmoid((alpha log p - kappa log q - log r + c) / s): the ratio law is (1, 1, 0), lenience (1, 1, -log l), an
inverted ratio (-1, -1), a target at another temperature alpha = 1/T (a draft: kappa), a shifted target row alpha = 0, a shifted draft
row kappa = 0, a synthetic coin alpha = kappa = 0.
"""

from dataclasses import dataclass

import numpy as np

from sdtrace.diagnosis.wrong_rules.exact import Decisions
from sdtrace.diagnosis.wrong_rules.explanation import Explanation
from sdtrace.schema.arrays import Flags, Floats


@dataclass(frozen=True)
class Dependence:
    """Slopes of accepted on log p, log q and log r, and their errors; `sum_error` is that of p + q, which vary together."""

    p: float
    q: float
    r: float
    p_error: float
    q_error: float
    r_error: float
    sum_error: float
    rate: float


def dependence(d: Decisions) -> Dependence | None:
    """Fit by iteratively reweighted least squares with a small ridge; None with too few decisions to fit."""
    drawn = np.isfinite(d["r"]).mean() > 0.9
    columns = [np.log(np.clip(d[name], 1e-9, None)) for name in ("p", "q")]
    columns.append(np.log(np.clip(d["r"], 1e-6, None)) if drawn else np.zeros_like(columns[0]))
    known = np.isfinite(np.column_stack(columns)).all(axis=1)
    y = d.accepted[known].astype(np.float64)
    if known.sum() < 60 or not 3 <= y.sum() <= len(y) - 3:
        return None
    raw = np.column_stack(columns)[known]
    x = np.column_stack(((raw - raw.mean(axis=0)) / np.maximum(raw.std(axis=0), 1e-9), np.ones(len(y))))
    beta, ridge = np.zeros(4), np.diag([1.0, 1.0, 1.0, 1e-3])
    for _ in range(30):
        mean = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        weight = np.maximum(mean * (1 - mean), 1e-6)
        hessian = (x * weight[:, None]).T @ x + ridge
        step = np.linalg.solve(hessian, x.T @ (y - mean) - ridge @ beta)
        beta += step
        if np.abs(step).max() < 1e-6:
            break
    scale = np.maximum(raw.std(axis=0), 1e-9)
    covariance = np.linalg.inv(hessian)[:3, :3] / np.outer(scale, scale)
    p, q, r = (beta[:3] / scale).tolist()
    p_error, q_error, r_error = np.sqrt(np.diag(covariance)).tolist()
    sum_error = float(np.sqrt(covariance[:2, :2].sum()))
    return Dependence(p, q, r, p_error, q_error, r_error, sum_error, float(y.mean()))


def read(d: Decisions, fit: Dependence, contradictions: int, decided: int) -> Explanation | None:
    """The wrong rule that the slopes point at; None where they look like the law's own."""

    def absent(slope: float, error: float, other: float) -> bool:
        return abs(slope) < max(2.5 * error, 0.2 * abs(other))

    no_p, no_q = (
        absent(fit.p, fit.p_error, max(fit.q, fit.r, key=abs)),
        absent(fit.q, fit.q_error, max(fit.p, fit.r, key=abs)),
    )
    cause, label = "", ""
    if fit.p < -3 * fit.p_error and fit.q > 3 * fit.q_error:
        cause, label = "inverted-ratio", "accepted the more, the smaller p/q"
    elif shifted_row := _shifted_row(d):
        cause, label = shifted_row
    elif no_p and no_q:
        cause, label = "synthetic-acceptance", "acceptance depends on neither p nor q"
    elif no_p and -fit.q > 3 * fit.q_error:
        cause, label = "misaligned-target-probs", "decisions depend on q and r, but not on the recorded p"
    elif no_q and fit.p > 3 * fit.p_error and _target_alone(d, fit):
        cause, label = (
            "lenient-acceptance",
            "decisions follow the target alone (a typical, top-k or argmax test), not q",
        )
    elif no_q and fit.p > 3 * fit.p_error:
        cause, label = "misaligned-draft-probs", "decisions depend on p and r, but not on the recorded q"
    elif side := _heavier(fit):
        cause, label = (
            "one-sided-sampling-params",
            f"the {side} probabilities weigh too much: sharper than logged there",
        )
    if not cause:
        return None
    return Explanation(cause, label, None, None, None, contradictions, decided)


def _target_alone(d: Decisions, fit: Dependence) -> bool:
    """Whether no draw takes part: r has no slope where it is recorded, and p orders accepted before rejected tokens elsewhere. With
    q of another row the draw blurs that order."""
    if np.isfinite(d["r"]).mean() > 0.9:
        return abs(fit.r) < max(2.5 * fit.r_error, 0.2 * abs(fit.p))
    return _rank(np.log(np.clip(d["p"], 1e-9, None)), d.accepted) > _ORDERED


#: Area under the curve from which an order is taken to be that of a rule.
_ORDERED = 0.94


def _heavier(fit: Dependence) -> str | None:
    """The side whose logarithm weighs more in the decisions: at temperature T it enters 1/T times, plus a constant of
    the row that is not known here and blurs the fit. Told only where the two slopes are clearly apart."""
    if fit.p <= 3 * fit.p_error or fit.q >= -3 * fit.q_error:
        return None
    apart = (fit.p + fit.q) / fit.sum_error
    return None if abs(apart) < 4.0 else "target" if apart > 0 else "draft"


#: Share of the decisions that another row contradicts at least, where their uniforms are known: it has nothing to do with their own.
_MANY = 0.05


def other_row(d: Decisions, contradictions: int) -> list[Explanation]:
    """The explanation by a row of another position, if decisions look like it."""
    few = bool(np.isfinite(d["r"]).any()) and contradictions < _MANY * len(d.accepted)
    named = None if few else _shifted_row(d)
    return [] if named is None else [Explanation(*named, None, None, None, contradictions, len(d.accepted))]


def _shifted_row(d: Decisions) -> tuple[str, str] | None:
    """A row of another position gives the drafted token next to nothing: with its q nearly everything is accepted, and
    the few rejections have a large r/p; with its p nearly nothing is, and the few acceptances have a small r q."""
    drawn = np.where(np.isfinite(d["r"]), d["r"], 0.5)
    rate = float(d.accepted.mean())
    with np.errstate(divide="ignore"):
        rejects = _rank(np.log(drawn) - np.log(np.clip(d["p"], 1e-9, None)), ~d.accepted)
        accepts = _rank(-np.log(drawn) - np.log(np.clip(d["q"], 1e-9, None)), d.accepted)
    if rate > 0.9 and rejects > _RANK:
        return "misaligned-draft-probs", "nearly everything is accepted, whatever the recorded q; rejections follow r/p"
    if rate < 0.2 and accepts > _RANK:
        return "misaligned-target-probs", "nearly nothing is accepted, whatever the recorded p; acceptances follow r q"
    return None


#: Area under the curve from which a rank order is taken for a dependence.
_RANK = 0.65


def _rank(score: Floats, chosen: Flags) -> float:
    """The chance that a chosen row scores above another one (the area under the curve)."""
    known = np.isfinite(score)
    score, chosen = score[known], chosen[known]
    k, n = int(chosen.sum()), len(chosen)
    if not 3 <= k <= n - 3:
        return 0.5
    ranks = np.empty(n)
    ranks[np.argsort(score, kind="stable")] = np.arange(1, n + 1)
    return float((ranks[chosen].sum() - k * (k + 1) / 2) / (k * (n - k)))
