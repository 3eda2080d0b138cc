"""Policies side by side on the recorded text: tokens per step, speed, latency against its limits, regret."""

from collections.abc import Sequence

import numpy as np

from sdtrace.schema.arrays import Flags, Floats, Ints
from sdtrace.schema.json_values import Json
from sdtrace.tuning.curve import INVARIANT, REPLAYABLE
from sdtrace.tuning.price import price
from sdtrace.tuning.run import Asked, Tuned
from sdtrace.tuning.whatif import policies as rules
from sdtrace.tuning.whatif.confidence import threshold
from sdtrace.tuning.whatif.control import Policy, Walk, drafted_right, spent, walk
from sdtrace.tuning.whatif.policies import PolicyKind

#: The longest draft that a policy may choose.
LONGEST = 12
#: SGLang's candidate steps by batch size (adaptive speculative decoding, 2026).
_SGLANG = (1, 3, 5, 7)

_ANTICIPATES = "refused: it changes the text (total variation .03 to .10 a sampled token), while verifying the doubtful token does not"


def compare(run: Tuned, asked: Asked) -> tuple[list[Json], str | None]:
    """Rows of the policies, and why there are none where there are none."""
    if not run.curve.current:
        return [], "policies: nothing was drafted"
    if run.run.method not in INVARIANT or any(law not in REPLAYABLE for law in run.traffic.laws):
        return [], "policies: other lengths than the recorded one are not identified (see tau)"
    if run.curve.stopping is not None and run.curve.stopping > 4:
        return [], "policies: the recorded draft lengths depend on what was drafted"
    bench = Bench(run, asked)
    rows = [bench.row(policy) for policy in bench.policies()]
    rows += threshold(run, bench.cost)
    sampled = run.run.draft_sampling != "argmax"
    rows += [_blank("drop doubtful tokens unverified", _ANTICIPATES)] if sampled else []
    best = bench.oracle()
    for row in rows:
        known = best is not None and row["cost"] is not None
        row["regret"] = round(row["cost"] / best - 1.0, 9) + 0.0 if known else None
    return rows, None


def _blank(name: str, why: str | None, kind: PolicyKind = "adaptive") -> Json:
    names = (
        "tokens_per_step",
        "step_ms",
        "speedup",
        "slo_met",
        "basis",
        "tpot_p50",
        "tpot_p99",
        "itl_p99",
        "cost",
        "regret",
    )
    return {"name": name, "kind": kind, **dict.fromkeys(names), "why": why}


class Bench:
    """The text, its coins and prices, the same for every policy."""

    def __init__(self, run: Tuned, asked: Asked) -> None:
        self.run, self.asked, self.text = run, asked, run.traffic.text
        told = [p.tau for p in run.curve.points if p.identified]
        self.most = max(1, min(LONGEST, max(told)))
        grid = price(
            run.traffic.times, range(self.most + 1), run.curve.tokens.shape[1], asked.baseline_ms, asked.draft_cost
        )
        self.known: Flags = np.asarray(np.isfinite(grid.high).all(axis=0))
        self.cost: Floats | None = grid.high if self.known.any() else None
        self.plain, self.unit = grid.plain * run.lift.plain * run.price.equal, grid.unit
        marks = self.text.mark[self.text.mark >= 0]
        self.rate = float(marks.mean()) if len(marks) else 0.5
        self.right: Flags = drafted_right(self.text, self.rate)
        self.bucket: Ints = run.traffic.buckets[self.text.step_of]
        if self.cost is not None:
            # figures of the sample are brought to those of all steps, as the curve's are
            drafting = (np.arange(self.most + 1) > 0)[:, None]
            scale = np.where(
                drafting, run.lift.cost, run.lift.plain if np.isfinite(grid.plain).any() else run.lift.cost
            )
            self.cost = np.where(self.known, self.cost * scale, np.nan)

    def policies(self) -> list[Policy]:
        """What can be walked: those that need prices only where there are some for every bucket."""
        current = self.run.curve.current or 1
        found: list[Policy] = [rules.Fixed(current, name=f"fixed {current} (as recorded)")]
        if self.run.best is not None and self.run.best.tau not in (current,) and self.run.best.tau <= self.most:
            found.append(rules.Fixed(self.run.best.tau, name=f"fixed {self.run.best.tau} (best)"))
        steps = tuple(k for k in _SGLANG if k <= self.most)
        found += [rules.Additive(self.most), rules.Multiplicative(self.most)]
        found += [rules.Smoothed(steps)] if len(steps) > 1 else []
        if self.cost is not None and self.known[np.unique(self.bucket)].all():
            cost = np.where(self.known, self.cost, 1.0)
            found.append(rules.Table(0, name="table by batch size", table=self._table(cost)))
            found.append(rules.Goodput(cost, self.rate))
            arms = tuple(sorted({0, 1, 2, 4, 8, current} & set(range(self.most + 1))))
            found.append(rules.Bandit(arms, cost))
        return found

    def _table(self, cost: Floats) -> Ints:
        """The best fixed length of every bucket, from the curve."""
        curve = self.run.curve
        told = [p for p in curve.points if p.identified and p.steps is not None and p.tau <= self.most]
        time = np.stack([p.steps.sum(axis=0) * cost[p.tau] for p in told if p.steps is not None])
        return np.asarray(np.array([p.tau for p in told])[np.argmin(time, axis=0)])

    def row(self, policy: Policy) -> Json:
        """One policy, walked."""
        walked = walk(policy, self.text, self.right, self.bucket)
        row = _blank(policy.name, None, policy.kind)
        row["tokens_per_step"] = self.run.lift.tokens * float(walked.appended.sum() / len(walked.appended))
        row["basis"] = policy.basis if self.most <= (self.run.curve.current or 0) else "model"
        return row if self.cost is None else row | self._timed(walked)

    def _timed(self, walked: Walk) -> Json:
        assert self.cost is not None
        used = self.known[walked.bucket]
        if not used.any():
            return {}
        cost = spent(walked, self.cost)[used]
        who, tokens = walked.request[used], walked.appended[used] * self.run.lift.tokens
        r = self.text.requests
        time, count = np.bincount(who, cost, r), np.bincount(who, tokens, r)
        some = count > 0
        tpot = time[some] / count[some]
        plain = self.plain[walked.bucket[used]]
        whole = float(cost.sum())
        found: Json = {
            "cost": whole / float(tokens.sum()),
            "tpot_p50": float(np.quantile(tpot, 0.5)),
            "tpot_p99": float(np.quantile(tpot, 0.99)),
            "itl_p99": float(np.quantile(cost, 0.99)),
            "speedup": float((plain * tokens).sum()) / whole if np.isfinite(plain).all() else None,
        }
        if self.unit != "ms":
            return found
        return found | {"step_ms": whole / len(cost), "slo_met": self._met(who[: len(cost)], cost, tpot, some)}

    def _met(self, who: Ints, cost: Floats, tpot: Floats, some: Flags) -> float | None:
        """Share of the requests that keep every limit that was asked for."""
        if self.asked.slo_tpot_ms is None and self.asked.slo_itl_ms is None:
            return None
        fine = np.ones(len(tpot), dtype=bool)
        if self.asked.slo_tpot_ms is not None:
            fine &= tpot <= self.asked.slo_tpot_ms
        if self.asked.slo_itl_ms is not None:
            late = np.bincount(who, cost > self.asked.slo_itl_ms, len(some))[some]
            fine &= late == 0
        return float(fine.mean())

    def oracle(self) -> float | None:
        """Cost per token if every request had its best fixed length, known beforehand."""
        if self.cost is None:
            return None
        told: Sequence[int] = range(self.most + 1)
        totals = []
        for tau in told:
            walked = walk(rules.Fixed(tau), self.text, self.right, self.bucket)
            used = self.known[walked.bucket]
            cost = spent(walked, self.cost)[used]
            totals.append(np.bincount(walked.request[used], cost, self.text.requests))
            tokens = float(walked.appended[used].sum()) * (self.run.lift.tokens if tau else 1.0)
        return float(np.min(totals, axis=0).sum()) / tokens if tokens else None
