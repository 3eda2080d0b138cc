"""The Parquet that specspecs 0.1.0 writes: drafts-PID-NNNNN.parquet (steps) and sequences-PID-NNNNN.parquet (requests).

It holds ids and decisions, no probabilities. The first drafted entry of every step but the first repeats the token
emitted before it (its viewer assumes so): where it does, it is dropped with its decision.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from sdtrace.readers.io.source import Source
from sdtrace.readers.trace.strict import Parsed
from sdtrace.readers.trace.validate import Validator
from sdtrace.schema.trace import Batch, Loss, conform, empty

_DRAFTS = {"sequence_id", "step", "draft_tokens", "acceptances", "acceptance_length", "emitted_token"}
_SEQUENCES = {"sequence_id", "prompt_token_ids", "prompt_len"}


def sniff(file: Path) -> str | None:
    """None where the file is one of the two kinds, otherwise why not."""
    try:
        names = set(pq.read_schema(file).names)
    except (pa.ArrowException, OSError) as error:
        return f"no readable Parquet: {str(error)[:120]}"
    if names >= _DRAFTS or names >= _SEQUENCES:
        return None
    return f"no column {', '.join(sorted(_DRAFTS - names))}"


def batches(src: Source) -> Iterator[Batch]:
    """The whole file as one batch: specspecs rotates its files at a small size."""
    assert src.file is not None
    try:
        frame = pl.read_parquet(src.file)
    except (pl.exceptions.PolarsError, OSError) as error:
        loss = Loss(src.path, None, f"unreadable Parquet: {str(error)[:160]}", 1, "the file is damaged; get it again")
        yield Batch(src.path, 1, empty("run"), empty("request"), empty("step"), [loss])
        return
    if set(frame.columns) >= _DRAFTS:
        yield Validator(src.path).batch(Parsed(src.path), _steps(frame), frame.height)
    else:
        yield Batch(src.path, frame.height, empty("run"), _requests(frame), empty("step"))


def _requests(frame: pl.DataFrame) -> pl.DataFrame:
    named = frame.rename({"sequence_id": "request_id"}).with_columns(arrived_at=_seconds("t"))
    return conform(named.with_columns(pl.col("run_id").fill_null("")), "request")


def _seconds(name: str) -> pl.Expr:
    return pl.col(name).dt.replace_time_zone("UTC").dt.timestamp("us") / 1e6


def _steps(frame: pl.DataFrame) -> pl.DataFrame:
    ordered = frame.with_row_index("line", offset=1).sort("sequence_id", "step", maintain_order=True)
    before = pl.col("emitted_token").shift(1).over("run_id", "sequence_id")
    repeats = (pl.col("draft_tokens").list.first() == before).fill_null(value=False)
    skip = repeats.cast(pl.Int64)
    ordered = ordered.with_columns(skip=skip)
    made = ordered.select(
        pl.col("run_id").fill_null(""),
        "step",
        "line",
        request_id="sequence_id",
        at=_seconds("t"),
        draft_token_ids=pl.col("draft_tokens").list.slice(pl.col("skip")),
        accepted=pl.col("acceptances").list.slice(pl.col("skip")),
        num_accepted=pl.col("acceptance_length").cast(pl.Int64) - pl.col("skip"),
        output_token_ids=pl.col("draft_tokens")
        .list.slice(pl.col("skip"), (pl.col("acceptance_length").cast(pl.Int64) - pl.col("skip")).clip(0))
        .list.concat(pl.concat_list(pl.col("emitted_token").cast(pl.Int64))),
    )
    return conform(made.sort("line"), "step", extra=("line",)).with_columns(pl.col("line").cast(pl.Int64))
