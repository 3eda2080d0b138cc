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
import pyarrow as pa
import pyarrow.parquet as pq

from sdtrace.readers import Opened, open_inputs
from sdtrace.schema.keys import keyed
from sdtrace.schema.run import Run, runs_of
from sdtrace.schema.trace import conform, empty
from sdtrace.verify.band import DISAGREE, UNDECIDABLE, compare
from sdtrace.verify.precision import band
from sdtrace.verify.scope import scopes

_COLUMNS = ["num_accepted", "target_probs", "draft_probs", "uniforms"]

#: Row groups in work at a time: one is compared while columns of the others are read side by side.
_GROUPS = 3

Counts = dict[str, int]


def count_decisions(path: str | Path) -> Counts:
    """tested, agree, disagree, undecidable of one input, without checks and samples; nothing is validated."""
    total = dict.fromkeys(("tested", "disagree", "undecidable"), 0)
    for opened in open_inputs([str(path)]):
        for one in _bare(opened) if _comparable(opened) else _any(opened):
            total = {name: total[name] + one[name] for name in total}
    return total | {"agree": total["tested"] - total["disagree"] - total["undecidable"]}


def _any(opened: Opened) -> Iterator[Counts]:
    runs: dict[str, Run] = {}
    requests = empty("request")
    for batch in opened.batches():
        runs |= runs_of(batch.runs)
        requests = pl.concat([requests, batch.requests])
        if not batch.steps.height:
            continue
        for scope in scopes("", keyed(batch.steps), keyed(requests), runs):
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
    tables = None if opened.reader is None else opened.reader.tables
    if tables is None or file is None or not file.is_dir():
        return False
    rules = {rule for f in tables(file, "run") for rule in conform(pl.read_parquet(f), "run")["rule"]}
    greedy = any(_greedy(f) for f in tables(file, "request"))
    held = [set(pq.read_schema(f).names) for f in tables(file, "step")]
    whole = all(names.issuperset(_COLUMNS) and not names & {"verified_len", "accepted"} for names in held)
    return rules == {"ratio"} and not greedy and whole


def _greedy(requests: Path) -> bool:
    """Whether any request of a file is verified greedily."""
    if "temperature" not in pq.read_schema(requests).names:
        return False
    return bool(pl.read_parquet(requests, columns=["temperature"])["temperature"].eq(0.0).any())


def _bare(opened: Opened) -> Iterator[Counts]:
    file, tables = opened.source.file, None if opened.reader is None else opened.reader.tables
    assert file is not None
    assert tables is not None
    dtypes = {d for f in tables(file, "run") for d in conform(pl.read_parquet(f), "run")["prob_dtype"]}
    dtype = dtypes.pop() if len(dtypes) == 1 else None
    files = [(f, pq.read_metadata(f)) for f in tables(file, "step")]
    groups = [(f, known, i) for f, known in files for i in range(known.num_row_groups)]
    with ThreadPoolExecutor(_GROUPS) as pool:
        yield from pool.map(lambda group: _group(group[0], group[1], group[2], dtype), groups)


def _group(file: Path, known: pq.FileMetaData, index: int, dtype: str | None) -> Counts:
    """One row group, by the ratio law."""
    with pq.ParquetFile(file, pre_buffer=False, memory_map=True, metadata=known) as table:
        return _compared(table.read_row_group(index, columns=_COLUMNS, use_threads=True), dtype)


def _compared(table: pa.Table, dtype: str | None) -> Counts:
    if any(table.column(name).null_count for name in _COLUMNS):
        table = table.drop_null()
    count, (p, q, r) = _flat(table)
    n_a = table.column("num_accepted").to_numpy()
    if len(count) and (count == count[0]).all():
        first = np.tri(count[0] + 1, count[0], -1, dtype=bool)  # the first k of a row, for every k
        accepted, tested = (first.take(n, axis=0, mode="clip").ravel() for n in (n_a, n_a + 1))
    else:
        place, n_a = np.arange(len(p)) - np.repeat(np.cumsum(count) - count, count), np.repeat(n_a, count)
        accepted, tested = place < n_a, place <= n_a
    decision = compare(accepted, p, q, r, band(p, dtype), band(q, dtype))
    decision *= tested
    wrong = int(np.count_nonzero(decision == DISAGREE))
    n = int(np.count_nonzero(tested))
    return {"tested": n, "disagree": wrong, "undecidable": n - int(np.count_nonzero(decision))}


def _flat(table: pa.Table) -> tuple[Any, list[Any]]:
    """Entries a step, and the three list columns as flat arrays of float64."""
    flat = []
    for name in _COLUMNS[1:]:
        column = table.column(name)
        lists = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()  # which would copy it
        flat.append(lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64, copy=False))
    return np.diff(lists.offsets.to_numpy()), flat
