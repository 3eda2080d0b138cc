"""The traffic to try settings on: a bounded sample of whole requests by hash, and sums of times over all steps."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl

from sdtrace.audit import Audit
from sdtrace.infer import Choice
from sdtrace.positions import derive
from sdtrace.trace import Batch
from sdtrace.tune.price import costs
from sdtrace.tune.text import Ints, Text, text

#: Steps of the sample: whole requests of lowest hash, as in the tally, only more of them.
STEPS = 150_000
#: Runs that are tuned, the largest first.
RUNS = 8

_KEYS = ["run_id", "request_id"]
_RAW = (
    *_KEYS, "step", "at", "draft_token_ids", "draft_probs", "target_probs", "accepted", "num_accepted", "verified_len",
    "output_token_ids", "last_kind", "last_target_prob", "last_draft_prob", "draft_confidence", "draft_ms", "verify_ms",
    "step_ms", "batch_size",
)  # fmt: skip

Keep = Callable[[pl.DataFrame], pl.DataFrame]


class Source(Protocol):
    """What is asked of an opened input."""

    def batches(self) -> Iterable[Batch]:
        """The input from its beginning."""


@dataclass(frozen=True)
class Traffic:
    """One run: its text, the batch bucket of each step (S), the sums of times, and how many steps it had in all."""

    run_id: str
    run: Mapping[str, Any]
    laws: list[str]
    text: Text
    buckets: Ints
    costs: pl.DataFrame
    total: int


def bucket() -> pl.Expr:
    """Batch bucket b holds batches of 2^b .. 2^(b+1) - 1 requests; a batch that is not recorded is one of its own."""
    size = pl.col("batch_size").fill_null(1).clip(1)
    return size.log(2.0).add(1e-9).floor().cast(pl.Int64).alias("bucket")


def bucket_name(number: int) -> str:
    """`1`, `2-3`, `4-7`, ..."""
    return "1" if number == 0 else f"{2**number}-{2 ** (number + 1) - 1}"


def of_tally(audit: Audit, choices: Mapping[str, Choice]) -> list[Traffic]:
    """From what the report's pass kept: a smaller sample, and no second reading."""
    sample = audit.tally.steps
    if sample is None or sample.is_empty():
        return []
    laws = audit.tally.frame("laws")
    totals = dict(laws.group_by("run_id").agg(pl.col("steps").max()).rows())
    mine = sample.filter(_chosen(choices))
    times = mine.with_columns(bucket()).group_by("run_id", maintain_order=True)
    return _split(mine, audit, {str(run): costs(part) for (run,), part in times}, totals)


def gather(
    sources: Iterable[Source], audit: Audit, choices: Mapping[str, Choice], keep: Keep | None = None, most: int = STEPS
) -> list[Traffic]:
    """A pass of its own over the inputs, which the report's pass has read before (its request lines are all known)."""
    sample, times, totals = _Sample(most), list[pl.DataFrame](), dict[str, int]()
    for source in sources:
        for batch in source.batches():
            steps = batch.steps
            if keep is not None and steps.height:
                joined = steps.join(audit.requests, on=_KEYS, how="left", maintain_order="left")
                steps = steps.filter(keep(joined).to_series())
            if not steps.height:
                continue
            times.append(_timed(steps))
            sample.add(steps)
    if not times:
        return []
    summed = pl.concat(times).group_by("run_id", "verified", "bucket", maintain_order=True).agg(pl.all().sum())
    for run, n in summed.group_by("run_id").agg(pl.col("steps").sum()).rows():
        totals[run] = n
    known = audit.requests.select(*_KEYS, "temperature", "stop_token_ids", "tags")
    steps = derive(sample.frame().join(known, on=_KEYS, how="left"))
    mine = steps.with_columns(law=_law(choices))
    parts = {str(run): part for (run,), part in summed.group_by("run_id", maintain_order=True)}
    return _split(mine, audit, parts, totals)


class _Sample:
    """Steps of the requests with the lowest hashes, at most about twice `most` while it grows."""

    def __init__(self, most: int) -> None:
        self.most, self.limit, self.parts, self.held = most, 2**64 - 1, list[pl.DataFrame](), 0

    def add(self, steps: pl.DataFrame) -> None:
        hashed = steps.select(_RAW).with_columns(hash=pl.struct(_KEYS).hash(seed=0))
        part = hashed.filter(pl.col("hash") < self.limit) if self.limit < 2**64 - 1 else hashed
        self.parts.append(part)
        self.held += part.height
        if self.held > 2 * self.most:
            self.parts = [self.frame()]
            self.held = self.parts[0].height

    def frame(self) -> pl.DataFrame:
        whole = pl.concat(self.parts)
        if whole.height <= self.most:
            return whole
        bound = int(whole["hash"].bottom_k(self.most).max())  # type: ignore[arg-type]
        kept = whole.filter(pl.col("hash") < bound)
        if kept.is_empty():  # one request is longer than the sample: it is cut rather than dropped
            return whole.filter(pl.col("hash") == bound).sort("step").head(self.most)
        self.limit = bound
        return kept


def _timed(steps: pl.DataFrame) -> pl.DataFrame:
    drafted = pl.col("draft_token_ids").list.len().fill_null(0).cast(pl.Int64)
    named = steps.select(
        "run_id", "step_ms", "draft_ms", "verify_ms", bucket(), verified=pl.min_horizontal("verified_len", drafted)
    )
    parts = []
    for (run,), part in named.group_by("run_id", maintain_order=True):
        counted = part.group_by("verified", "bucket").agg(steps=pl.len().cast(pl.Int64))
        parts.append(costs(part).join(counted, on=["verified", "bucket"]).with_columns(run_id=pl.lit(run)))
    return pl.concat(parts)


def _law(choices: Mapping[str, Choice]) -> pl.Expr:
    names = pl.col("run_id").replace_strict(
        {r: c.law for r, c in choices.items()}, default=None, return_dtype=pl.String
    )
    return pl.when(pl.col("temperature") == 0).then(pl.lit("greedy")).otherwise(names.fill_null("ratio"))


def _chosen(choices: Mapping[str, Choice]) -> pl.Expr:
    """Rows of the sample under the law of their run; a step is in it once for every law that was tried."""
    return pl.col("law") == _law(choices)


def _split(
    steps: pl.DataFrame, audit: Audit, times: Mapping[str, pl.DataFrame], totals: Mapping[str, int]
) -> list[Traffic]:
    found = []
    for (run_id,), part in steps.group_by("run_id", maintain_order=True):
        run = str(run_id)
        made = text(part)
        if not made.tokens:
            continue
        buckets = made.steps.select(bucket()).to_series().to_numpy()
        laws = made.steps["law"].unique().sort().to_list()
        declared = audit.runs.get(run, {})
        none = pl.DataFrame(schema={"verified": pl.Int64, "bucket": pl.Int64})
        found.append(Traffic(run, declared, laws, made, np.asarray(buckets), times.get(run, none), totals.get(run, 0)))
    return sorted(found, key=lambda t: (-t.total, t.run_id))[:RUNS]
