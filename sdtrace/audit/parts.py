"""Where each request begins and ends in each input: parts of one request that were written by several processes are found by it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl

from sdtrace.schema.keys import request_hash

#: Requests that are followed, those of lowest hash of their id.
FOLLOWED = 50_000
_KEYS = ("path", "run_id", "rank", "request_id")


@dataclass
class Parts:
    """One row an input, run, rank and request; memory is bounded by FOLLOWED requests."""

    frames: list[pl.DataFrame] = field(default_factory=list)
    limit: int = 2**64 - 1

    def add(self, steps: pl.DataFrame, path: str) -> None:
        """Steps of a batch that count."""
        if not steps.height:
            return
        appended = pl.col("output_token_ids").list.len().cast(pl.Int64)
        ordered = steps.select(*_KEYS[1:], "step", "at", "context_len", behind=pl.col("context_len") + appended)
        told = (
            ordered.sort("step", maintain_order=True)
            .group_by(_KEYS[1:], maintain_order=True)
            .agg(
                first_step=pl.col("step").first(),
                first_context=pl.col("context_len").first(),
                begins=pl.col("at").first(),
                last_step=pl.col("step").last(),
                end_context=pl.col("behind").last(),
                ends=pl.col("at").last(),
            )
            .with_columns(path=pl.lit(path))
        )
        told = told.with_columns(id=request_hash(told, ("request_id",)))
        self.frames.append(told.filter(pl.col("id") <= self.limit))
        if sum(frame.height for frame in self.frames) > 4 * FOLLOWED:
            self._bound()

    def _bound(self) -> None:
        whole = pl.concat(self.frames)
        ids = whole["id"].unique()
        if len(ids) > FOLLOWED:
            self.limit = ids.sort()[FOLLOWED - 1]
            whole = whole.filter(pl.col("id") <= self.limit)
        self.frames = [_merged(whole)]

    def rows(self) -> pl.DataFrame | None:
        """All of them; None where there are none."""
        return _merged(pl.concat(self.frames)) if self.frames else None


def together(several: Iterable[pl.DataFrame | None]) -> pl.DataFrame | None:
    """The rows of several audits of different inputs."""
    known = [one for one in several if one is not None]
    return pl.concat(known) if known else None


def of_several(parts: pl.DataFrame | None) -> pl.DataFrame | None:
    """Rows of requests that stand in more than one input, sorted by request and then by where they begin; None for none."""
    if parts is None:
        return None
    rows = parts.filter(pl.col("path").n_unique().over("request_id") > 1)
    return rows.sort("request_id", "first_context", "first_step", "begins", "path") if rows.height else None


#: `run_id`, `request_id` and `hash` of a part that another run began, and `began_in`, `head`: the run that did, and its part's hash.
_MOVED = {"run_id": pl.String, "request_id": pl.String, "hash": pl.UInt64, "began_in": pl.String, "head": pl.UInt64}


def goes_on() -> pl.Expr:
    """Of rows as `of_several` sorts them: whether a request goes on here from the row before, in another input."""
    before = [pl.col(name).shift(1).over("request_id") for name in ("path", "end_context", "first_context")]
    other = before[0] != pl.col("path")
    return (other & (before[1] == pl.col("first_context")) & (before[2] < pl.col("first_context"))).fill_null(
        value=False
    )


def moved(parts: pl.DataFrame | None) -> pl.DataFrame:
    """Parts of requests under another run than the one in which they began (`_MOVED`), one row a run and request."""
    rows = of_several(parts)
    if rows is None:
        return pl.DataFrame(schema=_MOVED)
    rows = rows.with_columns(chain=(~goes_on()).cum_sum().over("request_id"))
    rows = rows.with_columns(began_in=pl.col("run_id").first().over("request_id", "chain"))
    rows = rows.filter(pl.col("began_in") != pl.col("run_id")).unique(
        ["run_id", "request_id"], keep="first", maintain_order=True
    )
    heads = request_hash(rows, ("began_in", "request_id"))
    return rows.select("run_id", "request_id", "began_in", hash=request_hash(rows), head=heads).select(*_MOVED)


def _merged(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of one part, from several batches, as one."""
    ordered = rows.sort("first_step", maintain_order=True)
    return ordered.group_by("path", "run_id", "rank", "request_id", "id", maintain_order=True).agg(
        pl.col("first_step", "first_context", "begins").first(), pl.col("last_step", "end_context", "ends").last()
    )
