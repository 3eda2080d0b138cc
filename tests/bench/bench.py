"""Ratios against DuckDB and polars in one run, in process, medians of 5.

python tests/bench/bench.py --steps 1000000
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from sdtrace.api import report
from sdtrace.audit.quick import count_decisions
from sdtrace.readers import open_inputs
from sdtrace.render import html
from sdtrace.schema.trace import STEP

TAU, VOCABULARY, PER_REQUEST = 5, 50_000, 50
ROUNDS = 5

#: Finds the first rejection of each step and compares it with the record.
SQL = """
with s as (
  select num_accepted as n,
         list_position(list_transform(range(1, 6), lambda i: uniforms[i] * draft_probs[i] > target_probs[i]), true) as k
  from read_parquet('{}'))
select count(*) filter (coalesce(k - 1, 5) <> n), count(*) from s
"""


#: The same without list functions, as one would write it first.
SQL_UNNEST = """
with s as (
  select row_number() over () as step, num_accepted as n, unnest(uniforms) as r, unnest(draft_probs) as q,
         unnest(target_probs) as p, unnest(range(5)) as j
  from read_parquet('{}')),
f as (select step, any_value(n) as n, min(j) filter (r * q > p) as k from s group by step)
select count(*) filter (coalesce(k, 5) <> n), count(*) from f
"""

PRESENT = {
    "run_id", "request_id", "step", "num_accepted", "draft_token_ids", "draft_probs", "target_probs", "uniforms",
    "output_token_ids", "last_kind", "last_target_prob", "last_draft_prob",
}  # fmt: skip


def generate(folder: Path, steps: int) -> tuple[Path, Path]:
    """A lawful ratio trace, as a Parquet folder and as JSON Lines, made in pieces."""
    rng = np.random.default_rng(0)
    tables = folder / "trace"
    (tables / "steps").mkdir(parents=True)
    run = {"run_id": "bench", "rule": "ratio", "prob_dtype": "float32", "vocab_size": 2 * VOCABULARY}
    pl.DataFrame([run]).write_parquet(tables / "runs.parquet")
    requests = pl.DataFrame({"request_id": [f"r{i}" for i in range(-(-steps // PER_REQUEST))]})
    requests = requests.with_columns(run_id=pl.lit("bench"), temperature=pl.lit(1.0))
    requests.write_parquet(tables / "requests.parquet")
    lines = folder / "trace.jsonl"
    with lines.open("wb") as out:
        pl.DataFrame([{"kind": "run", **run}]).write_ndjson(out)
        requests.select(pl.lit("request").alias("kind"), pl.all()).write_ndjson(out)
        for part, start in enumerate(range(0, steps, 250_000)):
            frame = _piece(rng, start, min(250_000, steps - start))
            frame.write_parquet(tables / "steps" / f"{part:04}.parquet")
            frame.select(pl.lit("step").alias("kind"), pl.all()).write_ndjson(out)
    return tables, lines


def _piece(rng: np.random.Generator, start: int, n: int) -> pl.DataFrame:
    p = rng.beta(0.5, 0.5, (n, TAU)).astype(np.float32).astype(np.float64)
    q = np.maximum(rng.beta(0.8, 0.8, (n, TAU)), 1e-6).astype(np.float32).astype(np.float64)
    r = rng.random((n, TAU)).astype(np.float32).astype(np.float64)
    x = rng.integers(0, VOCABULARY, (n, TAU))
    rejected = r * q > p
    n_a = np.where(rejected.any(axis=1), rejected.argmax(axis=1), TAU)
    y = rng.integers(VOCABULARY, VOCABULARY * 2, n)
    output = np.concatenate((x, y[:, None]), axis=1)
    output[np.arange(n), n_a] = y
    index = np.arange(start, start + n)
    lists = {"draft_token_ids": x, "draft_probs": q, "target_probs": p, "uniforms": r, "output_token_ids": output}
    frame = pl.DataFrame(
        {
            "run_id": pl.Series(["bench"]).new_from_index(0, n),
            "request_id": pl.Series(index // PER_REQUEST).cast(pl.String),
            "step": index % PER_REQUEST,
            "num_accepted": n_a,
            **{
                name: pl.Series(name, values).cast(pl.List(pl.Series(values[:0].ravel()).dtype))
                for name, values in lists.items()
            },
        }
    )
    y_p = rng.uniform(0.3, 1.0, n)
    return frame.with_columns(
        request_id="r" + pl.col("request_id"),
        output_token_ids=pl.col("output_token_ids").list.head(pl.col("num_accepted") + 1),
        last_kind=pl.when(pl.col("num_accepted") == TAU).then(pl.lit("bonus")).otherwise(pl.lit("recovered")),
        last_target_prob=pl.Series(y_p),
        last_draft_prob=pl.when(pl.col("num_accepted") < TAU).then(pl.Series(y_p * rng.uniform(0.0, 0.9, n))),
    )


def medians(*works: Callable[[], object]) -> list[float]:
    """Median seconds of ROUNDS calls of each, after one that is not counted. They take turns, so that whatever else the
    machine does meets all of them."""
    times: list[list[float]] = [[] for _ in works]
    for counts in [False] + [True] * ROUNDS:
        for work, taken in zip(works, times, strict=True):
            begin = time.perf_counter()
            work()
            if counts:
                taken.append(time.perf_counter() - begin)
    return [statistics.median(taken) for taken in times]


_DUCK = {
    "String": "VARCHAR",
    "Int64": "BIGINT",
    "Float64": "DOUBLE",
    "Boolean": "BOOLEAN",
    "List(Int64)": "BIGINT[]",
    "List(Float64)": "DOUBLE[]",
    "List(Boolean)": "BOOLEAN[]",
    "List(List(Int64))": "BIGINT[][]",
    "List(List(Float64))": "DOUBLE[][]",
}


def typed_table(lines: Path, *, whole: bool) -> None:
    """DuckDB's own way from JSON Lines to a typed table: every column of the format, or those that the trace holds."""
    names = [n for n in STEP if whole or n in PRESENT]
    columns = ",".join(f"'{n}':'{_DUCK[str(STEP[n].dtype)]}'" for n in names)
    with duckdb.connect() as connection:
        connection.execute(
            f"create table t as select * from read_json('{lines}', format='newline_delimited', columns={{'kind':'VARCHAR',{columns}}})"
        )


def batches(lines: Path) -> None:
    """What a report reads of JSON Lines."""
    for opened in open_inputs([str(lines)]):
        for _ in opened.batches():
            pass


def ask(connection: duckdb.DuckDBPyConnection, query: str) -> object:
    """The rows of a query."""
    return connection.execute(query).fetchall()


def polars_audit(steps: str) -> object:
    """The same question in polars."""
    lists = ["uniforms", "draft_probs", "target_probs"]
    frame = pl.scan_parquet(steps).select("num_accepted", *lists).with_row_index("i").explode(lists)
    wrong = frame.with_columns(rejected=pl.col("uniforms") * pl.col("draft_probs") > pl.col("target_probs"))
    first = wrong.group_by("i").agg(
        pl.col("num_accepted").first(), k=pl.col("rejected").arg_max(), any=pl.col("rejected").any()
    )
    return first.select((pl.when("any").then("k").otherwise(TAU) != pl.col("num_accepted")).sum()).collect(
        engine="streaming"
    )


def main() -> None:
    """Generate, time, print ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--memory", action="store_true", help="only read and report once, and print the peak")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        tables, lines = generate(Path(name), given.steps)
        if given.memory:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            html.page(report(tables))
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            print(f"peak {after / 1e3:.0f} MB (before the report {before / 1e3:.0f} MB), {given.steps:,} steps")
            return
        steps = f"{tables}/steps/*.parquet"
        with duckdb.connect() as connection:
            asks = [partial(ask, connection, query.format(steps)) for query in (SQL, SQL_UNNEST)]
            for title, mine, peers in (
                (
                    "JSON Lines to batches",
                    partial(batches, lines),
                    {
                        "DuckDB, columns of the format": partial(typed_table, lines, whole=True),
                        "DuckDB, columns present": partial(typed_table, lines, whole=False),
                    },
                ),
                (
                    "decision audit",
                    partial(count_decisions, tables),
                    {
                        "DuckDB SQL with list functions": asks[0],
                        "DuckDB SQL with unnest": asks[1],
                        "polars": partial(polars_audit, steps),
                    },
                ),
                (
                    "report with HTML",
                    lambda: html.page(report(tables)),
                    {"DuckDB SQL with list functions": asks[0], "DuckDB SQL with unnest": asks[1]},
                ),
            ):
                taken, *others = medians(mine, *peers.values())
                for peer, other in zip(peers, others, strict=True):
                    label = f"{title} / {peer}"
                    print(f"{label:<55} {taken / other:6.2f}   ({taken:.3f} s / {other:.3f} s)", flush=True)


if __name__ == "__main__":
    main()
