"""Traffic in cells (task and temperature), so that a night of other traffic is not taken for another engine.

A cell keeps sums over its requests, of A above and D below for each metric: G requests, A, D, and the squares that the
variance of a ratio of sums clustered by request needs (Cochran 1977).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

#: metric -> (above, below) in the tally's sums by request.
METRICS = {"tokens_per_step": ("appended", "known_appended"), "rate_of_drafted": ("accepted", "drafted_counted")}
#: Tags that tell what kind of traffic a request is, in order of trust; cells that are kept by name.
_TAGS, _CELLS = ("task", "language", "adapter"), 24
#: A night must hold this share of the usual traffic to be standardised to it.
_SHARED = 0.5

Cells = dict[str, dict[str, list[float]]]


def cells(requests: pl.DataFrame, heads: pl.DataFrame) -> Cells:
    """cell -> metric -> [G, A, D, sum A^2, sum A D, sum D^2] from the tally's requests and their request lines."""
    tag = pl.coalesce(*(pl.col("tags").str.json_path_match(f"$['{name}']") for name in _TAGS), pl.lit("any"))
    greedy = pl.when(pl.col("temperature") == 0).then(pl.lit("greedy")).otherwise(pl.lit("sampled"))
    known = heads.select("run_id", "request_id", cell=pl.concat_str(tag.str.slice(0, 40), greedy, separator=", "))
    rows = requests.join(known, on=["run_id", "request_id"], how="left", maintain_order="left")
    rows = rows.with_columns(pl.col("cell").fill_null("any, unknown"))
    largest = rows.group_by("cell").agg(pl.len()).sort(["len", "cell"], descending=[True, False]).head(_CELLS)
    rows = rows.with_columns(
        pl.when(pl.col("cell").is_in(largest["cell"].implode())).then("cell").otherwise(pl.lit("other")).alias("cell")
    )
    found: Cells = {}
    for metric, (above, below) in METRICS.items():
        a, d = pl.col(above).cast(pl.Float64), pl.col(below).cast(pl.Float64)
        sums = (
            rows.filter(d > 0)
            .group_by("cell", maintain_order=True)
            .agg(
                pl.len().cast(pl.Float64),
                a.sum().alias("a"),
                d.sum().alias("d"),
                (a * a).sum().alias("aa"),
                (a * d).sum().alias("ad"),
                (d * d).sum().alias("dd"),
            )
        )
        for cell, *values in sums.sort("cell").rows():
            found.setdefault(cell, {})[metric] = values
    return found


def weights(nights: Sequence[Cells], metric: str) -> dict[str, float]:
    """The usual traffic: each cell's mean share of the denominator over nights."""
    total: dict[str, float] = {}
    for night in nights:
        below = {cell: sums[metric][2] for cell, sums in night.items() if metric in sums}
        whole = sum(below.values())
        for cell, d in below.items():
            total[cell] = total.get(cell, 0.0) + d / whole / len(nights)
    return total


def standardised(night: Cells, metric: str, usual: Mapping[str, float]) -> tuple[float, float] | None:
    """(value, standard error) of the night's ratio had its traffic been the usual one; None where too little is shared.

    Direct standardisation: sum over cells of usual share times the cell's ratio.
    """
    shared = {c: w for c, w in usual.items() if metric in night.get(c, {}) and night[c][metric][0] >= 2}
    mass = sum(shared.values())
    if mass < _SHARED:
        return None
    value = variance = 0.0
    for cell, w in shared.items():
        ratio, error = _ratio(night[cell][metric])
        value += w / mass * ratio
        variance += (w / mass * error) ** 2
    return value, math.sqrt(variance)


def _ratio(sums: Sequence[Any]) -> tuple[float, float]:
    g, a, d, aa, ad, dd = sums
    theta = a / d
    squares = max(aa - 2 * theta * ad + theta * theta * dd, 0.0)
    return theta, math.sqrt(g / (g - 1) * squares) / d
