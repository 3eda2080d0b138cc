"""More tokens were accepted than came out.

What it finds
Requests whose accepted tokens and steps exceed the emitted tokens by more than one block, and requests that together
(five or more) count a tenth more than they got.

Why it matters
Every step appends its accepted tokens and one more. A stop inside a block cuts one block, never more. Where replies are
short the cut blocks are most of the count: it tells of matches behind the stop, not of tokens that somebody got.

What to do
The engine counts tokens that nobody gets: compare with the stream, and take emitted tokens for speed.

How it can be wrong
Where the step count is derived from a rounded mean it is off by less than one.
"""

import polars as pl

from sdtrace.results.check import Check, counted

_BOTH = pl.col("emitted").is_not_null() & pl.col("accepted").is_not_null() & pl.col("drafts").is_not_null()
_PLACE = ("engine", "surface")
_COUNTED = (pl.col("accepted") + pl.col("drafts")).filter(_BOTH).sum().over(_PLACE)
_GOT = pl.col("emitted").filter(_BOTH).sum().over(_PLACE)
_MANY = _BOTH.sum().over(_PLACE) >= 5

CHECK = Check(
    code="SD407",
    name="accepted-beyond-emitted",
    table="windows",
    needs=("emitted", "accepted", "drafts"),
    judged=_BOTH & pl.col("basis").is_in(["request"]),
    fault=(pl.col("accepted") + pl.col("drafts") > pl.col("emitted") + pl.coalesce("k", pl.lit(16)) + 2)
    | _MANY & (_COUNTED > 1.1 * _GOT) & (pl.col("accepted") + pl.col("drafts") > pl.col("emitted")),
    read=counted("requests accept more than they emit"),
    laws=None,
    shows=("engine", "surface", "accepted", "drafts", "emitted"),
)
