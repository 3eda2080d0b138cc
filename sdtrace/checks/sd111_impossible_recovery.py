"""After a rejection came a token that the residual distribution cannot give.

What it finds
Under the ratio law a recovered token y has p(y) > q(y); under block verification P p(y) > q(y), P that of the kept prefix; under
one-hot and match it has p(y) > 0. Rounding is allowed for.

Why it matters
The recovered token is then drawn from something else, often the target itself: the text leans to the draft.

What to do
Draw it from norm(max(0, p - q)) with the q that the draft was drawn from.

How it can be wrong
If q or p of the last token is logged from another row than the one it was drawn from.
"""

import polars as pl

from sdtrace.results.check import Check, counted
from sdtrace.verify.laws import where

_ONE_HOT = pl.col("draft_probs").is_null()
_RECOVERED = (
    (pl.col("n_a") >= 0)
    & (pl.col("n_a") < pl.col("verified"))
    & (pl.col("appended").is_null() | (pl.col("appended") == pl.col("n_a") + 1))
    & (pl.col("last_kind").is_null() | (pl.col("last_kind") == "recovered"))
    & (pl.col("last_tested") == pl.col("n_a"))  # a cut that clips num_accepted shows an accepted token there
    & (pl.col("p_band_high_y").is_not_null())
    & (pl.col("bad_y") == 0)
)

CHECK = Check(
    code="SD111",
    name="impossible-recovery",
    table="steps",
    needs=("last_target_prob",),
    judged=_RECOVERED & pl.when(_ONE_HOT).then(pl.lit(value=True)).otherwise(pl.col("q_band_low_y").is_not_null()),
    fault=pl.when(_ONE_HOT)
    .then(pl.col("p_band_high_y") <= 0.0)
    .otherwise((pl.col("p_band_high_y") < pl.col("q_band_low_y")) | (pl.col("p_band_high_y") <= 0.0)),
    read=counted("recovered tokens are impossible under the residual"),
    laws=where(lambda law: law.residual in ("ratio", "block")),
    shows=("y", "x_rejected", "last_target_prob", "last_draft_prob"),
)
