"""What is wrong where tokens of one part of the traffic do not follow the law: the draft, the recovery, or what the target draws alone."""

from collections.abc import Mapping

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.diagnosis.bonus_row import ROWS, bonus_row
from sdtrace.diagnosis.law_choice import Choice
from sdtrace.diagnosis.residual_power import powers
from sdtrace.diagnosis.slice_rules import chosen_steps
from sdtrace.diagnosis.wrong_rules import Explanation
from sdtrace.results.check import Outcome
from sdtrace.schema.run import Run

#: Standard errors up to which drafts look as if they were drawn from q.
_LIKE = 2.2
_DRAFTS = "drafted tokens were not drawn from the recorded q"


def of_tokens(audit: Audit, outcome: Outcome, choices: Mapping[str, Choice]) -> Explanation:
    """The explanation of the slice that SD206 (`outcome`) found by a quantity of tokens."""
    seen = outcome.witnesses[0]
    run_id, draft_z = seen["run_id"], seen["draft_z"]
    law, steps = choices[run_id].law, audit.tally.steps
    part = None
    if steps is not None:
        part = chosen_steps(audit, steps.filter((pl.col("run_id") == run_id) & (pl.col("law") == law)), seen)
    if seen["quantity"] == "alone":
        row = bonus_row(part)
        cause = "misaligned-target-probs" if row else "one-sided-sampling-params"
        label = (
            f"bonus tokens are drawn from {ROWS[row]}" if row else "tokens that the target draws alone do not follow p"
        )
    elif seen["quantity"] == "drafted":
        cause, label = "draft-not-from-q", _DRAFTS
    elif (fit := powers(part, audit.runs.get(run_id, Run()), law)) is not None and fit.leans:
        cause, label = "recovered-not-residual", "recovered tokens lean to the greatest residuals"
    elif draft_z is not None and abs(draft_z) < _LIKE:
        cause, label = "recovered-not-residual", "recovered tokens do not follow the residual"
    else:
        cause, label = "draft-not-from-q", _DRAFTS
    only = f"{label}, only where {seen['slice']}"
    return Explanation(cause, only, None, None, None, 0, int(seen["n"]), "", seen["where"], seen["share"])
