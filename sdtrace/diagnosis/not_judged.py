"""How many steps are in the figures and were not judged, or not by every means, by the reason."""

from collections.abc import Mapping

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.diagnosis.law_choice import Choice
from sdtrace.verify.laws import where


def not_judged(audit: Audit, laws: pl.DataFrame, choices: Mapping[str, Choice]) -> dict[str, int]:
    """Steps by reason, those that there are. `laws`: the rows of the chosen laws."""
    doubted = laws.filter(pl.col("source") == "doubted")
    silent_draft = pl.col("run_id").is_in([run for run, line in audit.runs.items() if line.draft_unsaid])
    unknown = int(laws.filter((pl.col("law") == "unknown") & (pl.col("source") != "doubted"))["steps"].sum())
    raw = [run for run, line in audit.runs.items() if line.prob_basis == "raw"]
    basis = int(
        laws.filter(
            pl.col("run_id").is_in(raw)
            & ~pl.col("law").is_in(sorted(where(lambda law: law.residual in ("argmax", "same"))))
        )["steps"].sum()
    )
    unsure = pl.col("run_id").is_in([run for run, choice in choices.items() if not choice.accuses])
    muted = pl.col("run_id").is_in([run for run, line in audit.runs.items() if line.mute_statistics])
    silent = (
        (pl.col("with_target") == 0) & (pl.col("tested") > 0) & ~pl.col("law").is_in(["greedy", "greedy?", "unknown"])
    )
    reasons = {
        "greedy or sampled is unknown: no request line": int(doubted.filter(~silent_draft)["steps"].sum()),
        "no draft probability is recorded, in a run that has others": int(doubted.filter(silent_draft)["steps"].sum()),
        "unknown rule": unknown,
        "probabilities are raw, or may be": basis,
        "no law is certain": int(laws.filter(unsure & (pl.col("law") != "unknown"))["steps"].sum()),
        "no target probability is recorded": int(laws.filter(silent)["steps"].sum()),
        "nothing tells what was accepted": int((laws["steps"] - laws["counted"]).sum()),
        "means over many tokens: losses may depend on the outcome": int(laws.filter(muted)["steps"].sum()),
    }
    return {why: n for why, n in reasons.items() if n}
