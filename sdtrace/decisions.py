"""The decision audit alone: how many recorded decisions agree with their law. For a quick look and for benchmarks.

Parquet under a law that compares p, q and r is read with only the columns of that comparison, a row group at a time, row
groups side by side. Cut steps of an engine that clips num_accepted are not recognised there: `report` looks at them.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from sdtrace.laws.band import DISAGREE, UNDECIDABLE, compare
from sdtrace.laws.precision import band
from sdtrace.positions import ragged
from sdtrace.readers import Opened, open_inputs
from sdtrace.readers.parquet import parts
from sdtrace.scope import scopes
from sdtrace.trace import conform, empty

_COLUMNS = ["num_accepted", "target_probs", "draft_probs", "uniforms"]

Counts = dict[str, int]


def count_decisions(path: str | Path) -> Counts:
    """tested, agree, disagree, undecidable of one input, without checks and samples; nothing is validated."""
    total = dict.fromkeys(("tested", "disagree", "undecidable"), 0)
    for opened in open_inputs([str(path)]):
        for one in _bare(opened) if _comparable(opened) else _any(opened):
            total = {name: total[name] + one[name] for name in total}
    return total | {"agree": total["tested"] - total["disagree"] - total["undecidable"]}


def _any(opened: Opened) -> Iterator[Counts]:
    runs: dict[str, dict[str, Any]] = {}
    requests = empty("request")
    for batch in opened.batches():
        runs |= {row["run_id"]: row for row in batch.runs.iter_rows(named=True)}
        requests = pl.concat([requests, batch.requests])
        if not batch.steps.height:
            continue
        for scope in scopes("", batch.steps, requests, runs):
            judged = scope.judged
            yield _count(judged.tested, judged.decision)


def _count(tested: Any, decision: Any) -> Counts:
    return {
        "tested": int(np.count_nonzero(tested)),
        "disagree": int(np.count_nonzero(decision == DISAGREE)),
        "undecidable": int(np.count_nonzero(tested & (decision == UNDECIDABLE))),
    }


def _comparable(opened: Opened) -> bool:
    """A Parquet folder of ratio runs without temperature-0 requests and trimmed steps: p, q and r say everything."""
    file = opened.source.file
    if opened.format != "trace-parquet" or file is None or not file.is_dir():
        return False
    rules = {rule for f in parts(file, "run") for rule in conform(pl.read_parquet(f), "run")["rule"]}
    greedy = any(conform(pl.read_parquet(f), "request")["temperature"].eq(0.0).any() for f in parts(file, "request"))
    held = [set(pq.read_schema(f).names) for f in parts(file, "step")]
    whole = all(names.issuperset(_COLUMNS) and not names & {"verified_len", "accepted"} for names in held)
    return rules == {"ratio"} and not greedy and whole


def _bare(opened: Opened) -> Iterator[Counts]:
    file = opened.source.file
    assert file is not None
    dtypes = {d for f in parts(file, "run") for d in conform(pl.read_parquet(f), "run")["prob_dtype"]}
    dtype = dtypes.pop() if len(dtypes) == 1 else None
    groups = [(f, i) for f in parts(file, "step") for i in range(pq.read_metadata(f).num_row_groups)]
    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(lambda group: _group(group[0], group[1], dtype), groups)


def _group(file: Path, index: int, dtype: str | None) -> Counts:
    """One row group, by the ratio law."""
    frame = pl.from_arrow(pq.ParquetFile(file).read_row_group(index, columns=_COLUMNS, use_threads=False))
    assert isinstance(frame, pl.DataFrame)
    if frame.null_count().row(0) != (0, 0, 0, 0):
        frame = frame.drop_nulls()
    lists = [ragged(frame[name]) for name in _COLUMNS[1:]]
    p, q, r = (x.values.astype(np.float64, copy=False) for x in lists)
    n_a = frame["num_accepted"].to_numpy()
    count = lists[0].count
    if len(count) and (count == count[0]).all():
        place, n_a = np.arange(count[0], dtype=n_a.dtype)[None, :], n_a[:, None]
        accepted, tested = (place < n_a).ravel(), (place <= n_a).ravel()
    else:
        place, n_a = np.arange(len(p)) - np.repeat(lists[0].start, count), np.repeat(n_a, count)
        accepted, tested = place < n_a, place <= n_a
    decision = compare(accepted, p, q, r, band(p, dtype), band(q, dtype))
    return _count(tested, np.where(tested, decision, UNDECIDABLE))
