"""What a verification law is to the audit: a way to recompute decisions, and the facts that checks ask of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sdtrace.schema.arrays import Floats
from sdtrace.schema.run import Run
from sdtrace.verify.band import Rounding
from sdtrace.verify.positions import Positions


@dataclass(frozen=True)
class Bands:
    """How far logged target and draft probabilities may be from the compared ones."""

    p: Rounding
    q: Rounding


@dataclass(frozen=True)
class Judged:
    """Recomputed decisions over verified positions (m entries each).

    `decision`: 1 agree, -1 disagree, 0 undecidable; 0 where not tested. `tested`: a decision was made there.
    `expected`: the probability of acceptance before r is drawn, NaN where the record does not give it.
    """

    decision: npt.NDArray[np.int8]
    tested: npt.NDArray[np.bool_]
    expected: Floats


Judge = Callable[[Positions, Mapping[str, Any], Bands], Judged]


Residual = Literal["ratio", "without-x", "same", "argmax", "block"]


@dataclass(frozen=True)
class Law:
    """One rule of vocabulary: its name, its sentence, and what the token after the accepted block must be.

    `residual` says what the recovered token is drawn from: ratio (y has p > q), without-x (p without x), same (the token
    that p's own draw gave), argmax, block, or None where the law promises nothing. `draws`: decisions need a uniform.
    `draft` says what q a decision takes: the one that the drafter sampled from, a point mass (q = 1), or none at all.
    `decides` says what one decision is about: a token, a whole block, or a token with those behind it.
    `of_greedy`: requests at temperature 0 are under this law too, where others verify them by the argmax.
    """

    name: str
    says: str
    lossless: bool
    draws: bool
    residual: Residual | None
    judge: Judge
    draft: Literal["sampled", "point-mass"] | None = None
    decides: Literal["token", "block", "window"] = "token"
    of_greedy: bool = False

    @property
    def word(self) -> str:
        """Its name for people."""
        return self.name.removesuffix("?")

    @property
    def greedy(self) -> bool:
        """Whether the target's most probable token alone is right: nothing is left to chance."""
        return self.residual == "argmax"

    @property
    def calibrated(self) -> bool:
        """Whether p and q of a position give the chance that its token is accepted, token by token."""
        return self.lossless and self.residual in ("ratio", "without-x", "same")

    @property
    def quotient(self) -> bool:
        """Whether a decision holds a uniform against p/q, with q = 1 for a point mass."""
        return self.lossless and self.draws and self.decides == "token"


def tested_only(decision: npt.NDArray[np.int8], pos: Positions) -> npt.NDArray[np.int8]:
    """Decisions at untested positions are not read; a padding id (negative) is no token and proves nothing."""
    return np.asarray(decision * (pos.tested & (pos.token >= 0)), dtype=np.int8)


def children(params: Mapping[str, Any]) -> int | None:
    """How many drafted tokens a node of the draft tree has, as the run declares it; None where it does not say.

    1 is a chain: then the record holds every token that was tested.
    """
    value = next((params[name] for name in CHILDREN if params.get(name) is not None), None)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


#: Names that engines give the number of children of a node, in `rule_params` or in `config`.
CHILDREN = ("topk", "eagle_topk", "speculative_eagle_topk", "num_drafts", "draft_width")


def parameters(run: Run) -> Mapping[str, Any]:
    """`rule_params` of a run as a mapping, with what `config` has of the draft tree and of thresholds; {} where there is nothing."""
    config, params = run.settings, run.rule_settings
    found = {name: config[name] for name in (*CHILDREN, *_OF_LAWS) if name in config} | params
    return found | {short: found[long] for long, short in _SHORT.items() if long in found and short not in found}


#: Names under which engines have the two thresholds of the tree law.
_SHORT = {
    "speculative_accept_threshold_acc": "threshold_acc",
    "speculative_accept_threshold_single": "threshold_single",
}
#: Parameters of laws that a recorder may leave in `config`.
_OF_LAWS = (
    *_SHORT, *_SHORT.values(), "fly_window_size", "fly_entropy_threshold", "fly_entropy_top_k", "relaxed_topk", "relaxed_delta"
)  # fmt: skip


def loose(params: Mapping[str, Any]) -> bool:
    """Whether a threshold below 1 makes a law accept more than the target's distribution allows."""
    names = ("threshold_acc", "threshold_single", "lenience")
    return any(isinstance(params.get(name), int | float) and params[name] < 1.0 for name in names)


def undecided(pos: Positions) -> Judged:
    """Nothing can be decided: the run does not declare what its law needs."""
    m = len(pos.row)
    return Judged(np.zeros(m, dtype=np.int8), pos.tested, np.full(m, np.nan))
