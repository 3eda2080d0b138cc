"""Texts whose drafts are right or wrong by a known process, recorded at any tau. SYNTHETIC.

The text comes first: token t of request i carries gamma = P(its draft is right), drawn from a process that does not know
tau; then one coin a token says whether the draft is right. A drafter that sees only the prefix (an independent draft
model, an n-gram table) is of this kind, by the reverse calibration of the ratio law.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from sdtrace.schema.keys import keyed
from sdtrace.schema.run import run_of
from sdtrace.schema.trace import conform
from sdtrace.tally.timings import timings
from sdtrace.tuning.curve import Curve, Point
from sdtrace.tuning.path.step_replay import walk
from sdtrace.tuning.path.token_path import text
from sdtrace.tuning.price import Times
from sdtrace.tuning.sample import Traffic, bucket
from sdtrace.verify.laws import LAWS
from sdtrace.verify.positions import derive, positions
from sdtrace.verify.scope import Scope

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class World:
    """`gamma` (R, L) and `right` (R, L) at depth 0; deeper in a draft a token's chance is gamma * decay^depth.

    One draw a token (`luck`) decides at every depth, so that a decaying drafter only loses tokens by depth.
    """

    gamma: Floats
    luck: Floats
    decay: float = 1.0

    @property
    def right(self) -> Flags:
        """Drafted right at depth 0."""
        return np.asarray(self.luck < self.gamma)

    def walk(self, tau: int | npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """First token and accepted drafts of every step."""
        r, length = self.gamma.shape
        if self.decay == 1.0:
            return walk(self.right.ravel(), np.arange(r + 1) * length, tau)
        assert isinstance(tau, int)
        at, found, alive = np.zeros(r, np.int64), [], np.arange(r)
        while len(alive):
            n, going = np.zeros(len(alive), np.int64), np.ones(len(alive), dtype=bool)
            for j in range(tau):
                t = np.minimum(at[alive] + j, length - 1)
                chance = self.gamma[alive, t] * self.decay**j
                going = going & (at[alive] + j < length) & (self.luck[alive, t] < chance)
                n += going
            found.append((alive * length + at[alive], n))
            at[alive] += n + 1
            alive = alive[at[alive] < length]
        first, n_a = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.argsort(first)
        return first[order], n_a[order]

    def truth(self, tau: int) -> float:
        """Tokens per step of a run at `tau`."""
        return self.gamma.size / len(self.walk(tau)[0])


def coins(gamma: Floats, rng: np.random.Generator) -> World:
    """One draw a token."""
    return World(gamma, rng.random(gamma.shape))


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
    tau: int | npt.NDArray[np.int64],
    *,
    shown: bool = True,
    scored: bool = False,
    ms: tuple[float, float] | None = None,
    batch: int | npt.NDArray[np.int64] = 1,
    run: str = "made",
    task: str = "all",
) -> pl.DataFrame:
    """The steps of a run at `tau`, as trace format 1 has them; an array (R * L) gives the tau of a step by its first token.

    `shown`: p and q are recorded; `scored`: also q of bonus and plain tokens; `ms`: (of one drafted token, of a
    verification), which makes draft_ms, verify_ms and step_ms; `batch`: of all steps, or by request (R).
    """
    length, size = world.gamma.shape[1], world.gamma.size
    first, n_a = world.walk(tau)
    drafted = np.full(len(first), tau) if isinstance(tau, int) else tau[first]
    request, row = first // length, np.repeat(np.arange(len(first)), drafted)
    place = np.arange(len(row)) - np.repeat(np.cumsum(drafted) - drafted, drafted)
    gamma = world.gamma.ravel()[np.minimum(first[row] + place, size - 1)] * world.decay**place
    last = world.gamma.ravel()[np.minimum(first + n_a, size - 1)] * world.decay**n_a
    emitted = np.diff(np.append(first, size))
    known = shown & (emitted == n_a + 1) & ((n_a < drafted) | scored)
    counts = np.bincount(request)
    columns: dict[str, object] = {
        "run_id": [run] * len(first),
        "request_id": pl.Series(request).cast(pl.String),
        "step": np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts),
        "draft_token_ids": _lists(place, drafted),
        "num_accepted": n_a,
        "output_token_ids": _lists(np.zeros(size, np.int64), emitted),
        "batch_size": batch[request] if isinstance(batch, np.ndarray) else [batch] * len(first),
    }
    if shown:
        wrong = place == n_a[row]  # what was rejected is likelier to the drafter, as the ratio law has it
        columns["draft_probs"] = _lists(np.where(wrong, 0.5, 0.5 * gamma), drafted)
        columns["target_probs"] = _lists(np.where(wrong, 0.2, 0.5), drafted)
        columns["last_target_prob"] = pl.Series(np.where(known, 0.5, np.nan)).fill_nan(None)
        columns["last_draft_prob"] = pl.Series(np.where(known, 0.5 * last, np.nan)).fill_nan(None)
    if ms is not None:
        columns["draft_ms"] = ms[0] * drafted
        columns["verify_ms"] = [ms[1]] * len(first)
        columns["step_ms"] = ms[0] * drafted + ms[1]
    frame = conform(pl.DataFrame(columns), "step")
    return frame.with_columns(line=pl.int_range(1, pl.len() + 1), tags=pl.lit(f'{{"task":"{task}"}}'))


def traffic(steps: pl.DataFrame, *, law: str = "ratio", **run: object) -> Traffic:
    """The run of these steps, as `tune` is handed it; the drafter sees the prefix only unless told otherwise."""
    mine = derived(steps).with_columns(law=pl.lit(law))
    declared = run_of({"method": "draft_model"} | run)
    made, scope = text(mine), Scope("made.jsonl", declared, LAWS[law], "declared", positions(mine))
    cost = timings([scope]).frame("cost")
    times = Times(cost, cost.clear())
    buckets = made.steps.select(bucket()).to_series().to_numpy()
    return Traffic(str(steps["run_id"][0]), declared, [law], made, buckets, times, steps.height)


def _lists(values: npt.NDArray[np.generic], counts: npt.NDArray[np.int64]) -> pl.Series:
    """Flat values cut into lists of those lengths."""
    offsets = pa.array(np.append(0, np.cumsum(counts)))
    return pl.Series(pl.from_arrow(pa.LargeListArray.from_arrays(offsets, pa.array(values))))


def derived(steps: pl.DataFrame) -> pl.DataFrame:
    """Steps as the audit has them: with hash and what follows from the lists."""
    stop = pl.lit(None, pl.List(pl.Int64)).alias("stop_token_ids")
    return derive(keyed(steps.with_columns(stop)))


def at(found: Curve, tau: int) -> Point:
    point = found.at(tau)
    assert point is not None
    return point
