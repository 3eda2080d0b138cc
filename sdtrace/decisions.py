"""The decision audit alone: how many recorded decisions agree with their law. For a quick look and for benchmarks.

Parquet is read with only the columns that a decision needs, a row group at a time, row groups side by side.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from sdtrace.laws.band import DISAGREE, UNDECIDABLE
from sdtrace.readers import Opened, open_inputs
from sdtrace.readers.parquet import parts
from sdtrace.scope import scopes
from sdtrace.trace import STEP, conform, empty

_ALWAYS = (
    "run_id",
    "request_id",
    "draft_token_ids",
    "num_accepted",
    "verified_len",
    "accepted",
    "target_probs",
    "draft_probs",
    "uniforms",
)
#: What the laws that do not compare p, q and r need besides.
_GREEDY = ("target_argmax_ids", "target_top2_gap")
_IDS = ("output_token_ids", "overlap", "target_entropy", "target_top_ids", "target_top_probs")
_NEEDS = {"ratio": (), "one-hot": (), "tree-coin": (), "lenient": (), "synthetic": (), "greedy": _GREEDY}

Counts = dict[str, int]


def count_decisions(path: str | Path) -> Counts:
    """tested, agree, disagree, undecidable of one input, without checks and samples.

    Requests are read for their temperature only; nothing is validated beyond what a decision asks for.
    """
    total = dict.fromkeys(("tested", "disagree", "undecidable"), 0)
    for opened in open_inputs([str(path)]):
        for one in _parquet(opened) if opened.format == "trace-parquet" else _any(opened):
            total = {name: total[name] + one[name] for name in total}
    return total | {"agree": total["tested"] - total["disagree"] - total["undecidable"]}


def _any(opened: Opened) -> Iterator[Counts]:
    runs: dict[str, dict[str, Any]] = {}
    requests = empty("request")
    for batch in opened.batches():
        runs |= {row["run_id"]: row for row in batch.runs.iter_rows(named=True)}
        requests = pl.concat([requests, batch.requests])
        if batch.steps.height:
            yield _count(batch.steps, requests, runs)


def _parquet(opened: Opened) -> Iterator[Counts]:
    file = opened.source.file
    assert file is not None
    heads = {
        t: [conform(pl.read_parquet(f), t) for f in parts(file, t)] if file.is_dir() else [] for t in ("run", "request")
    }
    runs = {row["run_id"]: row for frame in heads["run"] for row in frame.iter_rows(named=True)}
    requests = pl.concat([empty("request"), *heads["request"]])
    if not requests["temperature"].eq(0.0).any():
        requests = requests.clear()  # only temperature 0 changes the law
    columns = _columns(runs, greedy=bool(requests.height))
    files = parts(file, "step") if file.is_dir() else [file]
    groups = [(f, i) for f in files for i in range(pq.read_metadata(f).num_row_groups)]
    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(lambda group: _count(_group(*group, columns), requests, runs), groups)


def _columns(runs: Mapping[str, Any], *, greedy: bool) -> list[str]:
    wanted = set(_ALWAYS)
    for rule in {run["rule"] for run in runs.values()} or {None}:
        wanted |= set(_NEEDS.get(rule, (*_GREEDY, *_IDS)))
    return [name for name in STEP if name in wanted or (greedy and name in _GREEDY)]


def _group(file: Path, index: int, columns: list[str]) -> pl.DataFrame:
    table = pq.ParquetFile(file)
    held = [name for name in columns if name in table.schema_arrow.names]
    frame = pl.from_arrow(table.read_row_group(index, columns=held, use_threads=False))
    assert isinstance(frame, pl.DataFrame)
    frame = (
        frame.with_columns(pl.col("run_id").fill_null(""))
        if "run_id" in held
        else frame.with_columns(run_id=pl.lit(""))
    )
    return conform(frame, "step").with_columns(line=pl.lit(None, pl.Int64))


def _count(steps: pl.DataFrame, requests: pl.DataFrame, runs: Mapping[str, Any]) -> Counts:
    found = dict.fromkeys(("tested", "disagree", "undecidable"), 0)
    for scope in scopes("", steps, requests, runs):
        judged = scope.judged
        found["tested"] += int(judged.tested.sum())
        found["disagree"] += int((judged.decision == DISAGREE).sum())
        found["undecidable"] += int(np.count_nonzero(judged.tested & (judged.decision == UNDECIDABLE)))
    return found
