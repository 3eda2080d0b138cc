"""What a pass keeps of request lines, and the windows of a stretch of time."""

from collections.abc import Iterable

import polars as pl

from sdtrace.schema.keys import keyed
from sdtrace.schema.trace import empty
from sdtrace.verify.scope import REQUEST_COLUMNS

_HEAD = (
    *("run_id", "request_id"),
    *REQUEST_COLUMNS,
    *("arrived_at", "first_token_at", "finished_at", "cached_tokens"),
)


def heads(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Request lines with their `hash`; of a request that comes twice the last line counts."""
    found = [f.select(_HEAD) for f in frames]
    table = keyed(pl.concat(found) if found else empty("request").select(_HEAD))
    return table.unique("hash", keep="last", maintain_order=True)


def within(windows: pl.DataFrame, span: tuple[float | None, float | None]) -> pl.DataFrame:
    """Windows of a stretch of time; those without a time are left out by one, as steps are."""
    since, until = span
    if since is not None:
        windows = windows.filter(pl.col("at") >= since)
    return windows if until is None else windows.filter(pl.col("at") <= until)
