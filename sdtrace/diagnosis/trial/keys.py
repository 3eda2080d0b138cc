"""Steps under one key with other content: whose they are, told by comparing them with those that the key was taken by.

Ranks that write one step share its draft. Of the others time and context tell: side by side or one after the other, from the
same context, from where the first one ended, or from another one.
"""

from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

Kind = Literal["ranks", "answers", "again", "retry", "session", "reused", "engines"]

#: What each is called.
SAYS: dict[Kind, str] = {
    "ranks": "ranks that decide the same step disagree",
    "answers": "several answers of one prompt (n > 1) side by side",
    "again": "another answer of the same prompt (n > 1 or a retry: no step has a time)",
    "retry": "a request that was run again (a retry): a second run begins later with the same context",
    "session": "turns of a session: the next one begins where the last one ended",
    "reused": "a request id that is reused: another request begins later",
    "engines": "two engines or runs that give the same ids (name each by a run line of its own)",
}
#: Share of the pairs that ranks must share their draft in; share of the requests that two engines have in common.
NEARLY_ALL, MOST = 0.9, 0.5
_COMPARED = ("draft_token_ids", "output_token_ids", "num_accepted")
_TAKEN = (*_COMPARED, "path", "line", "at", "context_len", "rank")


@dataclass(frozen=True)
class Conflict:
    """What stands under one key. `steps` differ of `pairs` that were compared; `evidence`: the first of them, both lines."""

    kind: Kind
    steps: int
    pairs: int
    evidence: tuple[dict[str, Any], ...]

    @property
    def headline(self) -> str:
        """In one sentence."""
        return f"one (run, request, step) stands for several: {SAYS[self.kind]}; {self.steps:,} of {self.pairs:,} repeated steps differ"


def compared(sample: pl.DataFrame, repeated: pl.DataFrame) -> pl.DataFrame:
    """Repeated steps beside those that took their keys (`sample`: steps that were first), with `same` and `same_draft`."""
    first = sample.select("hash", "step", *_TAKEN).unique(["hash", "step"], keep="first", maintain_order=True)
    pairs = repeated.select("hash", "step", "run_id", "request_id", *_TAKEN).join(
        first, on=["hash", "step"], suffix="_first", maintain_order="left"
    )
    same = {name: pl.col(name).eq_missing(pl.col(f"{name}_first")) for name in _COMPARED}
    return pairs.with_columns(same=pl.all_horizontal(same.values()), same_draft=same["draft_token_ids"])


def conflict(sample: pl.DataFrame, pairs: pl.DataFrame) -> Conflict | None:
    """What the repeated steps of a run are; None where they are what was there before. `pairs`: as `compared` gives them."""
    other = pairs.filter(~pl.col("same"))
    if other.is_empty():
        return None
    share = other["hash"].n_unique() / sample["hash"].n_unique()
    kind = "ranks" if _ranks(pairs) else _kind(other, share)
    names = ("path", "line", "run_id", "request_id", "step", "num_accepted")
    shown = other.head(3).select(*names, *(f"{name}_first" for name in ("path", "line", "num_accepted")))
    rows = tuple({"kind": kind} | row for row in shown.iter_rows(named=True))
    return Conflict(kind, other.height, pairs.height, rows)


def _ranks(pairs: pl.DataFrame) -> bool:
    """Two sequences of their own have no draft in common once they differ; ranks of one step do."""
    ranked = (pl.col("rank") != pl.col("rank_first")).fill_null(value=False)
    shares = pairs.select(ranked.mean(), pl.col("same_draft").mean()).row(0)
    return pairs.height >= 3 and min(shares) >= NEARLY_ALL


def _kind(other: pl.DataFrame, share: float) -> Kind:
    """The commonest kind among the requests whose steps differ; `share` of all requests."""
    if share > MOST and (other["path"] != other["path_first"]).all():
        return "engines"
    untimed = other["at"].null_count() + other["at_first"].null_count() > 0
    when = "line" if untimed else "at"
    at, first = pl.col(when), pl.col(f"{when}_first")
    by = other.sort("step").group_by("hash", maintain_order=True).agg(
        apart=(at.min() > first.max()) | (at.max() < first.min()),
        begins=pl.col("context_len").first(),
        begun=pl.col("context_len_first").first(),
        ended=pl.col("context_len_first").max(),
        alike=pl.col("same_draft").first() & (pl.col("step").first() == 0),
        elsewhere=(pl.col("path") != pl.col("path_first")).any(),
    )  # fmt: skip
    equal = pl.coalesce(pl.col("begins") == pl.col("begun"), pl.when("alike").then(pl.lit(value=True)))
    same, goes_on = equal.fill_null(value=False), (pl.col("begins") > pl.col("ended")).fill_null(value=False)
    later = pl.col("apart") & ~(pl.lit(untimed) & pl.col("elsewhere"))  # lines of two files have no order
    kinds = by.select(
        pl.when(later & same & untimed).then(pl.lit("again"))
        .when(later & same).then(pl.lit("retry"))
        .when(later & goes_on).then(pl.lit("session"))
        .when(later).then(pl.lit("reused"))
        .when(equal.fill_null(~pl.col("elsewhere"))).then(pl.lit("answers"))
        .otherwise(pl.lit("engines")).alias("kind")
    )  # fmt: skip
    found: Kind = kinds["kind"].mode().sort()[0]
    return found
