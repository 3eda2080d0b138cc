"""The traffic to try settings on: a bounded sample of whole requests by hash, and the times of all steps."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.diagnosis.law_choice import Choice
from sdtrace.schema.arrays import Ints
from sdtrace.schema.keys import keyed
from sdtrace.schema.run import Run
from sdtrace.schema.trace import Batched
from sdtrace.speed.strata import sessions
from sdtrace.speed.timing import mean_step
from sdtrace.tuning.path.token_path import Text, text
from sdtrace.tuning.price import Times
from sdtrace.verify.positions import derive

#: Steps of the sample: whole requests of lowest hash, as in the tally, only more of them.
STEPS = 80_000
#: Runs that are tuned, the largest first.
RUNS = 8

_KEYS = ["run_id", "request_id"]
_RAW = (
    *_KEYS, "step", "at", "draft_token_ids", "draft_probs", "target_probs", "accepted", "num_accepted", "verified_len",
    "output_token_ids", "last_kind", "last_target_prob", "last_draft_prob", "draft_confidence", "draft_ms", "verify_ms",
    "step_ms", "batch_size",
)  # fmt: skip

Keep = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class Traffic:
    """One run: its text, the batch bucket of each step (S), its times, and how many steps it had in all."""

    run_id: str
    run: Run
    laws: list[str]
    text: Text
    buckets: Ints
    times: Times
    total: int


def bucket() -> pl.Expr:
    """Batch bucket b holds batches of 2^b .. 2^(b+1) - 1 requests; a batch that is not recorded is one of its own."""
    size = pl.col("batch_size").fill_null(1).clip(1)
    return size.log(2.0).add(1e-9).floor().cast(pl.Int64).alias("bucket")


def batches(number: int) -> tuple[int, int]:
    """The smallest and the largest batch of a bucket."""
    return 2**number, 2 ** (number + 1) - 1


def between(first: int, last: int) -> str:
    """`1`, `2-3`, `4-7`, ..."""
    return f"{first}" if first == last else f"{first}-{last}"


def of_tally(audit: Audit, choices: Mapping[str, Choice]) -> list[Traffic]:
    """From what the report's pass kept: a smaller sample, and no second reading."""
    sample = audit.tally.steps
    return [] if sample is None else _split(sample.filter(_chosen(choices)), audit)


def gather(
    sources: Iterable[Batched], audit: Audit, choices: Mapping[str, Choice], keep: Keep | None = None, most: int = STEPS
) -> list[Traffic]:
    """A pass of its own over the inputs, which the report's pass has read before (its request lines are all known)."""
    sample = _Sample(most)
    for source in sources:
        for batch in source.batches():
            steps = batch.steps
            if keep is not None and steps.height:
                joined = steps.join(audit.requests, on=_KEYS, how="left", maintain_order="left")
                steps = steps.filter(keep(joined).to_series())
            if steps.height:
                sample.add(steps)
    if not sample.parts:
        return []
    known = audit.requests.select(*_KEYS, "temperature", "stop_token_ids", "tags")
    steps = derive(sample.frame().join(known, on=_KEYS, how="left"))
    return _split(steps.with_columns(law=_law(choices)), audit)


class _Sample:
    """Steps of the requests with the lowest hashes, at most about twice `most` while it grows."""

    def __init__(self, most: int) -> None:
        self.most, self.limit, self.parts, self.held = most, 2**64 - 1, list[pl.DataFrame](), 0

    def add(self, steps: pl.DataFrame) -> None:
        hashed = keyed(steps.select(_RAW))
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
        bound = int(whole.select(pl.col("hash").bottom_k(self.most).max()).item())
        kept = whole.filter(pl.col("hash") < bound)
        if kept.is_empty():  # one request is longer than the sample: it is cut rather than dropped
            return whole.filter(pl.col("hash") == bound).sort("step").head(self.most)
        self.limit = bound
        return kept


def _law(choices: Mapping[str, Choice]) -> pl.Expr:
    names = pl.col("run_id").replace_strict(
        {r: c.word for r, c in choices.items()}, default=None, return_dtype=pl.String
    )
    return pl.when(pl.col("temperature") == 0).then(pl.lit("greedy")).otherwise(names.fill_null("ratio"))


def _chosen(choices: Mapping[str, Choice]) -> pl.Expr:
    """Rows of the sample under the law of their run; a step is in it once for every law that was tried."""
    return pl.col("law") == _law(choices)


def _split(steps: pl.DataFrame, audit: Audit) -> list[Traffic]:
    totals = dict(audit.tally.frame("places").group_by("run_id").agg(pl.col("lines").sum()).rows())
    found = []
    for (run_id,), part in steps.group_by("run_id", maintain_order=True):
        run, made = str(run_id), text(part)
        if not made.tokens:
            continue
        made = replace(made, sessions=_sessions(made, run, audit))
        buckets = made.steps.select(bucket()).to_series().to_numpy()
        laws = made.steps["law"].unique().sort().to_list()
        total = max(int(totals.get(run, 0)), len(made.first))
        found.append((-total, run, laws, made, np.asarray(buckets)))
    kept = sorted(found, key=lambda one: one[:2])[:RUNS]
    return [
        Traffic(run, audit.runs.get(run, Run()), laws, made, buckets, _times(run, audit), -total)
        for total, run, laws, made, buckets in kept
    ]


def _sessions(made: Text, run: str, audit: Audit) -> Ints:
    """The session of each request of a text, numbered from 0."""
    requests = made.steps.select("hash", "request_id", run_id=pl.lit(run)).unique(
        "hash", keep="first", maintain_order=True
    )
    numbers = sessions(requests, audit.requests).rank("dense") - 1
    return np.asarray(numbers.to_numpy(), dtype=np.int64)


def _times(run: str, audit: Audit) -> Times:
    """Times of the run, and of runs of the same target on the same engine, whose plain steps may price its own."""
    cost = audit.tally.frame("cost")
    if cost.is_empty():
        return Times(cost, cost)
    mine = audit.runs.get(run, Run())
    same = [
        name
        for name, other in audit.runs.items()
        if name != run and (other.engine, other.target_model) == (mine.engine, mine.target_model)
    ]
    decode, blocks = cost.filter(pl.col("prefill") == 0), audit.tally.frame("blocks")
    weather = mean_step(blocks.filter(pl.col("run_id") == run))
    return Times(decode.filter(pl.col("run_id") == run), decode.filter(pl.col("run_id").is_in(same)), weather)
