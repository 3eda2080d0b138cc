"""Drafted tokens are likelier under p than draws from q can be.

What it finds
If x is drawn from q, the mean of p(x)/q(x) is the weight that p has where q is not 0: 1 at most, whatever the law. Betting on
more than that is an e-process: its wealth exceeds 1/a with a chance of a at most (Ville). Ratios are cut at 4, first positions
of steps are looked at. Read where the run declares block verification, and the drafts are sampled: of several drafted
tokens a node a record holds the accepted one, and nobody knows that of a run that declares nothing.

Why it matters
It needs neither decisions nor the law. It sees columns of p and q that are exchanged, and drafts that know the target.

What to do
Check which model's probabilities stand in which column, and what the draft was drawn from.

How it can be wrong
An argmax draft that is logged with the q of its softmax and declared as sampled.
"""

import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from sdtrace.results.check import Check, Counts, Outcome

#: The bets on more than 1, by the columns of their wealth; the least excess of the mean that matters.
_BETS, _LEAST = tuple(f"e{i}" for i in range(5, 10)), 0.02


def _read(counts: Counts) -> Outcome:
    runs = [row for row in counts.sums if ":" not in row["code"] and row["n"]]
    if not runs:
        why = "no run of unknown law, or under block verification, whose drafts are known to be sampled"
        return Outcome("cannot-tell", 0, counts.total, counts.missing, None, why)
    worst = max(runs, key=_log_e)
    n, excess = int(worst["n"]), 3.0 * worst["d"] / worst["n"]
    said = f"the mean of p/q at {n:,} drafted tokens is {1 + excess:.3f}"
    if _log_e(worst) < -math.log(counts.level) or excess < _LEAST:
        return Outcome("clear", n, counts.total, (), excess, f"{said}; no bet on more than 1 has won")
    seen = {"run_id": worst["run_id"], "statistic": "p/q at drafted tokens", "n": n, "effect": excess}
    said += f" and must not exceed 1; chance of that by luck {math.exp(-_log_e(worst)):.0e}"
    return Outcome("fired", n, counts.total, (), excess, said, 1, (seen,))


def _log_e(row: Mapping[str, Any]) -> float:
    top = max(row[name] for name in _BETS)
    return float(top + math.log(sum(math.exp(row[name] - top) for name in _BETS) / len(_BETS)))


CHECK = Check(
    code="SD213",
    name="draft-likelihood",
    table="evidence",
    needs=("target_probs", "draft_probs"),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=_read,
    laws=None,
    tests=1,
)
