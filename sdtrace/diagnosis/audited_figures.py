"""The section `audit` of the document: how many decisions agree with the chosen laws, and how far off the others are."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.diagnosis.chosen import Chosen
from sdtrace.diagnosis.law_choice import Fit
from sdtrace.diagnosis.not_judged import not_judged
from sdtrace.diagnosis.trial.noise import told
from sdtrace.verify.laws import LAWS


def audited_figures(audit: Audit, chosen: Chosen, overridden: Mapping[str, Fit]) -> dict[str, Any]:
    """Counts of tested positions, steps and tokens. `overridden`: runs whose declared law was set aside for another one."""
    laws, choices = chosen.frame("laws"), chosen.choices
    main = laws.sort("tested", descending=True, maintain_order=True).row(0, named=True)
    choice = choices[main["run_id"]]
    source = "declared"
    if main["law"] == choice.law:
        source = "inferred" if main["run_id"] in overridden else choice.source
    tested, disagree = int(laws["judged"].sum()), int(laws["disagree"].sum())
    undecidable = int(laws["undecidable"].sum())
    return {
        "rule": LAWS[main["law"]].word,
        "rule_source": source,
        "margin": choice.margin,
        "rivals": list(choice.rivals),
        "accuses": choice.accuses,
        "laws": {
            LAWS[name].word: int(n)
            for name, n in laws.group_by("law", maintain_order=True).agg(pl.col("judged").sum()).rows()
        },
        "steps": int(laws["steps"].sum()),
        "tested": tested,
        "agree": tested - disagree - undecidable,
        "disagree": disagree,
        "undecidable": undecidable,
        "appended": int(laws["appended"].sum()) if laws["known_appended"].sum() else None,
        "margins": _margins(audit, chosen),
        "not_judged": not_judged(audit, laws, choices),
    }


def _margins(audit: Audit, chosen: Chosen) -> dict[str, float | int | None] | None:
    """How far from the boundary the decisions are that contradict the law; None where no margin was added up."""
    far = None if audit.tally.frame("margins").is_empty() else told(chosen.frame("margins"))
    if far is None:
        return None
    return {"median": far.median, "largest": far.largest, "accepted": far.accepted, "rejected": far.rejected}
