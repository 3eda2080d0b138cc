"""Which known wrong rule explains wrong decisions: each hypothesis predicts every decision, and is held to it."""

from sdtrace.wrong.explain import explain_decisions
from sdtrace.wrong.explanation import Explanation
from sdtrace.wrong.recovery import emitted

__all__ = ["Explanation", "emitted", "explain_decisions"]
