"""Block verification (Sun et al. 2024): the longest prefix whose uniform stays under its own threshold.

    P_0 = 1; P_i = min(1, P_{i-1} p_i(x_i) / q_i(x_i)); S_i = sum_x (P_i p_{i+1}(x) - q_{i+1}(x))+
    h_i = S_i / (S_i + 1 - P_i) for i < tau, h_tau = P_tau; n_a = max{i : u_i <= h_i}

S_i needs whole rows. What is logged bounds it: min(P p, q) lies between P min(p, q) and min(p, q), so S_i lies between
P - overlap and P (1 - overlap); a one-hot draft gives it exactly, P (1 - p(x)). Decisions are judged by those bounds.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtrace.schema.arrays import Floats
from sdtrace.verify.band import AGREE, DISAGREE, ENGINE_ERROR, EXACT, UNDECIDABLE, in_range
from sdtrace.verify.law import Bands, Judged, Law
from sdtrace.verify.positions import Positions


def judge(pos: Positions, params: Mapping[str, Any], bands: Bands) -> Judged:
    """Every position from the last accepted one on: u <= h there, u > h behind it. No per-token expectation exists."""
    low, high = thresholds(pos, bands)
    u = np.where((pos.r >= 0) & (pos.r <= 1), pos.r, np.nan)
    kept = pos.position == pos.n_a - 1
    behind = (pos.position >= pos.n_a) & (pos.n_a >= 0)
    with np.errstate(invalid="ignore"):
        # a prefix whose P is 1 has h = 1 and is kept whatever was drawn
        wrong = np.where(kept, u > high, behind & ((u < low) | (np.isnan(u) & (low > 1 - 5 * ENGINE_ERROR))))
        right = np.where(kept, u <= low, behind & (u > high))
    decision = np.where(wrong, DISAGREE, np.where(right, AGREE, UNDECIDABLE)).astype(np.int8)
    ends = np.repeat(pos.steps["n_a"].to_numpy() != pos.steps["last_tested"].to_numpy(), pos.count)
    # an engine that clips num_accepted at a cut tells nothing about what it decided behind it
    tested = (kept | behind) & (pos.n_a >= 0) & ~ends
    known = tested & (pos.token >= 0)
    return Judged(np.where(known, decision, 0).astype(np.int8), tested, np.full(len(u), np.nan))


def thresholds(pos: Positions, bands: Bands) -> tuple[Floats, Floats]:
    """Bounds of h at every verified position (0-based position j is prefix length j + 1); NaN where unknown."""
    one_hot = np.repeat(pos.steps["draft_probs"].is_null().to_numpy(), pos.count)
    p_low, p_high = bands.p.low(pos.p), np.minimum(bands.p.high(pos.p), 1.0)
    q_low, q_high = (np.where(one_hot, 1.0, edge) for edge in (bands.q.low(pos.q), bands.q.high(pos.q)))
    sane = in_range(pos.p, bands.p) & in_range(pos.q, bands.q) & (pos.q > 0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        step_low = np.where(sane, p_low / q_high * (1 - ENGINE_ERROR), np.nan)
        step_high = np.where(sane, p_high / q_low * (1 + ENGINE_ERROR), np.nan)
    prefix_low, prefix_high = _running(pos, step_low), _running(pos, step_high)
    overlap = pos.column("overlap").astype(np.float64, copy=False)
    after = [_next(pos, values) for values in (p_low, p_high, q_low, q_high, overlap)]
    s_low, s_high = _residual(prefix_low, prefix_high, after, _next(pos, one_hot.astype(np.float64)) == 1.0, bands)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        h_low = np.where(s_low > 0, s_low / (s_low + 1 - prefix_low), 0.0)
        h_high = np.where(s_high > 0, s_high / (s_high + 1 - prefix_high), 0.0)
    # P = 1 gives S/S: 1, unless S may be 0
    h_high = np.where(prefix_high >= 1.0, 1.0, h_high)
    last = pos.position == np.repeat(pos.count, pos.count) - 1
    low = np.where(last, prefix_low, np.where(np.isnan(s_low), np.nan, h_low))
    high = np.where(last, prefix_high, np.where(np.isnan(s_high), np.nan, h_high))
    return low * (1 - 4 * ENGINE_ERROR), high * (1 + 4 * ENGINE_ERROR)


def reach(pos: Positions, bands: Bands) -> Floats:
    """Upper bound of P at the kept prefix of every step (n entries): 1 where nothing was kept, or where it is not known. A recovered
    token y has P p(y) > q(y)."""
    p_high, q_low = np.minimum(bands.p.high(pos.p), 1.0), bands.q.low(pos.q)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        high = _running(pos, np.nan_to_num(p_high / q_low * (1 + ENGINE_ERROR), nan=np.inf))
    n_a = pos.steps["n_a"].to_numpy()
    found, kept = np.ones(len(pos.count)), np.flatnonzero((n_a > 0) & (n_a <= pos.count))
    found[kept] = high[pos.start[kept] + n_a[kept] - 1]
    return found


def prefixes(pos: Positions) -> Floats:
    """P_i at every verified position as logged (0-based position j is prefix length j + 1); NaN where unknown."""
    one_hot = np.repeat(pos.steps["draft_probs"].is_null().to_numpy(), pos.count)
    q = np.where(one_hot, 1.0, pos.q)
    sane = (pos.p >= 0) & (pos.p <= 1) & (q > 0) & (q <= 1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _running(pos, np.where(sane, pos.p / q, np.nan))


def _running(pos: Positions, factor: Floats) -> Floats:
    """P_i along each step: the product of the factors, capped at 1 after every one. One pass a position of the draft."""
    out = np.full(len(factor), np.nan)
    before = np.ones(len(pos.count))
    for j in range(int(pos.count.max(initial=0))):
        rows = np.flatnonzero(pos.count > j)
        at = pos.start[rows] + j
        before[rows] = np.minimum(1.0, before[rows] * factor[at])
        out[at] = before[rows]
    return out


def _next(pos: Positions, values: Floats) -> Floats:
    """The value at the next position of the same step; NaN at the last."""
    moved = np.append(values[1:], np.nan)
    return np.where(pos.position + 1 < np.repeat(pos.count, pos.count), moved, np.nan)


def _residual(
    prefix_low: Floats, prefix_high: Floats, after: list[Floats], one_hot: npt.NDArray[np.bool_], bands: Bands
) -> tuple[Floats, Floats]:
    """Bounds of S from the next position: p and q of its drafted token, and the overlap where it is logged."""
    p_low, p_high, q_low, q_high, overlap = after
    # overlap is a probability too: it was rounded like p
    o_low = np.where(np.isnan(overlap), np.nan, bands.p.low(np.nan_to_num(overlap)))
    o_high = np.where(np.isnan(overlap), np.nan, bands.p.high(np.nan_to_num(overlap)))
    # sums over the vocabulary in float32 carry an error of their own
    error = 0.0 if bands.p == EXACT else 1e-5
    point_low = np.maximum(prefix_low * p_low - q_high, 0.0)
    low = np.fmax(point_low, prefix_low - np.minimum(o_high, 1.0)) - error
    high = prefix_high - np.minimum(prefix_low * p_low, q_low)
    high = np.fmin(high, prefix_high * (1 - o_low)) + error
    exact_low, exact_high = prefix_low * (1 - p_high), prefix_high * (1 - p_low)
    return np.where(one_hot, exact_low, np.maximum(low, 0.0)), np.where(one_hot, exact_high, high)


LAW = Law(
    name="block",
    says="the block ends after the longest prefix whose uniform is under its own threshold",
    lossless=True,
    draws=True,
    residual="block",
    judge=judge,
    draft="sampled",
    decides="block",
)
