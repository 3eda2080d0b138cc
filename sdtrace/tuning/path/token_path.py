"""The recorded text of whole requests as flat arrays: for every emitted token, whether the drafter had it right.

By losslessness the text is a valid sample under any tau, so other draft lengths can be tried on it (text-path replay).
R requests, S steps, N emitted tokens; requests and steps stand in order.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.schema.arrays import Floats, Ints
from sdtrace.verify.ragged import Ragged, ragged

Marks = npt.NDArray[np.int8]

#: A request longer than this is cut at a step: what is walked side by side stays short.
LONGEST = 4096

#: Laws whose acceptance of a sampled draft, given the emitted token y, is a coin of min(1, q(y)/p(y)).
REVERSIBLE = ("ratio",)


@dataclass(frozen=True)
class Text:
    """Whole requests of one run, in pieces of at most LONGEST tokens (a piece is a request unless it is very long).

    Tokens (N): `mark` 1 = drafted right, 0 = drafted wrong, -1 = not tested (bonus, plain, beyond a cut);
    `gamma` = P(drafted right | token), NaN where not known; `depth` = position in the draft at which it stood.
    Steps (S): `first` token, `tau` drafted, `verified`, `n_a` accepted, `batch` size (0 = not recorded), and the frame
    `steps` they came from. Pieces: `begin` (P+1 offsets into tokens), `request` (P): the request that each belongs to;
    `sessions` (R): which of them go together, None where each is one of its own.
    """

    mark: Marks
    gamma: Floats
    depth: Ints
    first: Ints
    tau: Ints
    verified: Ints
    n_a: Ints
    batch: Ints
    begin: Ints
    request: Ints
    steps: pl.DataFrame
    sessions: Ints | None = None

    @property
    def tokens(self) -> int:
        """N."""
        return len(self.mark)

    @property
    def requests(self) -> int:
        """R."""
        return int(self.request[-1]) + 1 if len(self.request) else 0

    @cached_property
    def session(self) -> Ints:
        """The session (numbered from 0) of each request (R): the clusters of every interval."""
        return np.arange(self.requests, dtype=np.int64) if self.sessions is None else self.sessions

    @cached_property
    def step_of(self) -> Ints:
        """The step (S) that emitted each token (N)."""
        sizes = np.diff(np.append(self.first, self.tokens))
        return np.repeat(np.arange(len(self.first), dtype=np.int64), sizes)

    @cached_property
    def request_of(self) -> Ints:
        """The request of each token (N)."""
        return np.repeat(self.request, np.diff(self.begin))

    @cached_property
    def request_of_step(self) -> Ints:
        """The request of each step (S)."""
        return self.request_of[self.first]


#: What the arrays are made of; everything else of a step stays behind.
COLUMNS = (
    "hash", "request_id", "step", "law", "tau", "verified", "n_a", "appended", "last_tested", "target_probs", "draft_probs",
    "last_target_prob", "last_draft_prob", "batch_size", "step_ms", "draft_ms", "verify_ms", "draft_confidence", "tags",
    "at", "arrived_at",
)  # fmt: skip


def text(steps: pl.DataFrame) -> Text:
    """The text of derived steps (see `positions.derive`; with `hash` and `law`), in any order.

    The token of prefill is nobody's draft and is left out; so are steps that do not tell what they appended.
    """
    prefill = (pl.col("tau") == 0) & (pl.col("step") == 0) & pl.col("last_draft_prob").is_null()
    known = pl.coalesce("appended", pl.col("n_a") + 1)
    steps = steps.select(name for name in COLUMNS if name in steps.columns)
    steps = steps.with_columns(emitted=known).filter(~prefill & (pl.col("emitted") > 0)).sort("hash", "step")
    size = steps["emitted"].to_numpy().astype(np.int64)
    first = np.cumsum(size) - size
    row = np.repeat(np.arange(len(size), dtype=np.int64), size)
    place = np.arange(int(size.sum()), dtype=np.int64) - first[row]
    n_a, verified = (steps[name].to_numpy().astype(np.int64) for name in ("n_a", "verified"))
    right = (place < n_a[row]) & (place < verified[row])
    wrong = (place == n_a[row]) & (place < verified[row]) & (place <= steps["last_tested"].to_numpy()[row])
    mark = np.where(right, 1, np.where(wrong, 0, -1)).astype(np.int8)
    begin, request = _pieces(steps["hash"], first, int(size.sum()))
    return Text(
        mark,
        _gamma(steps, row, place, n_a),
        place,
        first,
        steps["tau"].to_numpy().astype(np.int64),
        verified,
        n_a,
        steps["batch_size"].fill_null(0).to_numpy().astype(np.int64),
        begin,
        request,
        steps,
    )


def _gamma(steps: pl.DataFrame, row: Ints, place: Ints, n_a: Ints) -> Floats:
    """min(1, q(y)/p(y)) of every emitted token whose p and q are recorded (reverse calibration of the ratio law)."""
    reversible = steps["law"].is_in(REVERSIBLE)
    if not reversible.any():
        return np.full(len(row), np.nan)
    drafted = place < n_a[row]
    p, q = (_listed(steps, name, row, place) for name in ("target_probs", "draft_probs"))
    last_p, last_q = (
        steps[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()[row]
        for name in ("last_target_prob", "last_draft_prob")
    )
    at_last = place == n_a[row]
    p = np.where(drafted, p, np.where(at_last, last_p, np.nan))
    q = np.where(drafted, q, np.where(at_last, last_q, np.nan))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((p > 0) & reversible.to_numpy()[row], np.minimum(1.0, q / p), np.nan)


def _listed(steps: pl.DataFrame, name: str, row: Ints, place: Ints) -> Floats:
    lists: Ragged = ragged(steps[name])
    return lists.at(row, place, np.nan).astype(np.float64, copy=False)


def _pieces(hashes: pl.Series, first: Ints, tokens: int) -> tuple[Ints, Ints]:
    """Offsets of the pieces, and the request of each. A new piece begins with every request, and inside a long one."""
    if not len(first):
        return np.zeros(1, np.int64), np.zeros(0, np.int64)
    new = np.append(True, hashes.to_numpy()[1:] != hashes.to_numpy()[:-1])
    request = np.cumsum(new) - 1
    inside = first - first[new][request]
    section = inside // LONGEST
    cut = new | np.append(False, section[1:] != section[:-1])
    return np.append(first[cut], tokens), request[cut]
