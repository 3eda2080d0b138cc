"""Tokens are accepted more or less often than p and q say, in one part of the traffic.

What it finds
Accepted minus chance has mean 0 in every part that is chosen before the draw. It is added up by tag, prefix hit, rank, graph, hour,
batch, context, draft length, step of the request and position; each part has an e-value, and e-BH holds them to a false
discovery rate of 0.1%. So is acceptance given the emitted token (SD202), also weighed by the logarithm of its q, which
sees drafts that are not drawn from q and wrong recovery; where sums over the vocabulary are logged, q at drafted tokens
(SD211) and p at those that the target draws alone (SD212). These are of an input of up to 98,304 drafted tokens, and of
the first 49,152 of a larger one and of one batch of lines in sixteen. Named is the part that tells most, where the rest
of the run is in order.

Why it matters
A fault of one adapter in twenty, of one rank or of large batches is lost in the mean over all.

What to do
Compare what differs there: the adapter's sampler flags, the build on that rank, the kernel for that batch size.

How it can be wrong
What SD201 says of the whole: p and q before temperature, top-k or top-p for a part of the requests only; positions left out because of
how they ended. A tag that is written after the answer and depends on its speed.
"""

import math
from typing import Any

import polars as pl

from sdtrace.results.check import Check, Counts, Outcome
from sdtrace.verify.laws import where

_QUANTITIES = {
    "accepted": "the rate of acceptance",
    "emitted": "acceptance given the emitted token",
    "leaning": "acceptance given the emitted token, weighed by its q,",
    "drafted": "q at the drafted token",
    "alone": "p at the token that the target draws alone",
}


def _read(counts: Counts) -> Outcome:
    if not counts.total:
        why = "no part of a run that declares its law has enough decisions"
        return Outcome("cannot-tell", 0, 0, counts.missing, None, why)
    if not counts.witnesses:
        said = f"none of {counts.total:,} means over parts of the traffic (tags, ranks, batches, hours, positions ...) stands out"
        return Outcome("clear", counts.examined, counts.total, (), None, said)
    seen = _witness(counts.witnesses[0])
    rest = f"; elsewhere {seen['rest']:+.2%}"
    tokens = "tested positions" if seen["quantity"] == "accepted" else "tokens of that kind"
    said = (
        f"{_QUANTITIES[seen['quantity']]} is off by {seen['effect']:+.2%} ({seen['low']:+.2%} to {seen['high']:+.2%}) "
        f"where {seen['slice']}, {seen['share']:.0%} of the {tokens}{rest}; e-value {seen['e_value']:.0e} among {counts.total:,} means"
    )
    return Outcome("fired", counts.examined, counts.total, (), seen["effect"], said, 1, (seen,))


def _witness(row: dict[str, Any]) -> dict[str, Any]:
    where = {str(row["by"]): str(row["value"])}
    bounds = {name: row[name] for name in ("from", "to") if row[name] is not None}
    e_value = math.exp(min(float(row["log_e"]), 690.0))
    names = ("run_id", "n", "share", "effect", "low", "high", "rest", "draft_z")
    statistic = "acceptance" if row["quantity"] == "accepted" else _QUANTITIES[row["quantity"]]
    return (
        {
            "statistic": f"{statistic} in a slice",
            "quantity": row["quantity"],
            "where": where,
            "slice": words(where),
            "e_value": e_value,
        }
        | {name: row[name] for name in names}
        | bounds
    )


def words(where: dict[str, str]) -> str:
    """A slice in words: `tags.adapter = lora3`, `batch_size > 8`."""
    return " and ".join(f"{by} {v}" if v[:1] in "<>" else f"{by} = {v}" for by, v in where.items())


CHECK = Check(
    code="SD206",
    name="acceptance-by-slice",
    table="slices",
    needs=("target_probs",),
    judged=pl.lit(value=True),
    fault=pl.col("found"),
    read=_read,
    laws=where(lambda law: law.lossless and not law.greedy),
    shows=("quantity", "draft_z", "by", "value", "from", "to", "n", "share", "effect", "low", "high", "rest", "log_e"),
)
