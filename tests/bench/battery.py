"""What the statistical battery costs: the audit with it over the audit alone, in one run; with and without sums logged.

python tests/bench/battery.py --steps 1000000
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import polars as pl
from bench import TAU, generate, medians

from sdtrace.audit.audit import audit
from sdtrace.checks import CHECKS
from sdtrace.readers import open_inputs
from sdtrace.tally.evidence import NOTHING

#: Checks that weigh many tokens, and what their part of the tally is called where it is added up.
BATTERY = [check for check in CHECKS if check.table in ("evidence", "lanes", "slices", "rows", "uniforms")]


def with_sums(tables: Path) -> None:
    """The columns of sums over the vocabulary, added to every part; figures of plausible size."""
    rng = np.random.default_rng(1)
    for part in sorted((tables / "steps").glob("*.parquet")):
        frame = pl.read_parquet(part)
        made = {
            name: pl.Series(name, rng.uniform(0.1, 0.9, (frame.height, TAU)).astype(np.float32).astype(np.float64))
            for name in ("overlap", "target_sq", "draft_sq")
        }
        frame.with_columns(s.cast(pl.List(pl.Float64)) for s in made.values()).write_parquet(part)


def whole(tables: Path) -> None:
    """The audit with everything."""
    audit(open_inputs([str(tables)]), CHECKS)


def alone(tables: Path) -> None:
    """The audit without the battery: decisions recomputed, provable checks, sums for the report."""
    with (
        patch("sdtrace.tally.measure.evidence", lambda scope: NOTHING),
        patch("sdtrace.tally.measure.uniforms", lambda scope, request, tally: None),
    ):
        audit(open_inputs([str(tables)]), [check for check in CHECKS if check not in BATTERY])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        tables, lines = generate(Path(name), given.steps)
        lines.unlink()
        for log in ("p, q and r", "p, q, r and sums over the vocabulary"):
            if "sums" in log:
                with_sums(tables)
            every, bare = medians(partial(whole, tables), partial(alone, tables))
            print(
                f"audit with battery / audit alone, {log}: {every / bare:.2f}   ({every:.3f} s / {bare:.3f} s)",
                flush=True,
            )


if __name__ == "__main__":
    main()
