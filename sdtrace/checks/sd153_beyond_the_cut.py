"""The target's distribution is wider than top-k or min-p leaves it.

What it finds
A distribution over k tokens has an entropy of ln k at most, and a sum of squares of 1/k at least: recorded entropies or sums beyond that of
twice top_k, or a token with a probability above 0 and below min_p times the sum of squares (which is at most the greatest
probability). The request's parameters are those of its line, p is the processed one.

Why it matters
The request asked for a cut that the target did not get: unlikely tokens are drawn that it excluded.

What to do
Check that the sampling parameters of the request reach the target's logits before the test, not only the drafter's.

How it can be wrong
A recorder that logs sums before the cut and says processed. Ties at the edge let more than k tokens in: that is why twice top_k is
asked for. Engines that apply the temperature after min-p move its edge: it is looked at from temperature 1 on.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD153",
    name="beyond-the-cut",
    table="steps",
    needs=("target_probs",),
    judged=pl.col("beyond").is_not_null(),
    fault=pl.col("beyond") > 0,
    read=counted("steps have a target that is wider than top-k or min-p leaves it"),
    laws=None,
    shows=("beyond", "top_k", "min_p"),
)
