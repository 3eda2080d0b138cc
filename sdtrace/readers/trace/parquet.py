"""Trace format 1 as Parquet: a folder with steps.parquet (or steps/*.parquet), or a steps file alone."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import polars as pl

from sdtrace.limits import Limits
from sdtrace.readers.io import row_groups
from sdtrace.readers.io.source import Source
from sdtrace.readers.reader import Reader, of_parquet
from sdtrace.readers.trace.columns import Misfit, fitted
from sdtrace.readers.trace.strict import Parsed
from sdtrace.readers.trace.validate import Validator
from sdtrace.schema.trace import OBJECTS, TABLES, Batch, Loss, Notice, conform, empty, no_tables, schema

#: Rows of a batch of steps, and of runs and requests, which are wider and stay in memory while they are joined.
ROWS, HEADS = 131_072, 16_384
#: Unknown columns that are told by name.
MANY = 50


def sniff(file: Path) -> str | None:
    """None where the file holds steps of format 1, otherwise why not."""
    names = row_groups.names(file)
    if isinstance(names, str):
        return names
    missing = {"request_id", "step", "draft_token_ids"} - names
    return f"no column {', '.join(sorted(missing))}" if missing else None


def parts(folder: Path, table: str) -> list[Path]:
    """The files of one table of a trace folder."""
    single = folder / f"{table}s.parquet"
    return ([single] if single.is_file() else []) + sorted(folder.glob(f"{table}s/*.parquet"))


def batches(src: Source) -> Iterator[Batch]:
    """Runs and requests first, then steps; `line` is the row of its file, from 1."""
    assert src.file is not None
    if not src.is_folder:
        yield from _steps(src.path, src.file, Validator(src.path), src.limits, first=True)
        return
    for table in ("run", "request"):
        for file in parts(src.file, table):
            yield from _heads(str(file) if src.path != str(file) else src.path, file, table, src.limits)
    validators = Validator(src.path)
    for number, file in enumerate(parts(src.file, "step")):
        yield from _steps(str(file), file, validators, src.limits, first=number == 0)


def _heads(path: str, file: Path, table: str, limits: Limits) -> Iterator[Batch]:
    for frame in row_groups.frames(path, file, HEADS, limits):
        made = frame if isinstance(frame, Loss) else _conformed(path, frame, table)
        if isinstance(made, Loss):
            yield _lost(path, made)
            continue
        named = made.frame.with_columns(pl.col("run_id").fill_null(""))
        runs, requests = (named, empty("request")) if table == "run" else (empty("run"), named)
        yield Batch(path, named.height, runs, requests, empty("step"), [], made.notices)


def _steps(path: str, file: Path, validator: Validator, limits: Limits, *, first: bool) -> Iterator[Batch]:
    line, unknown = 1, 0
    names: list[str] = []
    for frame in row_groups.frames(path, file, ROWS, limits, first=first):
        if isinstance(frame, Loss):
            yield _lost(path, frame)
            continue
        names = [n for n in frame.columns if n not in TABLES["step"]]
        unknown += frame.height
        made = _conformed(path, frame, "step")
        if isinstance(made, Loss):
            yield _lost(path, made)
        else:
            places = pl.int_range(line, line + frame.height)
            numbered = made.frame.with_columns(pl.col("run_id").fill_null(""), line=places)
            yield replace(validator.batch(Parsed(path), numbered, frame.height), path=path)
        line += frame.height
    if names:
        advice = "not part of trace format 1; `config` and `tags` hold anything else"
        told = [n for n in names if n not in ("kind", "line")]
        notices = [Notice(path, None, f"unknown column {n!r}", unknown, advice) for n in told[:MANY]]
        if len(told) > MANY:
            notices.append(Notice(path, None, f"{len(told) - MANY:,} more unknown columns", unknown, advice))
        yield Batch(path, 0, *no_tables(), [], notices)


def _lost(path: str, loss: Loss) -> Batch:
    return Batch(path, loss.count, *no_tables(), [loss])


class _Made(NamedTuple):
    frame: pl.DataFrame
    notices: list[Notice]


def _conformed(path: str, frame: pl.DataFrame, table: str) -> _Made | Loss:
    """Columns typed as the table wants them; objects become JSON text."""
    try:
        made, left_out = fitted(frame, schema(table), OBJECTS)
    except Misfit as error:
        return Loss(path, None, str(error), frame.height, "write the columns as trace format 1 types them")
    what, advice = "{} holds text that is no JSON object", "such values are left out"
    return _Made(conform(made, table), [Notice(path, None, what.format(k), n, advice) for k, n in left_out.items()])


READER = Reader(
    name="trace-parquet",
    says="trace format 1, Parquet",
    looks_for="columns `request_id`, `step` and `draft_token_ids`",
    refuse=of_parquet(sniff, folders=True),
    batches=batches,
    tables=parts,
)
