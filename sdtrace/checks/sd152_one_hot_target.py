"""The target distribution is one-hot at a temperature where it cannot be.

What it finds
Entropy of p equal to 0 at nearly every position of a request sampled at temperature 0.3 or more without hard filters.

Why it matters
The sampler sees a degenerate p: sampling parameters were ignored, or the softmax ran over broken logits.

What to do
Check whether the request is verified greedily although it asked for sampling.

How it can be wrong
top_k = 1, any top_p or min_p that cuts (a peaked p keeps one token under top_p = 0.8), or a grammar that forces every
token makes p one-hot lawfully; requests whose line names one of them are not looked at. Few requests name their grammar:
where not clearly more than half of the requests are one-hot throughout, forced tokens explain it and nothing is told.
"""

from dataclasses import replace
from math import sqrt

import polars as pl

from sdtrace.results.check import Check, Counts, Outcome, counted

#: Share of the requests that broken logits or an ignored temperature concern, and a grammar does not; standard errors beyond it.
MOST, SURE = 0.5, 2.0


def _read(counts: Counts) -> Outcome:
    outcome = counted("sampled requests have a one-hot target distribution")(counts)
    clear = MOST * counts.examined + SURE * sqrt(MOST * (1 - MOST) * counts.examined)
    if not counts.faults or counts.faults >= min(clear, counts.examined):
        return outcome
    said = f"{counts.faults:,} of {counts.examined:,} sampled requests have a one-hot target: tokens that a grammar forces look the same"
    return replace(outcome, state="cannot-tell", headline=said, faults=0, witnesses=())


CHECK = Check(
    code="SD152",
    name="one-hot-target",
    table="requests",
    needs=("temperature",),
    judged=(pl.col("temperature") >= 0.3)
    & (pl.col("entropies") >= 40)
    & ~((pl.col("top_k") == 1).fill_null(value=False))
    & ~((pl.col("top_p") < 1.0).fill_null(value=False))
    & ~((pl.col("min_p") > 0.0).fill_null(value=False))
    & ~pl.col("tags").str.contains("grammar|json|regex|schema|guided").fill_null(value=False),
    fault=pl.col("one_hot") >= 0.98 * pl.col("entropies"),
    read=_read,
    laws=None,
    shows=("one_hot", "entropies", "temperature"),
)
