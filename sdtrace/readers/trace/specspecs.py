"""The Parquet that specspecs 0.1.0 writes: drafts-PID-NNNNN.parquet (steps) and sequences-PID-NNNNN.parquet (requests).

It holds ids and decisions, no probabilities. The first drafted entry of every step but the first repeats the token
emitted before it (its viewer assumes so): where it does, it is dropped with its decision.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from sdtrace.readers.io import row_groups
from sdtrace.readers.io.source import Source
from sdtrace.readers.reader import Reader, of_parquet
from sdtrace.readers.trace.columns import Misfit, fitted
from sdtrace.readers.trace.strict import Parsed
from sdtrace.readers.trace.validate import Validator
from sdtrace.schema.trace import FLAGS, FLOAT, INT, INTS, OBJECTS, STR, Batch, Loss, conform, empty, no_tables, schema

_DRAFTS = {"sequence_id", "step", "draft_tokens", "acceptances", "acceptance_length", "emitted_token"}
_SEQUENCES = {"sequence_id", "prompt_token_ids", "prompt_len"}
_TYPES: dict[str, pl.DataType] = {
    "run_id": STR,
    "sequence_id": STR,
    "step": INT,
    "at": FLOAT,
    "draft_tokens": INTS,
    "acceptances": FLAGS,
    "acceptance_length": INT,
    "emitted_token": INT,
}
#: Rows of a frame while it is read.
ROWS = 131_072


def sniff(file: Path) -> str | None:
    """None where the file is one of the two kinds, otherwise why not."""
    names = row_groups.names(file)
    if isinstance(names, str):
        return names
    if names >= _DRAFTS or names >= _SEQUENCES:
        return None
    return f"no column {', '.join(sorted(_DRAFTS - names))}"


def batches(src: Source) -> Iterator[Batch]:
    """The whole file as one batch: specspecs rotates its files at a small size."""
    assert src.file is not None
    tables = no_tables()
    found = list(row_groups.frames(src.path, src.file, ROWS, src.limits))
    losses = [f for f in found if isinstance(f, Loss)]
    frames = [f for f in found if not isinstance(f, Loss)]
    frame = pl.concat(frames) if frames else pl.DataFrame()
    try:
        if set(frame.columns) >= _DRAFTS:
            yield Validator(src.path).batch(Parsed(src.path), _steps(frame), frame.height)
        elif frame.height:
            yield Batch(src.path, frame.height, empty("run"), _requests(frame), empty("step"))
    except Misfit as error:
        losses.append(Loss(src.path, None, str(error), frame.height, "write the columns as specspecs types them"))
    if losses:
        yield Batch(src.path, sum(loss.count for loss in losses), *tables, losses)


def _requests(frame: pl.DataFrame) -> pl.DataFrame:
    named = _renamed(frame, {"sequence_id": "request_id", "t": "arrived_at"})
    made, _ = fitted(named, schema("request"), OBJECTS)
    return conform(made, "request").with_columns(pl.col("run_id").fill_null(""))


def _renamed(frame: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    """With our names; a column that has one of them already is none of specspecs."""
    return frame.drop(names.values(), strict=False).rename(names, strict=False)


def _steps(frame: pl.DataFrame) -> pl.DataFrame:
    typed, _ = fitted(_renamed(frame, {"t": "at"}), _TYPES)
    absent = [pl.lit(None, dtype=_TYPES[name]).alias(name) for name in _TYPES if name not in typed.columns]
    typed = typed.with_columns(absent)
    ordered = typed.with_row_index("line", offset=1).sort("sequence_id", "step", maintain_order=True)
    before = pl.col("emitted_token").shift(1).over("run_id", "sequence_id")
    repeats = (pl.col("draft_tokens").list.first() == before).fill_null(value=False)
    skip = repeats.cast(pl.Int64)
    ordered = ordered.with_columns(skip=skip)
    made = ordered.select(
        pl.col("run_id").fill_null(""),
        "step",
        "line",
        "at",
        request_id="sequence_id",
        draft_token_ids=pl.col("draft_tokens").list.slice(pl.col("skip")),
        accepted=pl.col("acceptances").list.slice(pl.col("skip")),
        num_accepted=pl.col("acceptance_length").cast(pl.Int64) - pl.col("skip"),
        output_token_ids=pl.col("draft_tokens")
        .list.slice(pl.col("skip"), (pl.col("acceptance_length").cast(pl.Int64) - pl.col("skip")).clip(0))
        .list.concat(pl.concat_list(pl.col("emitted_token").cast(pl.Int64))),
    )
    return conform(made.sort("line"), "step", extra=("line",)).with_columns(pl.col("line").cast(pl.Int64))


READER = Reader(
    name="specspecs",
    says="specspecs 0.1.0 Parquet",
    looks_for="columns `draft_tokens` and `acceptances`",
    refuse=of_parquet(sniff, folders=False),
    batches=batches,
)
