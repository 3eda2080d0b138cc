"""Statistics of drafted, accepted and emitted tokens (manual pages SD201 to SD241)."""

import numpy as np
import numpy.typing as npt

from sdtrace.schema.arrays import Flags, Floats
from sdtrace.tally.evidence.by_step import BySteps
from sdtrace.tally.evidence.by_token import ByTokens
from sdtrace.tally.evidence.slots import Slots, hides_ends
from sdtrace.tally.evidence.sums import Half, Sums, part_of, tosses
from sdtrace.tally.evidence.weights import bent, reuse
from sdtrace.verify.band import Rounding
from sdtrace.verify.law import loose
from sdtrace.verify.scope import Scope

#: Where p/q is cut for a bet on it.
MOST = 4.0


def tokens(scope: Scope, here: Slots, sums: Sums, steps: BySteps, by_token: ByTokens) -> None:
    """Add every statistic of these slots that is valid for the scope's law; `steps` takes acceptances step by step, `by_token`
    tokens."""
    if scope.unshaped or not len(here.at):
        return
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if scope.law.residual == "ratio":
            _ratio(scope, here, sums, steps, by_token)
        elif scope.law.calibrated and _fixed_draft(scope):
            # of a draft tree only the accepted chain is recorded: the chance of a node is not, then
            chance = scope.judged.expected[here.at] if scope.law.name == "tree-coin" else here.p
            known = _probability(chance)
            open_ = tosses(chance, here.accepted, _half(chance, scope.bands.p))
            slots, late = int(np.count_nonzero(known)), int(np.count_nonzero(here.later & known))
            sums.tossed("SD201", open_, slots, here.later[open_.at], late)
            steps.add(here, open_)
            if scope.law.draft == "point-mass" and scope.law.name != "tree-coin":
                reuse(here.p, open_, here, sums)
        _target(scope, here, sums)


def whole(scope: Scope, sums: Sums, by_token: ByTokens) -> None:
    """Add what is no matter of slots: drafts of block verification, which verifies all whatever is kept of them, and the
    tokens that the target draws alone."""
    if scope.unshaped or not len(scope.pos.row):
        return
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if scope.law.decides == "block":
            pos, p_band, q_band = scope.pos, scope.bands.p, scope.bands.q
            raw = pos.p / pos.q
            half = _spread(pos.p, pos.q, raw, p_band, q_band)
            _drafts(scope, np.arange(len(pos.row)), np.minimum(raw, 1.0), half, sums, by_token)
            known = _probability(pos.p) & _probability(pos.q) & (pos.q > 0)
            _likelihood(pos.p, pos.q, raw, known & (pos.position == 0), scope, sums)
        if scope.law.calibrated and not (scope.absent("target_sq") or scope.absent("last_target_prob")):
            _alone(scope, sums, by_token)


def _likelihood(p: Floats, q: Floats, raw: Floats, use: Flags, scope: Scope, sums: Sums) -> None:
    """Row SD213: p/q at first drafted tokens, cut at MOST, minus 1, in units of MOST - 1; its mean is 0 at most if x ~ q."""
    at = np.flatnonzero(use)
    half = _width(p[at], q[at], raw[at], scope.bands.p, scope.bands.q)
    sums.bounded(
        "SD213", (np.minimum(raw[at], MOST) - 1.0) / (MOST - 1.0), float(np.minimum(half, MOST).sum()) / (MOST - 1.0)
    )


def _whole(which: Flags) -> Flags | slice:
    """All of an array where nothing is left out of it: a slice copies nothing."""
    return slice(None) if which.all() else which


def _fixed_draft(scope: Scope) -> bool:
    """Whether the drafted token is fixed before the target draws; match may couple a sampled draft with its own draw."""
    return scope.law.residual != "same" or scope.absent("draft_probs") or scope.run.draft_sampling == "argmax"


def _ratio(scope: Scope, here: Slots, sums: Sums, steps: BySteps, by_token: ByTokens) -> None:
    p_band, q_band = scope.bands.p, scope.bands.q
    known = _probability(here.p) & _probability(here.q) & (here.q > 0)
    raw = here.p / here.q
    use = _whole(known)
    beta = np.minimum(raw, 1.0) if isinstance(use, slice) else np.where(known, np.minimum(raw, 1.0), np.nan)
    half = _half_of(scope, here.p, here.q, raw, p_band, q_band)
    if scope.source == "candidate" and scope.run.draft_sampling == "sampled":
        _likelihood(here.p, here.q, raw, known & ~here.later, scope, sums)
    open_ = tosses(beta, here.accepted, half)
    slots, late = int(np.count_nonzero(known)), int(np.count_nonzero(here.later[use]))
    sums.tossed("SD201", open_, slots, here.later[open_.at], late)
    steps.add(here, open_)
    reuse(beta, open_, here, sums)
    if scope.absent("draft_probs"):
        return
    shown = known & here.seen & _probability(here.p_y) & _probability(here.q_y) & (here.p_y > 0)
    if not shown.any():
        return
    seen = _whole(shown)
    turned = here.q_y / here.p_y
    gamma = np.minimum(turned, 1.0)
    half_y = _half_of(scope, here.q_y, here.p_y, turned, q_band, p_band)
    open_ = tosses(gamma, here.accepted, half_y, None if isinstance(seen, slice) else shown)
    slots, late = int(np.count_nonzero(shown)), int(np.count_nonzero(here.later[seen]))
    q_y = here.q_y[open_.at]
    decade = (q_y < 0.1).astype(np.intp) + (q_y < 0.01) + (q_y < 0.001)
    sums.tossed("SD202", open_, slots, here.later[open_.at], late, decade)
    by_token.emitted(here, open_, q_y)
    _stops(scope, here, gamma, half_y, shown, sums)
    bent(scope, here, open_, slots, sums)
    both = _total(half, raw, beta, seen) + _total(half_y, turned, gamma, seen)
    sums.bounded("SD203", (gamma - beta)[seen], both)
    if not (isinstance(half, float) or isinstance(half_y, float)):  # as `_half_of` has them where rows are logged
        _rows(scope, here, sums, by_token, beta, half, gamma, half_y, shown)


def _stops(scope: Scope, here: Slots, gamma: Floats, half: Half, shown: Flags, sums: Sums) -> None:
    """Row SD202:stop: SD202 where a stop id was emitted, of whichever request: what is emitted may choose what is looked at."""
    if scope.absent("stop_token_ids"):
        return
    ids = scope.steps["stop_token_ids"].explode().drop_nulls().unique().to_numpy()
    at = np.flatnonzero(shown & np.isin(scope.pos.emitted[here.at], ids))
    sums.chances("SD202:stop", gamma[at], here.accepted[at], part_of(half, at))


def _half_of(
    scope: Scope, above: Floats, below: Floats, ratio: Floats, above_band: Rounding, below_band: Rounding
) -> Half:
    """`_spread`; as a share of the chance where only that is asked for."""
    if above_band.absolute or below_band.absolute or not (scope.absent("draft_sq") and scope.absent("overlap")):
        return _spread(above, below, ratio, above_band, below_band)
    return above_band.relative + below_band.relative + _FLOAT32


def _total(half: Half, ratio: Floats, chance: Floats, which: Flags | slice) -> float:
    """The sum of half widths of min(1, ratio); as `_spread` has it, a ratio that is safely above 1 has none."""
    if not isinstance(half, float):
        return float(half[which].sum())
    safe = np.count_nonzero(ratio[which] * (1.0 - half) > 1.0)
    return half * (float(chance[which].sum()) - safe)


def _rows(
    scope: Scope, here: Slots, sums: Sums, by_token: ByTokens, beta: Floats, half: Floats, gamma: Floats, half_y: Floats, seen: Flags,
) -> None:  # fmt: skip
    """Where sums over the vocabulary are logged: drafts and emitted tokens against what p and q say of themselves."""
    pos, p_band = scope.pos, scope.bands.p
    _drafts(scope, here.at, beta, half, sums, by_token)
    if not scope.absent("overlap"):
        overlap = pos.column("overlap")[here.at].astype(np.float64)
        half_o = _half(overlap, p_band)
        use = seen & _probability(overlap)
        sums.bounded("SD212:overlap", (gamma - overlap)[use], float((half_y + half_o)[use].sum()))
        use &= ~here.later
        sums.bounded("SD241:overlap", (gamma - overlap)[use], float((half_y + half_o)[use].sum()))


def _drafts(
    scope: Scope, at: npt.NDArray[np.int64], beta: Floats, half: Floats, sums: Sums, by_token: ByTokens
) -> None:
    """x against q: q(x) - sum q^2, and min(1, p/q)(x) - sum min(p, q), at the verified positions `at`."""
    pos, p_band, q_band = scope.pos, scope.bands.p, scope.bands.q
    if scope.absent("draft_probs"):
        return
    q = pos.q[at]
    if not scope.absent("draft_sq"):
        square = pos.column("draft_sq")[at].astype(np.float64)
        use = _probability(q) & (q > 0) & _probability(square)
        value, wide = (q - square)[use], (_half(q, q_band) + _half(square, q_band))[use]
        sums.bounded("SD211", value, float(wide.sum()))
        by_token.add("drafted", pos.row[at[use]], pos.position[at[use]], value, wide)
    if not scope.absent("overlap"):
        overlap = pos.column("overlap")[at].astype(np.float64)
        use = _probability(beta) & _probability(overlap)
        sums.bounded("SD211:overlap", (beta - overlap)[use], float((half + _half(overlap, p_band))[use].sum()))


def _target(scope: Scope, here: Slots, sums: Sums) -> None:
    """p(y) against sum p^2: emitted tokens, then the tokens that the target draws alone (bonus and plain)."""
    if scope.absent("target_sq") or scope.absent("last_target_prob") or loose(scope.params):
        return
    band = scope.bands.p
    square = scope.pos.column("target_sq")[here.at].astype(np.float64)
    use = here.seen & _probability(here.p_y) & _probability(square)
    half = _half(here.p_y, band) + _half(square, band)
    value = here.p_y - square
    if scope.law.calibrated:
        sums.bounded("SD212", value[use], float(half[use].sum()))
    use &= ~here.later
    sums.bounded("SD241", value[use], float(half[use].sum()))


def _alone(scope: Scope, sums: Sums, by_token: ByTokens) -> None:
    if hides_ends(scope):
        return
    steps, pos, band = scope.steps, scope.pos, scope.bands.p
    n_a, count = steps["n_a"].to_numpy(), pos.count
    p_y = steps["last_target_prob"].fill_null(np.nan).to_numpy().astype(np.float64)
    square = pos.lists("target_sq").at(np.arange(len(n_a)), n_a, np.nan).astype(np.float64)
    kept = steps["appended"].fill_null(2**40).to_numpy() > n_a
    use = (n_a == count) & kept & _probability(p_y) & _probability(square)
    half = _half(p_y, band) + _half(square, band)
    sums.bounded("SD212:alone", (p_y - square)[use], float(half[use].sum()))
    by_token.add("alone", np.flatnonzero(use), None, (p_y - square)[use], half[use])


def _probability(value: Floats) -> Flags:
    return np.asarray((value >= 0.0) & (value <= 1.0))


def _half(value: Floats, band: Rounding) -> Floats:
    """Half width of what rounding leaves of a probability."""
    return np.asarray(value * band.relative + band.absolute)


#: Relative error of sums and quotients that engines compute in float32.
_FLOAT32 = 2e-6


def _spread(above: Floats, below: Floats, ratio: Floats, above_band: Rounding, below_band: Rounding) -> Floats:
    """Half width of what rounding leaves of min(1, above / below), to first order; nothing where it is safely 1."""
    half = _width(above, below, ratio, above_band, below_band)
    return np.asarray(np.where(ratio - half > 1.0, 0.0, np.minimum(half, 1.0)))


def _width(above: Floats, below: Floats, ratio: Floats, above_band: Rounding, below_band: Rounding) -> Floats:
    """Half width of what rounding leaves of above / below, to first order."""
    half = ratio * (above_band.relative + below_band.relative + _FLOAT32)
    if above_band.absolute or below_band.absolute:
        half += (above_band.absolute + ratio * below_band.absolute) / below
    return np.asarray(half)
