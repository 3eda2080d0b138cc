"""What a report did not check: what was not recorded, what another law or a replay would tell."""

from collections.abc import Iterator, Mapping

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.diagnosis.law_choice import Choice, Fit
from sdtrace.diagnosis.watermarks import marked
from sdtrace.results.check import Outcome
from sdtrace.results.not_checked import STAGES, NotChecked
from sdtrace.schema.run import Run
from sdtrace.verify.law import children, parameters
from sdtrace.verify.laws import where


def not_checked_notes(
    audit: Audit,
    laws: pl.DataFrame,
    choices: Mapping[str, Choice],
    overridden: Mapping[str, Fit],
    outcomes: Mapping[str, Outcome],
) -> list[NotChecked]:
    """Codes with their facts; `sdtrace.results.not_checked` has the words."""
    notes = [NotChecked("target-p")]
    tested, drawn = float(laws["judged"].sum()), float(laws["with_uniform"].sum())
    by_chance = pl.col("law").is_in(sorted(where(lambda law: law.lossless and law.draws)))
    chance = float(laws.filter(by_chance)["judged"].sum())
    if chance and drawn < 0.5 * chance:
        notes.append(NotChecked("draws"))
        forward = outcomes.get("SD201")
        if forward is not None and forward.state == "clear" and forward.visible is not None:
            notes.append(NotChecked("bias", {"visible": forward.visible, "examined": forward.examined}))
    if laws["with_target"].sum() == 0 and tested and not laws["law"].is_in(sorted(where(lambda law: law.greedy))).all():
        notes.append(NotChecked("target-probs"))
    notes += [NotChecked("other-law", {"run": run, "law": fit.law}) for run, fit in overridden.items()]
    for run, choice in choices.items():
        notes += _of_law(run, choice, audit.runs.get(run, Run()))
    notes += [NotChecked("watermark", {"run": run}) for run in sorted(marked(audit))]
    if audit.unknown_requests:
        notes.append(NotChecked("requests", {"steps": audit.unknown_requests}))
    notes += [NotChecked("said", {"says": note}) for note in audit.record.notes]
    if audit.record.distrusted:
        notes.append(NotChecked("distrusted"))
    missing = {n for o in outcomes.values() if o.state == "cannot-tell" for n in o.missing}
    if missing:
        notes.append(NotChecked("columns", {"columns": ", ".join(sorted(missing))}))
    return [*notes, *STAGES]


def _of_law(run: str, choice: Choice, line: Run) -> Iterator[NotChecked]:
    """What the law of a run leaves open."""
    if choice.law == "unknown":
        yield NotChecked("unknown-rule", {"run": run, "rule": str(line.rule)[:60]})
    if choice.law in ("multi-draft", "tree-coin") and children(parameters(line)) != 1:
        yield NotChecked("tree", {"run": run, "law": choice.law})
    if choice.source == "inferred":
        odds = "" if choice.margin is None else f" (log odds over the next {choice.margin:,.1f})"
        yield NotChecked("inferred", {"run": run, "law": choice.word, "odds": odds})
        yield NotChecked("undeclared", {"run": run})
    if choice.rivals:
        yield NotChecked("rivals", {"run": run, "law": choice.word, "rivals": ", ".join(choice.rivals)})
