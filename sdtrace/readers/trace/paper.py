"""A case on paper: a CSV with the columns token, target, draft, r, one row a drafted token, r empty where not needed."""

import csv
import io
import re
from collections.abc import Iterator

import polars as pl

from sdtrace.limits import LimitError, lifted, size
from sdtrace.readers.io.source import Source, whole
from sdtrace.readers.reader import Reader, of_text
from sdtrace.readers.trace.strict import Parsed
from sdtrace.readers.trace.validate import Validator
from sdtrace.schema.trace import Batch, Loss, conform, no_tables

_ADVICE = "a row is token,target,draft,r; r may be empty"
_COLUMNS = {"token", "target", "draft", "r"}


def sniff(head: bytes) -> str | None:
    """None where the first line is the header of a paper case, otherwise why not."""
    first = head.decode("utf-8-sig", "replace").lstrip().split("\n", 1)[0]
    names = {name.strip().lower() for name in first.split(",")}
    missing = _COLUMNS - names
    if missing == {"r"}:
        return None
    return f"line 1: no column {', '.join(sorted(missing))}" if missing else None


def batches(src: Source) -> Iterator[Batch]:
    """One run (rule ratio, exact numbers), one step without a recorded outcome. A row that is no number is a Loss."""
    rows, losses = [], []
    for count, (line, row, broken) in enumerate(_records(src), start=1):
        if broken is not None:
            losses.append(Loss(src.path, line, f"row {count}: {broken}", 1, _ADVICE))
            continue
        try:
            rows.append(
                (_token(row["token"], count), float(row["target"]), float(row["draft"]), _optional(row.get("r")))
            )
        except (ValueError, KeyError) as error:
            what = f"row {count}: {error}" if isinstance(error, ValueError) else f"row {count}: no {error}"
            losses.append(Loss(src.path, line, what, 1, _ADVICE))
    yield _batch(src.path, rows, losses)


def words(src: Source) -> dict[int, str]:
    """Tokens that stand on paper as words, by the id that their row was given."""
    found = {number: row.get("token", "") for number, (_, row, _) in enumerate(_records(src))}
    return {number: word for number, word in found.items() if word and not re.fullmatch(r"[+-]?[0-9]{1,18}", word)}


def _records(src: Source) -> Iterator[tuple[int, dict[str, str], str | None]]:
    """Line, row, and why it is none: a field of more than 128 KB, a quote without its end."""
    most = src.limits.max_line
    read = whole(src, most)
    if read is None:
        raise LimitError(f"a case of more than {size(most)}", lifted("max_line", most))
    text = read.decode("utf-8-sig", "replace")
    reader = csv.DictReader(io.StringIO(text.lstrip()), skipinitialspace=True)
    try:
        names = {name: (name or "").strip().lower() for name in reader.fieldnames or []}
    except csv.Error as error:
        yield 1, {}, str(error)
        return
    while True:
        try:
            record = next(reader, None)
        except csv.Error as error:
            yield reader.line_num, {}, str(error)
            continue
        if record is None:
            return
        yield (
            reader.line_num,
            {names.get(k, ""): (v or "").strip() for k, v in record.items() if isinstance(v, str | None)},
            None,
        )


def _token(text: str, row: int) -> int:
    """Words on paper are fine: a token that is no id is shown by its row."""
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else row - 1


def _optional(text: str | None) -> float | None:
    return float(text) if text else None


def _batch(path: str, rows: list[tuple[int, float, float, float | None]], losses: list[Loss]) -> Batch:
    run = conform(pl.DataFrame({"run_id": [""], "rule": ["ratio"], "prob_dtype": ["float64"]}), "run")
    if not rows:
        return Batch(path, len(losses), *no_tables(), losses)
    tokens, targets, drafts, draws = (list(column) for column in zip(*rows, strict=True))
    step = pl.DataFrame(
        {
            "run_id": [""],
            "request_id": ["case"],
            "step": [0],
            "draft_token_ids": [tokens],
            "draft_probs": [drafts],
            "target_probs": [targets],
            "uniforms": [draws],
        },
        schema_overrides={"uniforms": pl.List(pl.Float64)},
    )
    steps = conform(step, "step").with_columns(line=pl.lit(2, pl.Int64))
    made = Validator(path).batch(Parsed(path, losses=losses), steps, 2 + len(losses))
    return Batch(path, made.lines, run, made.requests, made.steps, made.losses, made.notices)


READER = Reader(
    name="paper-csv",
    says="a case on paper (token,target,draft,r)",
    looks_for="columns token, target and draft",
    refuse=of_text(sniff),
    batches=batches,
    words=words,
)
