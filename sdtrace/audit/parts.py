"""Where each request begins and ends in each input: parts of one request that were written by several processes are found by it."""

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


def of_several(parts: pl.DataFrame | None) -> pl.DataFrame | None:
    """Rows of requests that stand in more than one input, sorted by request and then by where they begin; None for none."""
    if parts is None:
        return None
    rows = parts.filter(pl.col("path").n_unique().over("request_id") > 1)
    return rows.sort("request_id", "first_context", "first_step", "begins", "path") if rows.height else None


def _merged(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of one part, from several batches, as one."""
    ordered = rows.sort("first_step", maintain_order=True)
    return ordered.group_by("path", "run_id", "rank", "request_id", "id", maintain_order=True).agg(
        pl.col("first_step", "first_context", "begins").first(), pl.col("last_step", "end_context", "ends").last()
    )
