"""Requests seem to share their uniform draws.

What it finds
Accepted - expected, added over requests at each place (step and position), spreads more than its variance: many requests
are lucky or unlucky at the same places. No uniform is needed.

Why it matters
The generator is seeded anew for every request, or one row of draws is broadcast over the batch: outputs of different
requests depend on each other, and samples of one prompt are no samples.

What to do
Seed once a process; draw a row of uniforms for every row of the batch.

How it can be wrong
Requests that share a user seed repeat each other lawfully: they are left out where the request line names the seed, and
without request lines the check cannot tell.
"""

import polars as pl

from sdtrace.results.check import Check, Counts, Outcome


def _read(counts: Counts) -> Outcome:
    runs = [row for row in counts.sums if row["lanes"] >= 8]
    if not runs:
        why = (
            "too few requests reach the same places"
            if counts.sums
            else "nothing to look at under the laws of this trace"
        )
        return Outcome("cannot-tell", 0, counts.total, counts.missing, None, why)
    worst = min(runs, key=lambda row: row["p"])
    said = f"squares over places are {worst['scale']:.2f} times their variance, in {worst['lanes']:,} places"
    if worst["p"] >= counts.level or worst["scale"] < 1.2:
        return Outcome("clear", counts.examined, counts.total, (), worst["scale"], said)
    if worst["unknown"]:
        why = f"{said}; whether requests share a user seed is not recorded"
        return Outcome("cannot-tell", counts.examined, counts.total, ("seed",), worst["scale"], why)
    seen = {"run_id": worst["run_id"], "statistic": "spread over places", "n": worst["lanes"], "effect": worst["scale"]}
    said += f"; chance of that by luck {worst['p']:.0e}"
    return Outcome("fired", counts.examined, counts.total, (), worst["scale"], said, 1, (seen,))


CHECK = Check(
    code="SD223",
    name="shared-draws",
    table="lanes",
    needs=("target_probs",),
    judged=pl.lit(value=True),
    fault=pl.lit(value=False),
    read=_read,
    laws=frozenset({"ratio", "one-hot", "tree-coin"}),
    tests=1,
)
