"""The closed sets of words that a report is made of, each once, in the order that every page keeps: worst or strongest first."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

#: What a check came to.
State = Literal["fired", "clear", "cannot-tell", "crashed"]
#: What a cause speaks of: the text that comes out, its speed, or the figures.
Side = Literal["wrong", "slow", "metric"]
#: How sure a cause is.
Certainty = Literal["proved", "statistical", "suspected"]
#: What a report says as a whole.
VerdictState = Literal["wrong", "slow", "metric-suspect", "cannot-tell", "healthy"]

#: Whom a cause points at.
Blame = Literal["drafter", "verifier", "sampler", "scheduler", "traffic", "config", "metric"]

SIDES: tuple[Side, ...] = get_args(Side)
CERTAINTIES: tuple[Certainty, ...] = get_args(Certainty)
VERDICTS: tuple[VerdictState, ...] = get_args(VerdictState)

#: A verdict as a title.
TITLES: dict[VerdictState, str] = {
    "wrong": "Wrong",
    "slow": "Slow",
    "metric-suspect": "Metric suspect",
    "cannot-tell": "Cannot tell",
    "healthy": "Healthy",
}

#: What would have to be so for a gain of `time.gain_if_removed`, after "if".
IF_GONE = {
    "draft": "drafting took no time",
    "verify": "verifying cost no more than a plain step",
    "overhead": "the host took no time",
    "acceptance": "every drafted token were accepted",
}


#: Keys of evidence that say little by themselves; others are read with blanks for underscores.
_EVIDENCE = {
    "zero": "intervals without an accepted token",
    "zero_drafted": "draft tokens in them",
    "what": "",
    "bad_p": "invalid p:",
    "bad_q": "invalid q:",
    "bad_y": "invalid p after the draft:",
}


def evidence_name(key: str) -> str:
    """A key of a piece of evidence as people read it."""
    return _EVIDENCE.get(key, key if key.endswith("_ms") else key.replace("_", " "))


def figure_name(name: str) -> str:
    """A figure of the JSON as people read it."""
    return name.replace("rate_of_", "accepted_of_").replace("_", " ")


def is_share(name: str) -> bool:
    """Whether a figure of the JSON is a share of a whole, which people read in percent."""
    return name.startswith(("accepted_", "rate_of_"))


def tokens(acceptance: Mapping[str, Any] | None) -> str:
    """What `acceptance.tokens_per_step` is called: counts know the steps that drafted only."""
    return f"tokens per {(acceptance or {}).get('per', 'step')}"
