"""Slots: the tested positions of a scope, with the token that each emitted.

A slot emits its drafted token where that is accepted, the recovered token where it is rejected. What a step appended
ends the slots that statistics of the emitted token may look at: a stop id or max_tokens is a stopping rule, which a
martingale allows, but a token that was cut away was never seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from sdtrace.schema.arrays import Flags, Floats, Ints
from sdtrace.verify.scope import Scope

#: Verified positions of a piece: few enough for the processor's cache, where sums are twice as fast, and as many as that
#: allows, because threads wait for each other at every call.
PIECE = 98_304


@dataclass(frozen=True)
class Slots:
    """k slots in order. `at`: their index among the verified positions; `row`, `place`: step and position; `later`: not
    the first of its step; `p`, `q` at the drafted token; `p_y`, `q_y` at the emitted one, NaN where not recorded; `seen`: it
    was emitted and recorded.
    """

    at: Ints
    row: Ints
    place: Ints
    later: Flags
    accepted: Flags
    p: Floats
    q: Floats
    p_y: Floats
    q_y: Floats
    seen: Flags


@dataclass(frozen=True)
class _Steps:
    """What slots need of n steps and m positions. `inside` (m): a slot; `accepted` (m): its draft was; `p_last`, `q_last` (n):
    at the last appended token; `kept` (m): the emitted token may be looked at, None where all may."""

    inside: Flags
    accepted: Flags
    p_last: Floats
    q_last: Floats
    kept: Flags | None


def slots(scope: Scope) -> Slots:
    """All slots of a scope."""
    return next(pieces(scope, max(len(scope.pos.row), 1)))


def pieces(scope: Scope, size: int = PIECE) -> Iterator[Slots]:
    """Slots of requests whose uniforms are their own: those that share a user seed repeat each other lawfully.

    An engine that clips num_accepted at a cut hides that the last kept token was an accepted one: it is counted as such. What was
    decided behind the last kept token is not recorded then, and the statistics stop there.
    Pieces hold whole steps and about `size` verified positions; there is at least one.
    """
    pos, facts = scope.pos, _steps(scope)
    ends = np.cumsum(pos.count)
    wanted = np.arange(size, len(pos.row), size)
    cuts = np.unique(np.concatenate(([0], np.searchsorted(ends, wanted, side="right"), [len(ends)])))
    for begin, end in pairwise(cuts):
        first, last = ends[begin] - pos.count[begin], ends[end - 1]
        yield _piece(scope, facts, slice(first, last))
    if len(cuts) < 2:
        yield _piece(scope, facts, slice(0, 0))


def _piece(scope: Scope, facts: _Steps, part: slice) -> Slots:
    pos = scope.pos
    at = np.flatnonzero(facts.inside[part]) + part.start
    row, place, accepted = pos.row[at], pos.position[at], facts.accepted[at]
    p, q = pos.p[at], pos.q[at]
    p_y, q_y = p.copy(), q.copy()
    rejected = np.flatnonzero(~accepted)
    owner = row[rejected]
    p_y[rejected], q_y[rejected] = facts.p_last[owner], facts.q_last[owner]
    seen = np.isfinite(p_y) & np.isfinite(q_y)
    if facts.kept is not None:
        seen &= facts.kept[at]
    return Slots(at, row, place, place > 0, accepted, p, q, p_y, q_y, seen)


def _steps(scope: Scope) -> _Steps:
    pos, steps, count = scope.pos, scope.steps, scope.pos.count
    n_a, last = steps["n_a"].to_numpy(), steps["last_tested"].to_numpy()
    clipped = (n_a >= 0) & (n_a < count) & (last < n_a)
    limit = steps["appended"].fill_null(2**40).to_numpy()
    behind = clipped & (limit <= n_a)
    ends, clipped = np.where(behind, last, np.minimum(n_a, count - 1)), clipped & ~behind
    if not scope.absent("seed"):
        ends = np.where(_own_uniforms(steps), ends, -1)
    if scope.run.mask_unknown:
        ends = np.where(steps["temperature"].is_null().to_numpy(), -1, ends)
    p_last, q_last = (steps[name].fill_null(np.nan).to_numpy() for name in ("last_target_prob", "last_draft_prob"))
    if scope.law.residual != "ratio" or scope.absent("draft_probs"):
        q_last = np.where(np.isnan(p_last), np.nan, 0.0)
    rejects = (ends >= 0) & (ends == n_a) & ~clipped
    known = np.isfinite(p_last) & np.isfinite(q_last)
    shown = _shown(scope, rejects, known, n_a < limit) & (not hides_ends(scope))
    inside, accepted, kept = pos.first(ends + 1), pos.by_count, None
    if len(pos.token) and pos.token.min() < 0:
        inside = inside & (pos.token >= 0)
    if clipped.any():
        accepted = accepted | pos.spread(clipped)
    if not (shown.all() and (limit > ends).all()):
        kept = pos.first(np.where(shown, limit, 0))
    return _Steps(inside, accepted, p_last, q_last, kept)


def _own_uniforms(steps: pl.DataFrame) -> Flags:
    owners = steps.select("hash", "seed").drop_nulls().unique().group_by("seed").len().filter(pl.col("len") > 1)
    shared = steps["seed"].is_in(owners["seed"].implode()).fill_null(value=False)
    return ~shared.to_numpy()


#: Of tokens that end answers by an unknown stop id, the share that may differ from each other.
_DIFFER = 0.5


def hides_ends(scope: Scope) -> bool:
    """Whether the token that ended an answer is left out of the record: then which tokens are shown depends on what they are.

    Such an answer ends inside a block, and not with a stop id; where those are not known, not with the same token as others.
    """
    steps = scope.steps
    if scope.absent("finish_reason") or scope.absent("output_token_ids"):
        return False
    cut = pl.col("is_last") & (pl.col("finish_reason") == "stop") & (pl.col("appended") <= pl.col("n_a"))
    ends = steps.filter(cut).select("stop_token_ids", last=pl.col("output_token_ids").list.last())
    named = ends.filter(pl.col("stop_token_ids").is_not_null())
    if not named.select(pl.col("stop_token_ids").list.contains(pl.col("last")).fill_null(value=False).all()).item():
        return True
    unnamed = ends.filter(pl.col("stop_token_ids").is_null())["last"]
    return len(unnamed) > 1 and unnamed.n_unique() > _DIFFER * len(unnamed)


def _shown(scope: Scope, rejects: Flags, known: Flags, emitted: Flags) -> Flags:
    """Steps whose emitted tokens may be looked at (n entries): all, where every rejection shows its token.

    Where some do not, whole steps that show their last token are taken, if showing it does not depend on the outcome.
    """
    if known[rejects & emitted].all():
        return np.ones(len(known), dtype=bool)
    steps = scope.steps
    n_a = steps["n_a"].to_numpy()
    whole = (n_a >= 0) & emitted
    shown = steps["last_target_prob"].is_not_null().to_numpy()
    shares = [float(shown[whole & part].mean()) for part in (n_a < scope.pos.count, n_a == scope.pos.count)
              if (whole & part).any()]  # fmt: skip
    told = known | ~shown | ~emitted
    if len(shares) < 2 or abs(shares[0] - shares[1]) > 0.02 or not told[rejects].all():
        return np.zeros(len(known), dtype=bool)
    return np.asarray(shown & whole)
