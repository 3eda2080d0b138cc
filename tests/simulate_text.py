"""Texts whose drafts are right or wrong by a known process, recorded at any tau. SYNTHETIC.

The text comes first: token t of request i carries gamma = P(its draft is right), drawn from a process that does not know
tau; then one coin a token says whether the draft is right. A drafter that sees only the prefix (an independent draft
model, an n-gram table) is of this kind, by the reverse calibration of the ratio law.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.positions import derive
from sdtrace.trace import conform
from sdtrace.tune.chain import walk

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class World:
    """`gamma` (R, L) and `right` (R, L)."""

    gamma: Floats
    right: Flags

    def truth(self, tau: int) -> float:
        """Tokens per step of a run at `tau`."""
        r, length = self.right.shape
        first, _ = walk(self.right.ravel(), np.arange(r + 1) * length, tau)
        return self.right.size / len(first)


def coins(gamma: Floats, rng: np.random.Generator) -> World:
    """One coin a token."""
    return World(gamma, rng.random(gamma.shape) < gamma)


def bursty(
    requests: int, length: int, rng: np.random.Generator, easy: float = 0.96, hard: float = 0.35, stay: float = 0.97
) -> World:
    """Two states of ease that last: the example of theory, on which truncated estimates are 10% off."""
    flips = rng.random((requests, length)) > stay
    flips[:, 0] = rng.random(requests) < 0.5
    state = np.cumsum(flips, axis=1) % 2
    return coins(np.where(state == 0, easy, hard), rng)


def mixed(requests: int, length: int, rng: np.random.Generator) -> World:
    """Requests of different ease, tokens of different ease: many certain ones, some hopeless."""
    mean = rng.beta(5, 2, (requests, 1))
    gamma = rng.beta(2.0 * mean + 0.05, 2.0 * (1 - mean) + 0.05, (requests, length))
    return coins(np.where(rng.random(gamma.shape) < 0.3, 1.0, gamma), rng)


def steady(requests: int, length: int, rng: np.random.Generator, alpha: float) -> World:
    """Every draft is right with the same chance."""
    return coins(np.full((requests, length), alpha), rng)


def record(
    world: World,
    tau: int,
    *,
    shown: bool = True,
    scored: bool = False,
    ms: tuple[float, float] | None = None,
    batch: int = 1,
    run: str = "made",
    task: str = "all",
) -> pl.DataFrame:
    """The steps of a run at `tau`, as trace format 1 has them.

    `shown`: p and q are recorded; `scored`: also q of bonus and plain tokens; `ms`: (of one drafted token, of a
    verification), which makes draft_ms, verify_ms and step_ms.
    """
    r, length = world.right.shape
    begin = np.arange(r + 1) * length
    first, n_a = walk(world.right.ravel(), begin, tau)
    request = first // length
    size = np.diff(np.append(first, world.right.size))
    place = first[:, None] + np.arange(tau)
    gamma = world.gamma.ravel()[np.minimum(place, world.right.size - 1)]
    last = world.gamma.ravel()[np.minimum(first + n_a, world.right.size - 1)]
    whole = size == n_a + 1
    known = shown & whole & ((n_a < tau) | scored)
    counts = np.bincount(request, minlength=r)
    columns: dict[str, object] = {
        "run_id": [run] * len(first),
        "request_id": [f"{run}-{i:06}" for i in request],
        "step": np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts),
        "draft_token_ids": _lists(np.broadcast_to(np.arange(tau), place.shape), pl.Int64()),
        "num_accepted": n_a,
        "output_token_ids": pl.Series([list(range(int(n))) for n in size], dtype=pl.List(pl.Int64)),
        "batch_size": [batch] * len(first),
    }
    if shown:
        columns["draft_probs"] = _lists(0.5 * gamma, pl.Float64())
        columns["target_probs"] = _lists(np.full(place.shape, 0.5), pl.Float64())
        columns["last_target_prob"] = pl.Series(np.full(len(first), 0.5)).set(pl.Series(~known), None)
        columns["last_draft_prob"] = pl.Series(0.5 * last).set(pl.Series(~known), None)
    if ms is not None:
        columns["draft_ms"] = [ms[0] * tau] * len(first)
        columns["verify_ms"] = [ms[1]] * len(first)
        columns["step_ms"] = [ms[0] * tau + ms[1]] * len(first)
    frame = conform(pl.DataFrame(columns), "step")
    return frame.with_columns(line=pl.int_range(1, pl.len() + 1), tags=pl.lit(f'{{"task":"{task}"}}'))


def _lists(values: npt.NDArray[np.generic], inner: pl.DataType) -> pl.Series:
    if not values.shape[1]:
        return pl.Series([[]] * len(values), dtype=pl.List(inner))
    return pl.Series(values.tolist(), dtype=pl.List(inner))


def derived(steps: pl.DataFrame) -> pl.DataFrame:
    """Steps as the audit has them: with hash and what follows from the lists."""
    stop = pl.lit(None, pl.List(pl.Int64)).alias("stop_token_ids")
    hashed = steps.with_columns(stop, hash=pl.struct("run_id", "request_id").hash(seed=0))
    return derive(hashed)
