"""What a report did not check, in sentences: what was not recorded, what another law or a replay would tell."""

from collections.abc import Mapping

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.diagnosis.law_choice import Choice, Fit
from sdtrace.results.check import Outcome
from sdtrace.verify.law import children, parameters
from sdtrace.verify.laws import where


def not_checked_notes(
    audit: Audit,
    laws: pl.DataFrame,
    choices: Mapping[str, Choice],
    overridden: Mapping[str, Fit],
    found: Mapping[str, Outcome],
) -> list[str]:
    notes = ["whether p is the target model's own: a consistent trace can still be wrong, and only a replay would tell"]
    tested, drawn = float(laws["tested"].sum()), float(laws["with_uniform"].sum())
    chance = float(
        laws.filter(pl.col("law").is_in(sorted(where(lambda law: law.lossless and law.draws))))["tested"].sum()
    )
    if chance and drawn < 0.5 * chance:
        notes.append("single decisions where p < q: the uniform draws are not logged, so only impossible events show")
        forward = found.get("SD201")
        if forward is not None and forward.state == "clear" and forward.visible is not None:
            notes.append(
                f"a bias of acceptance under {forward.visible:.2%}: {forward.examined:,} tested positions show no less"
            )
    if laws["with_target"].sum() == 0 and tested and not laws["law"].is_in(["greedy", "greedy?"]).all():
        notes.append("decisions: no target probabilities are logged")
    for run, fit in overridden.items():
        notes.append(f"the declared law of run {run!r} does not fit; {fit.law} does, and was used instead")
    for run, choice in choices.items():
        if choice.law == "unknown":
            rule = str(audit.runs.get(run, {}).get("rule"))[:60]
            notes.append(
                f"unknown rule: not judged (run {run!r} declares {rule!r}, which is none of the laws known here)"
            )
        if choice.law in ("multi-draft", "tree-coin") and children(parameters(audit.runs.get(run, {}))) != 1:
            notes.append(
                f"how often run {run!r} should accept: of a draft tree ({choice.law}) the record holds one token a node"
            )
        if choice.source == "inferred":
            odds = "" if choice.margin is None else f" (log odds over the next {choice.margin:,.1f})"
            notes.append(f"run {run!r} declares no law; {choice.word} fits best{odds}")
            notes.append(
                f"means over many tokens of run {run!r}: they hold an engine to a law that it declares; record `rule`"
            )
        if choice.rivals:
            notes.append(
                f"{choice.word} and {', '.join(choice.rivals)} cannot be told apart on run {run!r}: neither was used to accuse"
            )
    if audit.unknown_requests:
        notes.append(
            f"sampling parameters, seeds and stop ids of {audit.unknown_requests:,} steps: their request has no line"
        )
    notes += audit.record.notes
    if audit.record.distrusted:
        notes.append("what is left open by the record: the input cannot be read twice, so no law was used to accuse")
    missing = {n for o in found.values() if o.state == "cannot-tell" for n in o.missing}
    if missing:
        notes.append("checks that need " + ", ".join(sorted(missing)) + " (not recorded)")
    notes.append("replay, history and comparison with another trace: not part of this report")
    return notes
