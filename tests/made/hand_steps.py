"""Steps of one request by hand, as the laws read them."""

from typing import Any

import polars as pl

from sdtrace.schema.trace import conform
from sdtrace.verify.positions import Positions, derive, positions


def steps(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Steps of one request, in order."""
    numbered = [{"run_id": "r", "request_id": "a", "step": i} | row for i, row in enumerate(rows)]
    frame = pl.DataFrame(numbered, infer_schema_length=None)
    return conform(frame, "step").with_columns(line=pl.int_range(1, len(rows) + 1))


def flat(frame: pl.DataFrame) -> Positions:
    none = pl.lit(None, dtype=pl.List(pl.Int64))
    return positions(derive(frame.with_columns(hash=pl.lit(0, dtype=pl.UInt64), stop_token_ids=none)))
