"""Statistical evidence of one scope: sums that tell, over many tokens, what no single token proves.

A statistic is a martingale difference D whose mean is 0 in a correct engine (the manual pages SD2xx say why), added up
over the slots where a decision was made. The frame has one row a statistic: `code` is the check that reads it, with a
suffix for a part or a weighting of it.

    n     slots                         d   sum of D                    d / n is the effect
    v     variance of d: exact where `exact`, else sum D^2 (Brown 1971); no clustering is needed under the law
    k     third moment, for the skewness of small samples
    s     how far rounding of the log can have moved d
    d0-9  v0-9  s0-9                    the same in ten bins of the chance, fixed in advance (SD202: by decade of q)
    e0-9  log of an e-process for each of THETAS: its mean over them exceeds 1/a at any time with chance a at most (Ville)

Every column is a sum, so two frames merge by adding. Formulas: Leviathan et al. 2023 for the law; Waudby-Smith and
Ramdas 2020 (arXiv 2010.09686) for betting.
"""

import polars as pl

from sdtrace.tally.evidence.by_step import REQUEST_SUMS, SLICES, STEP_LANES, BySteps, known_before
from sdtrace.tally.evidence.by_token import TOKEN_SLICES, TOKEN_SUMS, ByTokens
from sdtrace.tally.evidence.chains import chains
from sdtrace.tally.evidence.draws import RANKED_PIECES, coupled, draws, of_block
from sdtrace.tally.evidence.lanes import LANES, Lanes
from sdtrace.tally.evidence.slots import pieces
from sdtrace.tally.evidence.sums import COLUMNS, THETAS, Sums
from sdtrace.tally.evidence.tokens import tokens, whole
from sdtrace.verify.scope import Scope

__all__ = ["COLUMNS", "NOTHING", "THETAS", "evidence"]


def _ends_early(scope: Scope) -> bool:
    """Whether lists end where a step was rejected: what block verification drafted behind that is needed as well, and
    steps that show it are not like the others."""
    pos, n_a = scope.pos, scope.steps["n_a"].to_numpy()
    ends = (pos.lists("target_probs").count < pos.count) | (pos.lists("draft_probs").count < pos.count)
    return bool((ends & (n_a >= 0) & ~scope.steps["draft_probs"].is_null().to_numpy()).any())


def evidence(scope: Scope) -> dict[str, pl.DataFrame]:
    """The frames `evidence` (keys run_id, law, code) and `lanes` (keys run_id, law, step, position) of one scope, and those of
    `sdtrace.tally.evidence.by_step` and `by_token`; see `sdtrace.tally.tally` for their keys."""
    sums = Sums(str(scope.steps["run_id"][0]), scope.law.name)
    if scope.law.greedy or not scope.law.lossless or scope.run.mute_statistics or scope.watermarked:
        return NOTHING
    block = scope.law.decides == "block"
    if block and _ends_early(scope):
        return NOTHING
    drawn = not (block or scope.raw) and scope.law.draws
    lanes, steps = Lanes(scope) if drawn else None, BySteps(scope, lanes=drawn)
    by_token = ByTokens(scope)
    for number, here in enumerate(pieces(scope)):
        tokens(scope, here, sums, steps, by_token)
        if not block:
            draws(scope, here.at, here.later, sums)
        chance = scope.judged.expected[here.at]
        if number < RANKED_PIECES and scope.law.residual == "ratio" and not (scope.raw or scope.run.mute_draws):
            coupled(scope, here.at, here.accepted, chance, sums)
        if lanes is not None:
            lanes.add(here, chance)
    whole(scope, sums, by_token)
    if block:
        of_block(scope, sums)
        if not scope.raw:
            chains(scope, sums, steps)
    lines = lanes.frame(scope) if lanes is not None else LANES
    known = known_before(scope)
    return {"evidence": sums.frame(), "lanes": lines, **steps.frames(known), **by_token.frames(known)}


#: What a law that is not lossless, or draws nothing, gives; and watermarked draws.
NOTHING = {
    "evidence": Sums("", "").frame(),
    "lanes": LANES,
    "slices": SLICES,
    "request_sums": REQUEST_SUMS,
    "step_lanes": STEP_LANES,
    "token_slices": TOKEN_SLICES,
    "token_sums": TOKEN_SUMS,
}
