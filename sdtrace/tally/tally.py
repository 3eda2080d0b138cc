"""The tally: sums under keys, small, mergeable by adding. Whatever survives a batch is here.

Rows of requests and of the step sample are bounded by the hash of the request id (a bottom-k sample), so that any two
tallies, of whatever pieces of the input, add up to the same as one over the whole.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from sdtrace.tally.frames import FRAMES, Frame, rules

#: Requests whose sums are kept one by one, steps kept whole, uniforms compared, witnesses a check and law.
REQUESTS, STEPS, UNIFORMS, WITNESSES = 20_000, 4_000, 131_072, 5
#: Rows of `places`; whole requests of highest hash go until it holds no more.
PLACES = 40_000

#: Stretches of `blocks` in one bucket of the timeline: step times need more of them than a chart.
FINE = 16
#: Rows up to which a frame is grouped at once.
_FEW = 4096


@dataclass
class Tally:
    """Frames of sums by name (declared in `sdtrace.tally.frames`), and three bounded samples: whole steps, uniforms, witnesses."""

    sums: dict[str, pl.DataFrame] = field(default_factory=dict)
    steps: pl.DataFrame | None = None
    uniforms: pl.DataFrame | None = None
    uniforms_shift: int = 0
    uniforms_seen: dict[str, int] = field(default_factory=dict)
    witnesses: dict[tuple[str, str, str], list[dict[str, Any]]] = field(default_factory=dict)
    width: float | None = None  #: seconds (or records) of one bucket of the timeline
    ceiling: int = (1 << 64) - 1  #: requests up to this hash are whole in `places`, others are not in it
    added: bool = False  #: made by `merge`: within all bounds, each key once

    def frame(self, name: str) -> pl.DataFrame:
        """The sums of that name; an empty frame before anything was added."""
        found = self.sums.get(name)
        return FRAMES[name].empty if found is None else found


def merge(tallies: Sequence[Tally]) -> Tally:
    """Add tallies up. The order decides only which of many witnesses are kept."""
    tallies = [t for t in tallies if t.sums]
    if not tallies:
        return Tally()
    if len(tallies) == 1 and tallies[0].added:
        return tallies[0]
    width = _width(tallies)
    total = Tally(width=width, ceiling=min(t.ceiling for t in tallies), added=True)
    for name, declared in FRAMES.items():
        frames = [_rebucket(t, name, width) if declared.timed else t.sums[name] for t in tallies if name in t.sums]
        if frames:
            total.sums[name] = _bounded(declared, add(name, frames))
    total = _lowered(total)
    total.steps = _lowest(_stack(t.steps for t in tallies), STEPS)
    total.uniforms_shift = max(t.uniforms_shift for t in tallies)
    total.uniforms = _thin(_stack(t.uniforms for t in tallies), total)
    for t in tallies:
        for run, n in t.uniforms_seen.items():
            total.uniforms_seen[run] = total.uniforms_seen.get(run, 0) + n
        for key, rows in t.witnesses.items():
            kept = total.witnesses.setdefault(key, [])
            kept.extend(rows[: WITNESSES - len(kept)])
    return total


def add(name: str, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Merge frames of one name under their keys; the first row's order is kept, so results are deterministic."""
    names, keys = frames[0].columns, FRAMES[name].keys
    frames = [f if f.columns == names else f.select(names) for f in frames]
    table = pl.concat(frames, how="vertical_relaxed") if len(frames) > 1 else frames[0]
    # batches rarely share a request, and grouping many costs more than looking
    if table.height > _FEW and not table.select(pl.struct(keys).hash().is_duplicated().any()).item():
        return table.select(*keys, pl.exclude(keys))
    return table.group_by(keys, maintain_order=True).agg(rules(name, names))


def _bounded(declared: Frame, frame: pl.DataFrame) -> pl.DataFrame:
    by = declared.bounded
    return frame if not by or frame.height <= REQUESTS else frame.sort(*by).head(REQUESTS)


def _stack(frames: Iterable[pl.DataFrame | None]) -> pl.DataFrame | None:
    known = [f for f in frames if f is not None]
    return pl.concat(known, how="diagonal_relaxed") if known else None


def _lowest(steps: pl.DataFrame | None, most: int) -> pl.DataFrame | None:
    """Whole requests of lowest hash, up to `most` steps; the very first request is cut rather than dropped."""
    if steps is None or steps.height <= most:
        return steps
    limit = steps["hash"].bottom_k(most + 1).max()
    kept = steps.filter(pl.col("hash") < limit)
    kept = kept if kept.height else steps.filter(pl.col("hash") == limit)
    return kept.sort("hash", "law", "step", maintain_order=True).head(most)


def _thin(sample: pl.DataFrame | None, total: Tally) -> pl.DataFrame | None:
    """Keep uniforms whose hash falls in a shrinking share of all values, so equal values stay or go together."""
    if sample is None:
        return None
    if total.uniforms_shift:
        sample = sample.filter(pl.col("mix") < 1 << (64 - total.uniforms_shift))
    while sample.height > UNIFORMS and total.uniforms_shift < 40:
        total.uniforms_shift += 1
        sample = sample.filter(pl.col("mix") < 1 << (64 - total.uniforms_shift))
    return sample


def _width(tallies: Sequence[Tally]) -> float | None:
    """The bucket of a sum: the widest one, doubled until no frame of the timeline has more than 240 points."""
    width = max((t.width for t in tallies if t.width is not None), default=None)
    if width is None:
        return None
    doublings = 0
    for name in (name for name, declared in FRAMES.items() if declared.timed):
        found = [t.sums[name]["bucket"] // _times(t, width) for t in tallies if name in t.sums]
        buckets = pl.concat(found).unique() if found else pl.Series(dtype=pl.Int64)
        while (buckets // (1 << doublings)).n_unique() > 240 * (FINE if name == "blocks" else 1):
            doublings += 1
    return width * (1 << doublings)


def _times(tally: Tally, width: float) -> int:
    """How many buckets of a tally make one of `width`; one without a width of its own has that one."""
    return round(width / tally.width) if tally.width is not None else 1


def _rebucket(tally: Tally, name: str, width: float | None) -> pl.DataFrame:
    times = 1 if width is None else _times(tally, width)
    frame = tally.sums[name]
    return frame if times == 1 else frame.with_columns(bucket=pl.col("bucket") // times)


def _lowered(total: Tally) -> Tally:
    """Leave whole requests out of `places` until it is small enough; the ceiling says which, so that merges agree."""
    table = total.sums.get("places")
    if table is None:
        return total
    table = table.filter(pl.col("hash") <= total.ceiling)
    while table.height > PLACES and table["hash"].n_unique() > 1:
        total.ceiling //= 2
        table = table.filter(pl.col("hash") <= total.ceiling)
    total.sums["places"] = table
    return total
