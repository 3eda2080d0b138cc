"""Stopping the draft after a token that the drafter doubts: the token is still verified, so the text stays the target's."""

import numpy as np

from sdtrace.schema.arrays import Floats, Ints
from sdtrace.schema.json_values import Json
from sdtrace.tuning.run import Tuned
from sdtrace.tuning.whatif.policies import PolicyKind
from sdtrace.verify.ragged import ragged

#: Thresholds that are tried, as shares of the recorded confidences.
TRIED = (0.05, 0.1, 0.2, 0.35, 0.5)


def threshold(run: Tuned, cost: Floats | None) -> list[Json]:
    """The best threshold on the recorded steps, or what is missing to say it. Steps begin where they were recorded to."""
    name = "stop after a doubtful token"
    names = ("tokens_per_step", "step_ms", "speedup", "slo_met", "basis", "tpot_p50", "tpot_p99", "itl_p99", "cost")
    kind: PolicyKind = "adaptive"
    blank = {"kind": kind, **dict.fromkeys(names)}
    text = run.traffic.text
    lists = text.steps["draft_confidence"] if "draft_confidence" in text.steps.columns else None
    if lists is None or lists.null_count() == len(lists):
        return [{"name": name, **blank, "why": "not recorded: log draft_confidence of every drafted token"}]
    flat = ragged(lists)
    full = (flat.count >= text.verified) & (text.verified > 0)
    if full.mean() < 0.99:
        return [
            {"name": name, **blank, "why": "draft_confidence is missing for drafted tokens: log it for all of them"}
        ]
    values = flat.values.astype(np.float64)
    best: Json = {}
    for share in TRIED:
        limit = float(np.quantile(values[np.isfinite(values)], share))
        tau = _stops(values, flat.start, text.verified, limit)
        row = _row(run, np.minimum(text.n_a, tau), tau, cost)
        row = {"name": f"{name} (confidence below {limit:.3g})", **blank, **row, "basis": "model", "why": None}
        better = row["cost"] is not None and row["cost"] < (best.get("cost") or float("inf"))
        if not best or better:
            best = row
    return [best]


def _stops(values: Floats, start: Ints, verified: Ints, limit: float) -> Ints:
    """Tokens drafted when drafting stops after the first one below the limit."""
    doubt = np.append(np.where(values < limit, np.arange(len(values)), len(values)), len(values))
    ahead = np.minimum.accumulate(doubt[::-1])[::-1]
    return np.asarray(np.minimum(ahead[start] - start + 1, verified), dtype=np.int64)


def _row(run: Tuned, accepted: Ints, tau: Ints, cost: Floats | None) -> Json:
    appended = accepted + 1.0
    found: Json = {"tokens_per_step": float(appended.mean())}
    if cost is None or int(tau.max()) >= len(cost):
        return found
    spent = cost[tau, run.traffic.buckets]
    known = np.isfinite(spent)
    if not known.any():
        return found
    found["cost"] = float(spent[known].sum() / appended[known].sum())
    if run.price.unit == "ms":
        found["step_ms"] = float(spent[known].mean())
    plain = run.plain_cost
    return found | ({"speedup": plain / found["cost"]} if plain is not None else {})
