"""Slots: the tested positions of a scope, with the token that each emitted.

A slot emits its drafted token where that is accepted, the recovered token where it is rejected. What a step appended
ends the slots that statistics of the emitted token may look at: a stop id or max_tokens is a stopping rule, which a
martingale allows, but a token that was cut away was never seen.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.scope import Scope

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Slots:
    """k slots in order. `at`: their index among the verified positions; `later`: not the first of its step;
    `p`, `q` at the drafted token; `p_y`, `q_y` at the emitted one, NaN where not recorded; `seen`: it was emitted and recorded.
    """

    at: Ints
    later: Flags
    accepted: Flags
    p: Floats
    q: Floats
    p_y: Floats
    q_y: Floats
    seen: Flags


def slots(scope: Scope) -> Slots:
    """Slots of requests whose uniforms are their own: those that share a user seed repeat each other lawfully.

    An engine that clips num_accepted at a cut hides that the last kept token was an accepted one: it is counted as such.
    """
    pos, steps = scope.pos, scope.steps
    n_a, last, count = steps["n_a"].to_numpy(), steps["last_tested"].to_numpy(), pos.count
    clipped = (n_a >= 0) & (n_a < count) & (last < n_a)
    ends = np.where(_own_uniforms(steps), np.minimum(n_a, count - 1), -1)
    inside = pos.position <= np.repeat(ends, count)
    if len(pos.token) and pos.token.min() < 0:
        inside &= pos.token >= 0
    at = np.flatnonzero(inside)
    row = pos.row[at]
    place = pos.position[at]
    accepted = (place < n_a[row]) | clipped[row]
    p, q = pos.p[at], pos.q[at]
    p_y, q_y = p.copy(), q.copy()
    rejected = np.flatnonzero(~accepted)
    p_last, q_last = (
        steps[name].fill_null(np.nan).to_numpy().astype(np.float64) for name in ("last_target_prob", "last_draft_prob")
    )
    if scope.law.residual != "ratio" or scope.absent("draft_probs"):
        q_last = np.where(np.isnan(p_last), np.nan, 0.0)
    p_y[rejected], q_y[rejected] = p_last[row[rejected]], q_last[row[rejected]]
    limit = steps["appended"].fill_null(2**40).to_numpy()
    seen = place < limit[row]
    seen &= _kept(scope, row, rejected, np.isfinite(p_y) & np.isfinite(q_y), seen)
    return Slots(at, place > 0, accepted, p, q, p_y, q_y, seen)


def _own_uniforms(steps: pl.DataFrame) -> Flags:
    if steps["seed"].null_count() == steps.height:
        return np.ones(steps.height, dtype=bool)
    owners = steps.select("hash", "seed").drop_nulls().unique().group_by("seed").len().filter(pl.col("len") > 1)
    shared = steps["seed"].is_in(owners["seed"].implode()).fill_null(value=False)
    return ~shared.to_numpy()


def _kept(scope: Scope, row: Ints, rejected: Ints, known: Flags, emitted: Flags) -> Flags:
    """Slots whose emitted token may be looked at: all, where every rejection shows its token.

    Where some do not, whole steps that show their last token are taken, if showing it does not depend on the outcome.
    """
    if known[rejected][emitted[rejected]].all():
        return known
    steps = scope.steps
    n_a = steps["n_a"].to_numpy()
    whole = (n_a >= 0) & (steps["appended"].fill_null(2**40).to_numpy() > n_a)
    shown = steps["last_target_prob"].is_not_null().to_numpy()
    shares = [float(shown[whole & part].mean()) for part in (n_a < scope.pos.count, n_a == scope.pos.count)
              if (whole & part).any()]  # fmt: skip
    told = known[rejected] | ~shown[row[rejected]] | ~emitted[rejected]
    if len(shares) < 2 or abs(shares[0] - shares[1]) > 0.02 or not told.all():
        return np.zeros(len(row), dtype=bool)
    return known & (shown & whole)[row]
