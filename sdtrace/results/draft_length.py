"""Another draft length as a value: what it would gain, how that is known, and the words of it."""

from dataclasses import dataclass
from typing import Literal

#: `positions`: acceptance by position of a shorter draft; `cut`: the same of drafts that are cut at the positions counted one by one;
#: `extrapolated`: acceptance taken to go on beyond the last position; `curve`: recorded tokens; `curve-at-least`: those as a lower bound.
Basis = Literal["positions", "cut", "extrapolated", "curve", "curve-at-least"]


@dataclass(frozen=True)
class OtherLength:
    """A draft length in tokens, the one that is (`current`), and the relative gain of throughput with its 95% interval."""

    length: int
    current: float
    gain: float
    basis: Basis
    low: float | None = None
    high: float | None = None

    def in_words(self) -> str:
        """What a headline says of it."""
        gain = f"{self.gain:.0%}" + (
            "" if self.low is None or self.high is None else f" ({self.low:.0%} to {self.high:.0%})"
        )
        match self.basis:
            case "positions":
                return f"{self.length} instead of {self.current:.0f} drafted tokens would gain {gain} or more"
            case "cut":
                return f"{self.length} would gain {gain} or more"
            case "extrapolated":
                return f"{self.length} would gain about {gain} if acceptance goes on as at the last position"
            case "curve" | "curve-at-least":
                return f"the best draft length is {self.length} instead of {self.current:.0f}: {self.gain:+.0%} speed{self.more}"

    @property
    def shorter(self) -> bool:
        """Whether it is shorter than what is drafted."""
        return self.length < self.current

    @property
    def more(self) -> str:
        """Words behind a gain that is a lower bound of recorded tokens."""
        return " or more" if self.basis == "curve-at-least" else ""
