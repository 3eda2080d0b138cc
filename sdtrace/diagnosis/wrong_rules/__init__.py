"""Which known wrong rule explains wrong decisions: each hypothesis predicts every decision, and is held to it."""

from sdtrace.diagnosis.wrong_rules.explain import explain_decisions
from sdtrace.diagnosis.wrong_rules.explanation import Explanation
from sdtrace.diagnosis.wrong_rules.recovery import emitted

__all__ = ["Explanation", "emitted", "explain_decisions"]
