"""What a draft length does under load: recorded arrivals, one batch, every step as long as its batch makes it.

A model: continuous batching without prefill and without limits of memory. Latency under load is not identified step by
step, because requests slow each other down; a fixed-tau trace alone cannot tell it.
"""

from typing import Any

import numpy as np
import polars as pl

from sdtrace.schema.arrays import Floats, Ints
from sdtrace.schema.json_values import Json
from sdtrace.tuning.path.step_replay import walk
from sdtrace.tuning.path.token_path import Text
from sdtrace.tuning.price import Price, price
from sdtrace.tuning.run import Asked, Tuned
from sdtrace.tuning.whatif.control import drafted_right

#: Requests that are served, and engine steps after which a simulation ends.
REQUESTS, STEPS = 2_000, 60_000


def queue(run: Tuned, asked: Asked) -> tuple[list[Json], str | None]:
    """Rows by tau: throughput, time per token and latency of requests. And why there are none."""
    current = run.curve.current
    if not current or run.price.unit != "ms" or not run.price.known:
        return [], None
    taus = [p.tau for p in run.curve.points if p.identified and p.tau <= max(current, 8)]
    grid = price(run.traffic.times, taus, run.curve.tokens.shape[1], asked.baseline_ms, None)
    arrivals = _arrivals(run)
    if arrivals is None:
        return [], "queue: arrivals are not recorded (arrived_at, or at of the first step)"
    right = drafted_right(run.traffic.text, 0.5)
    rows = []
    for tau in taus:
        bursts = _bursts(run.traffic.text, right, tau)
        rows.append({"tau": tau, **_serve(arrivals, bursts, _ladder(grid, tau)), "basis": "model"})
    return rows, None


def _arrivals(run: Tuned) -> Floats | None:
    """Seconds from the first arrival, by request; a sample is drawn together so that its load is that of the whole."""
    steps = run.traffic.text.steps
    first = pl.coalesce([c for c in ("arrived_at", "at") if c in steps.columns])
    times = steps.group_by("hash", maintain_order=True).agg(first.min().alias("t"))["t"].head(REQUESTS)
    if times.null_count() or len(times) < 2:
        return None
    seconds = times.to_numpy().astype(np.float64)
    thinned = len(run.traffic.text.first) / max(run.traffic.total, 1) * len(seconds) / run.traffic.text.requests
    return np.asarray((seconds - seconds.min()) * min(thinned, 1.0))


def _bursts(text: Text, right: Any, tau: int) -> list[Ints]:
    """Tokens that each step of each request appends."""
    first, _ = walk(right, text.begin, tau)
    size = np.diff(np.append(first, text.tokens))
    ends = np.cumsum(np.bincount(text.request_of[first], minlength=text.requests))
    return np.split(size, ends[:-1])[:REQUESTS]


def _ladder(grid: Price, tau: int) -> tuple[Floats, Floats]:
    """Batch sizes and their step times (ms) at `tau`, between which a line is drawn."""
    row = grid.high[grid.taus.index(tau)]
    known = np.flatnonzero(np.isfinite(row))
    return (1.5 * 2.0**known - 0.5).astype(np.float64), np.asarray(row[known])


def _serve(arrivals: Floats, bursts: list[Ints], ladder: tuple[Floats, Floats]) -> dict[str, float | None]:
    order = np.argsort(arrivals, kind="stable")
    arrivals, sizes = arrivals[order] * 1e3, [bursts[i] for i in order]
    need = np.array([len(s) for s in sizes])
    done = np.zeros(len(sizes), dtype=np.int64)
    finish = np.full(len(sizes), np.nan)
    now, come, served, batches = 0.0, 0, 0, 0
    active: Ints = np.zeros(0, dtype=np.int64)
    while (come < len(sizes) or len(active)) and served < STEPS:
        if not len(active):
            now = max(now, float(arrivals[come]))
        ready = int(np.searchsorted(arrivals, now, side="right"))
        active, come = np.append(active, np.arange(come, ready)), max(come, ready)
        now += float(np.interp(len(active), *ladder))
        served, batches = served + 1, batches + len(active)
        done[active] += 1
        over = done[active] >= need[active]
        finish[active[over]] = now
        active = active[~over]
    ended = np.isfinite(finish)
    tokens = np.array([s.sum() for s in sizes])[ended]
    if not ended.any():
        return dict.fromkeys(("tokens_per_second", "mean_batch", "tpot_p50", "tpot_p99", "latency_p50", "latency_p99"))
    latency = finish[ended] - arrivals[ended]
    tpot = latency / tokens
    return {
        "tokens_per_second": float(tokens.sum() / (now - arrivals[0]) * 1e3),
        "mean_batch": batches / served,
        "tpot_p50": float(np.quantile(tpot, 0.5)),
        "tpot_p99": float(np.quantile(tpot, 0.99)),
        "latency_p50": float(np.quantile(latency, 0.5)),
        "latency_p99": float(np.quantile(latency, 0.99)),
    }
