"""Accepted and tested tokens by position of the draft, with 95% intervals: from steps (requests as clusters), or from counts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.counters.sources import CounterSource, increments
from sdtrace.readers.counts import LONGEST
from sdtrace.schema.arrays import Floats
from sdtrace.schema.keys import keyed
from sdtrace.schema.trace import Batch
from sdtrace.speed.strata import sessions
from sdtrace.stats.ratio import ratio, wilson
from sdtrace.verify.positions import derive

#: Positions that are told one by one.
DEEPEST = 64
#: Clusters that are kept apart; beyond that they are added up in groups of equal size, which costs an interval next to nothing.
_CLUSTERS = 8_192
_KEYS = ["run_id", "request_id"]
_RAW = (
    *_KEYS, "step", "at", "draft_token_ids", "accepted", "num_accepted", "verified_len", "output_token_ids", "last_kind"
)  # fmt: skip

Ends = list[float] | None


class Readable(Protocol):
    """What is asked of an opened input."""

    def batches(self) -> Iterator[Batch]:
        """The input from its beginning."""


@dataclass(frozen=True)
class Accepted:
    """Counts over steps that drafted and tell what was accepted; lists are by position.

    `marginal` is accepted / drafting steps, `conditional` accepted / tested; null where nothing was tested or the counts
    cannot tell. `histogram` counts steps by emitted tokens (accepted + 1). `clusters_are` says what intervals are clustered by.
    """

    drafting: int
    drafted: int | None
    total: int  #: accepted tokens
    tested: list[int | None]
    accepted: list[int]
    marginal: list[float | None]
    conditional: list[float | None]
    marginal_ends: list[Ends]
    conditional_ends: list[Ends]
    mean: float | None
    mean_ends: Ends
    mean_per_request: float | None
    histogram: dict[str, int] | None
    clusters: int
    clusters_are: str
    k: int
    requests: int | None
    first_at: float | None
    last_at: float | None


def of_steps(sources: Sequence[Readable], audit: Audit) -> Accepted | None:
    """From a pass of its own over inputs that were read before; None where no step that drafted tells what was accepted."""
    known = keyed(audit.requests)
    groups = known.select("hash", cluster=sessions(known, audit.requests))
    stops = audit.requests.select(*_KEYS, "stop_token_ids")
    parts: list[pl.DataFrame] = []
    folded, span = False, [np.inf, -np.inf]
    for source in sources:
        for batch in source.batches():
            steps = keyed(batch.steps.select(_RAW).join(stops, on=_KEYS, how="left", maintain_order="left"))
            steps = derive(steps).filter((pl.col("tau") > 0) & (pl.col("n_a") >= 0))
            if steps.is_empty():
                continue
            least, most = steps["at"].min(), steps["at"].max()
            if isinstance(least, float) and isinstance(most, float):
                span = [min(span[0], least), max(span[1], most)]
            parts.append(_summed(steps.join(groups, on="hash", how="left", maintain_order="left")))
            if sum(part.height for part in parts) > 4 * _CLUSTERS:
                parts, folded = [_folded(parts)], True
    if not parts:
        return None
    table = _gathered(parts)
    if table.height > _CLUSTERS:
        table, folded = _folded([table]), True
    per = None if folded else float(table.select((1 + pl.col("n") / pl.col("drafting")).mean()).item())
    times = (span[0], span[1]) if np.isfinite(span[0]) else (None, None)
    return _of_table(table, per, times, audit)


def _summed(steps: pl.DataFrame) -> pl.DataFrame:
    """Sums by cluster (a request, or a session of them): steps, drafted, accepted, tested and accepted at each position."""
    deepest = int(min(steps.select(pl.max_horizontal("verified", "n_a").max()).item(), DEEPEST))
    tested = {f"t{j}": (pl.col("verified") > j) & (pl.col("last_tested") >= j) for j in range(deepest)}
    accepted = {f"a{j}": pl.col("n_a") > j for j in range(deepest)}
    own = pl.coalesce("cluster", "hash").alias("cluster")
    return steps.group_by(own).agg(
        drafting=pl.len(),
        drafted=pl.col("tau").sum(),
        k=pl.col("tau").max(),
        n=pl.col("n_a").sum(),
        **{name: flag.sum() for name, flag in (tested | accepted).items()},
    )


def _gathered(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    whole = pl.concat(parts, how="diagonal_relaxed").with_columns(pl.exclude("cluster").fill_null(0).cast(pl.Int64))
    return whole.group_by("cluster").agg(pl.col("k").max(), pl.exclude("cluster", "k").sum()).sort("cluster")


def _folded(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Clusters in groups by their hash: sums of them vary as sums do."""
    return _gathered([_gathered(parts).with_columns(cluster=pl.col("cluster") % _CLUSTERS)])


def _of_table(
    table: pl.DataFrame, per: float | None, times: tuple[float | None, float | None], audit: Audit
) -> Accepted:
    depth = sum(name.startswith("t") for name in table.columns)
    drafting = table["drafting"].to_numpy().astype(np.float64)
    a = np.stack([table[f"a{j}"].to_numpy() for j in range(depth)], axis=1).astype(np.float64)
    t = np.stack([table[f"t{j}"].to_numpy() for j in range(depth)], axis=1).astype(np.float64)
    n = table["n"].to_numpy().astype(np.float64)
    steps, reached = int(drafting.sum()), [int(x) for x in a.sum(axis=0)]
    ends = [steps, *reached]
    rest = int(n.sum()) - sum(reached)  # accepted beyond DEEPEST: of them no histogram can be told
    mean, half = ratio(n + drafting, drafting)
    return Accepted(
        drafting=steps,
        drafted=int(table["drafted"].sum()),
        total=int(n.sum()),
        tested=[int(x) for x in t.sum(axis=0)],
        accepted=reached,
        marginal=[r / steps for r in reached],
        conditional=[_rate(x, y) for x, y in zip(a.sum(axis=0), t.sum(axis=0), strict=True)],
        marginal_ends=[_ends(a[:, j], drafting) for j in range(depth)],
        conditional_ends=[_ends(a[:, j], t[:, j]) for j in range(depth)],
        mean=mean,
        mean_ends=None if mean is None or half is None else [max(mean - half, 1.0), mean + half],
        mean_per_request=per,
        histogram=None if rest else {str(j + 1): ends[j] - (ends[j + 1] if j < depth else 0) for j in range(depth + 1)},
        clusters=table.height,
        clusters_are="requests, those of one session together",
        k=int(table["k"].to_numpy().max()),
        requests=sum(i.requests for i in audit.inputs) or None,
        first_at=times[0],
        last_at=times[1],
    )


def of_counts(source: CounterSource | None, windows: pl.DataFrame) -> Accepted | None:
    """From windows of counts by position; None where the source has none. Windows are the clusters, where there are several.

    A conditional rate follows from counts only where every draft is as long as the list: shorter ones end without a rejection.
    """
    if source is None or not source.position_drafts or not source.accepted_by_position:
        return None
    reached = source.accepted_by_position[:DEEPEST]
    steps = float(source.position_drafts)
    a, drafting, drafted = _by_window(source, windows, len(reached))
    full = drafted is not None and abs(drafted - len(source.accepted_by_position) * steps) < 0.5
    before = np.concatenate([drafting[:, None], a[:, :-1]], axis=1)
    tested: list[float | None] = [steps, *(reached[:-1] if full else [None] * (len(reached) - 1))]
    mean, half = ratio(a.sum(axis=1) + drafting, drafting)
    whole = [steps, *reached]
    return Accepted(
        drafting=round(steps),
        drafted=None if drafted is None else round(drafted),
        total=round(sum(source.accepted_by_position)),
        tested=[None if x is None else round(x) for x in tested],
        accepted=[round(x) for x in reached],
        marginal=[x / steps for x in reached],
        conditional=[None if y is None else _rate(x, y) for x, y in zip(reached, tested, strict=True)],
        marginal_ends=[_ends(a[:, j], drafting) for j in range(len(reached))],
        conditional_ends=[None if tested[j] is None else _ends(a[:, j], before[:, j]) for j in range(len(reached))],
        mean=1 + sum(reached) / steps,
        mean_ends=None if mean is None or half is None else [max(mean - half, 1.0), mean + half],
        mean_per_request=float(np.mean(source.lengths)) if source.lengths else None,
        histogram={str(j + 1): round(whole[j] - (whole[j + 1] if j < len(reached) else 0)) for j in range(len(whole))},
        clusters=len(drafting),
        clusters_are="requests" if source.basis == "request" else "windows of the log or between scrapes",
        k=min(int(source.k or len(reached)), LONGEST),
        requests=source.requests or None,
        first_at=source.first_at,
        last_at=source.last_at,
    )


def _by_window(source: CounterSource, windows: pl.DataFrame, depth: int) -> tuple[Floats, Floats, float | None]:
    """Accepted by position (windows, depth) and drafting steps (windows) of what each window adds, and drafted tokens of all of
    them: of the windows that list positions, which need not be all that count."""
    named = ("engine", "surface", "basis")
    mine = windows.filter(pl.all_horizontal(pl.col(name) == getattr(source, name) for name in named))
    added = increments(mine) if source.basis in ("lifetime", "counter") else mine
    told = added.filter(pl.col("accepted_by_position").is_not_null() & (pl.col("drafts") > 0))
    rows = [[*(v or 0.0 for v in row[:depth]), *[0.0] * (depth - len(row))] for row in told["accepted_by_position"]]
    drafted = None if told["drafted"].null_count() else float(told["drafted"].sum())
    return np.array(rows, dtype=np.float64).reshape(-1, depth), told["drafts"].to_numpy().astype(np.float64), drafted


def _rate(above: Any, below: Any) -> float | None:
    return float(above) / float(below) if below else None


def _ends(above: Floats, below: Floats) -> Ends:
    """95% interval of a share from clusters; None where they are too few. It is never narrower than that of as many independent
    tokens: clusters that all agree, such as 5 of 5, do not make a rate certain."""
    rate, half = ratio(above, below)
    if rate is None or half is None:
        return None
    low, high = wilson(float(above.sum()), float(below.sum()))
    return [max(min(rate - half, low), 0.0), min(max(rate + half, high), 1.0)]
