"""Tokens per step at every tau, with what each figure rests on.

- exact: recorded at that tau (and tau 0, which appends one token a step).
- replay: the recorded decisions, walked again at a smaller tau; tokens that were not tested are filled in.
- model: the forward recursion from gamma, or a fill that explored longer drafts identify.
- bounds: not identified; the ends are what any filling could give.

A drafter that sees only the prefix gives one decision a token, whatever the depth at which it is drafted. One that decays
with depth (EAGLE, MTP, Medusa, parallel blocks) does not. Where p and q are recorded its decay is measured (`decay.py`), for
shorter drafts; otherwise all that is used is that a token drafted right stays right at smaller depth, and one drafted wrong
stays wrong at greater depth.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdtrace.schema.arrays import Floats, Ints
from sdtrace.schema.run import Run
from sdtrace.tuning.path import survival as km
from sdtrace.tuning.path.decay import Decay, decay
from sdtrace.tuning.path.fill import by_request, per_step, untested
from sdtrace.tuning.path.step_replay import Lanes, lanes, starts
from sdtrace.tuning.path.token_path import Text
from sdtrace.verify.laws import LAWS, where

TAUS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16)
#: Drafters that see the prefix and nothing else: the decision for a token does not depend on the depth.
INVARIANT = frozenset({"draft_model", "ngram", "suffix", "lookup"})
#: ... of which these draft nothing where they find nothing.
ABSTAINS = frozenset({"ngram", "suffix", "lookup"})
#: Laws that decide token by token and keep the text a sample of the target, whatever tau.
REPLAYABLE = where(lambda law: law.calibrated or law.greedy)
#: Share of the steps that must have the same length for its figure to be the recorded one.
SAME = 0.99


@dataclass(frozen=True)
class Point:
    """One tau of a curve. `steps` (R, G): those it takes for the recorded tokens, by request and batch bucket.

    `at_most` (R, G): the same where there is no figure, but a least that tokens per step are taken to reach.
    """

    tau: int
    basis: str
    identified: bool
    why: str | None
    tokens_per_step: float | None
    low: float | None
    high: float | None
    steps: Floats | None = None
    at_most: Floats | None = None


@dataclass(frozen=True)
class Curve:
    """`tokens`, `begun` (R, G): emitted tokens and recorded steps by request and batch bucket; `points` by tau; `current`: the
    recorded tau."""

    tokens: Floats
    begun: Floats
    points: list[Point]
    current: int | None
    stopping: float | None

    def at(self, tau: int | None) -> Point | None:
        """The point of a tau."""
        return next((p for p in self.points if p.tau == tau), None)


def recorded_tau(text: Text) -> int | None:
    """The usual draft length; None where nothing was drafted."""
    drafted = text.verified[text.verified > 0]
    return int(np.bincount(drafted).argmax()) if len(drafted) else None


def curve(text: Text, run: Run, laws: Sequence[str], buckets: Ints, taus: Sequence[int] = TAUS) -> Curve:
    """The curve of one run; `buckets` (S) numbers the batch bucket of each step, `laws` verified its steps."""
    current = recorded_tau(text)
    cells = _Cells(text, buckets)
    asked = sorted({*taus, *((current,) if current else ())})
    stopping = km.stopping(text)
    refusal = _refusal(text, run, laws)
    lane = lanes(text.begin)
    points = []
    depths = _depths(text, run, lane, current, refusal, stopping)
    for tau in asked:
        if tau == 0 or (tau == current and _constant(text, tau)):
            points.append(_exact(text, cells, tau))
        elif refusal is not None:
            points.append(Point(tau, "bounds", False, refusal, None, 1.0, tau + 1.0))
        elif run.method in INVARIANT:
            abstains = run.method in ABSTAINS
            points.append(_invariant(text, cells, lane, tau, current or 0, stopping, abstains))
        elif depths is not None and tau < (current or 0):
            points.append(_corrected(text, cells, lane, tau, depths))
        else:
            points.append(_decaying(text, cells, lane, tau, current or 0, run.method))
    return Curve(cells.tokens, cells.begun, points, current, stopping)


class _Cells:
    """Sums by request and batch bucket, (R, G)."""

    def __init__(self, text: Text, buckets: Ints) -> None:
        self.shape = (text.requests, int(buckets.max(initial=0)) + 1)
        self.cell = text.request_of * self.shape[1] + (buckets[text.step_of] if len(buckets) else 0)
        self.tokens = self.add(np.ones(text.tokens))
        self.begun = self.add(np.isin(np.arange(text.tokens), text.first).astype(np.float64))

    def add(self, weight: Floats) -> Floats:
        """Sum a weight over tokens."""
        size = self.shape[0] * self.shape[1]
        return np.bincount(self.cell, weights=weight, minlength=size).astype(np.float64).reshape(self.shape)


def _constant(text: Text, tau: int) -> bool:
    """Every step drafts `tau`, but for those near the end of a request, which max_tokens shortens in some engines."""
    end = np.append(np.flatnonzero(np.diff(text.request_of)) + 1, text.tokens)[text.request_of_step]
    inside = end - text.first > tau + 1
    return bool(inside.any() and np.mean((text.verified == tau)[inside]) >= SAME)


def _exact(text: Text, cells: _Cells, tau: int) -> Point:
    steps = cells.tokens if tau == 0 else cells.begun
    value, half = per_step(text, cells.tokens.sum(axis=1), steps.sum(axis=1))
    low, high = _ends(value, half) if tau else (1.0, 1.0)
    return Point(tau, "exact", True, None, value, low, high, steps)


def _refusal(text: Text, run: Run, laws: Sequence[str]) -> str | None:
    """Why no other tau can be tried on this text."""
    strange = [law for law in laws if law not in REPLAYABLE]
    if any(law in LAWS and LAWS[law].decides == "block" for law in strange):
        return "block verification decides on whole blocks: record some steps at this tau"
    if strange:
        return f"the {strange[0]} rule does not keep the text a sample of the target: at another tau it is another text"
    if not (text.mark >= 0).any() and np.isnan(text.gamma).all():
        return (
            "nothing was drafted: score the text with a drafter (last_target_prob and last_draft_prob of plain steps)"
        )
    return None


def _invariant(
    text: Text, cells: _Cells, lane: Lanes, tau: int, current: int, stopping: float | None, abstains: bool
) -> Point:
    """A decision a token. Up to the recorded tau the decisions count, beyond it gamma does, where it is known.

    Where a lookup `abstains`, its untested token is taken for one that it would not have had.
    """
    marks = np.where(text.mark >= 0, text.mark, np.nan)
    chance = np.where(np.isnan(marks), text.gamma, marks) if tau <= current else text.gamma
    chance = np.where(np.isnan(chance), marks, chance)
    missing = np.isnan(chance)
    informative = stopping is not None and stopping > km.INFORMATIVE
    fill = untested(text, current, missing, informative, tau)
    silent = (text.tau[text.step_of] == 0) & abstains
    filled = {end: np.where(silent & (end == "point"), 0.0, value) for end, value in fill.ends.items()}
    steps = {end: cells.add(starts(lane, np.where(missing, value, chance), tau)) for end, value in filled.items()}
    total = cells.tokens.sum(axis=1)
    ends = {end: per_step(text, total, s.sum(axis=1)) for end, s in steps.items()}
    value, half = ends["point"]
    low, high = _less(*ends["low"]), _more(*ends["high"])
    if half is None and (tau <= current or fill.explored) and not informative:
        low = high = None  # too few requests for an interval
    if not informative and value is not None and half is not None and (tau <= current or fill.explored):
        # what untested tokens would have been and which requests came are off on their own
        off = [abs(value - (ends[end][0] or value)) for end in ("low", "high")]
        low, high = _less(value, math.hypot(half, off[0])), _more(value, math.hypot(half, off[1]))
    if informative and missing.any():
        why = f"drafts were ended where they looked doubtful ({stopping:.0f} standard errors): log every drafted token's test"
        return Point(tau, "bounds", False, why, None, low, high, steps["point"])
    if tau <= current:
        return Point(tau, "replay", True, None, value, low, high, steps["point"])
    if not missing.any() or fill.explored:
        return Point(tau, "model", True, None, value, low, high, steps["point"])
    why = f"tokens after {current} accepted drafts were never tested: let 1-2% of the steps draft {tau}, or log q of bonus tokens"
    return Point(tau, "bounds", False, why, None, low, high, steps["point"])


def _decaying(text: Text, cells: _Cells, lane: Lanes, tau: int, current: int, method: Any) -> Point:
    """Only what monotone decay implies: right drafts stay right closer to the start, wrong ones stay wrong further away."""
    why = f"the drafter ({method or 'method not recorded'}) may decay with depth: record some steps at this tau"
    if method is None:
        why = "the run does not say its method, so the drafter may decay with depth: write run.method"
    if tau > current:
        low, high = _survivors(text, cells, tau)
        return Point(tau, "bounds", False, why, None, low, high)
    depth, mark, at = np.arange(tau), text.mark[:, None], text.depth[:, None]
    least = (mark == 1) & (depth <= at)
    most = (mark != 0) | (depth < at)
    total = cells.tokens.sum(axis=1)
    begun = [cells.add(starts(lane, np.zeros(0), tau, ease.astype(np.float64))) for ease in (least, most)]
    ends = [per_step(text, total, one.sum(axis=1)) for one in begun]
    cut = _cut(text, cells, tau)
    fewest = begun[0] if cut is None or begun[0].sum() <= cut.sum() else cut
    return Point(tau, "bounds", False, why, None, _less(*ends[0]), _more(*ends[1]), at_most=fewest)


def _cut(text: Text, cells: _Cells, tau: int) -> Floats | None:
    """Steps (R, G) if the first `tau` positions of a draft were accepted as they are now; None where no step tells.

    A draft that ends sooner is followed by one that starts sooner, behind tokens that were drafted right: where ease lasts, it
    is accepted more often than that.
    """
    known = text.n_a >= 0
    gained = by_request(text.request_of_step, np.where(known, np.minimum(text.n_a, tau) + 1.0, 0.0), text.requests)
    if not gained.sum():
        return None
    whole = float(known.sum()) / float(gained.sum())
    told = by_request(text.request_of_step, known.astype(np.float64), text.requests)
    share = np.divide(told, gained, out=np.full(text.requests, whole), where=gained > 0)
    return np.asarray(cells.tokens * share[:, None])


def _depths(
    text: Text, run: Run, lane: Lanes, current: int | None, refusal: str | None, stopping: float | None
) -> Decay | None:
    """How the drafter decays, where that matters and can be told."""
    informative = stopping is not None and stopping > km.INFORMATIVE
    if run.method in INVARIANT or refusal is not None or informative or not current:
        return None
    return decay(text, lane, current)


def _corrected(text: Text, cells: _Cells, lane: Lanes, tau: int, depths: Decay) -> Point:
    steps = cells.add(starts(lane, depths.base, tau, depths.ease(tau)))
    value, half = float(cells.tokens.sum() / steps.sum()), depths.half(tau)
    low, high = max(value * float(np.exp(-half)), 1.0), value * float(np.exp(half))
    return Point(tau, "model", True, None, value, low, high, steps)


def _survivors(text: Text, cells: _Cells, tau: int) -> tuple[float | None, float | None]:
    """The bounds of survival with their sampling errors: of the recorded mean over requests, and Greenwood's of the last S."""
    told = km.of_text(text)
    low, high = km.bounds(told.alive, tau)
    half = per_step(
        text, cells.tokens.sum(axis=1), by_request(text.request_of_step, np.ones(len(text.first)), text.requests)
    )[1]
    extra = 1.96 * float(told.spread[-1]) * (high - low) if told.depth else 0.0
    return _less(low, half), _more(high, (half or 0.0) + (extra if np.isfinite(extra) else 0.0))


def _ends(value: float | None, half: float | None) -> tuple[float | None, float | None]:
    """The ends of the interval of a figure; None where requests are too few for one."""
    return (None, None) if half is None else (_less(value, half), _more(value, half))


def _less(value: float | None, half: float | None) -> float | None:
    return None if value is None else max(value - (half or 0.0), 1.0)


def _more(value: float | None, half: float | None) -> float | None:
    return None if value is None else value + (half or 0.0)
