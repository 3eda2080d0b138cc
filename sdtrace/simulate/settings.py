"""What a made trace is to be like."""

from dataclasses import dataclass

LAWS = ("ratio", "one-hot", "match", "greedy", "block", "tree-coin", "multi-draft", "fly")
#: Log levels: p and q of drafted and last tokens; sums over the vocabulary; uniforms; top rows.
LEVELS = ("basic", "sums", "draws", "rows")


@dataclass(frozen=True)
class Settings:
    """`tested`: decisions, at least; `strength`: of the fault, None = its own; `dtype`: a prob_dtype of the format.

    `law` None = the first that the fault goes with; `declared`: whether the run line names law and precision;
    `variant`: a lawful strangeness beside it; `only`: the part of the traffic that the fault is confined to.
    """

    fault: str = "healthy"
    strength: float | None = None
    law: str | None = None
    tested: int = 3000
    vocab: int = 1000
    tau: int = 4
    dtype: str = "float32"
    level: str = "draws"
    seed: int = 0
    declared: bool = True
    variant: str = ""
    only: str = ""

    def logs(self, level: str) -> bool:
        """Whether a column of that level is written."""
        return LEVELS.index(level) <= LEVELS.index(self.level)
