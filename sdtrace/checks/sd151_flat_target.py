"""The target distribution is flat over the whole vocabulary.

What it finds
Entropy of p equal to ln(vocabulary), or every p(x) equal to 1/vocabulary.

Why it matters
No language model gives it: the logits are constant (zeroed, never written, or NaN laundered into zeros).

What to do
Compare the logits of the request named with a run without speculation.

How it can be wrong
Needs vocab_size in the run line; a toy model may really be flat.
"""

import polars as pl

from sdtrace.results.check import Check, counted

CHECK = Check(
    code="SD151",
    name="flat-target",
    table="requests",
    needs=(),
    judged=(pl.col("entropies") > 0) | (pl.col("uniform_p") > 0),
    fault=(pl.col("flat") >= 3) | ((pl.col("uniform_p") >= 10) & (pl.col("uniform_p") >= 0.5 * pl.col("tested"))),
    read=counted("requests have a flat target distribution"),
    laws=None,
    shows=("flat", "entropies", "uniform_p"),
)
