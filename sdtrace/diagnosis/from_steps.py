"""The track of steps: decisions were recorded, so laws, checks and causes are read from their sums."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.audit.parts import moved
from sdtrace.counters.changes import over_requests
from sdtrace.diagnosis.acceptance import acceptance, totals
from sdtrace.diagnosis.accused import accused
from sdtrace.diagnosis.audited_figures import audited_figures
from sdtrace.diagnosis.by_series.judge import section
from sdtrace.diagnosis.causes import causes
from sdtrace.diagnosis.chosen import Chosen
from sdtrace.diagnosis.coverage import of_steps
from sdtrace.diagnosis.doubt import isolated
from sdtrace.diagnosis.law_choice import Choice, Fit, choose
from sdtrace.diagnosis.not_checked import not_checked_notes
from sdtrace.diagnosis.outcomes import lossless, outcomes
from sdtrace.diagnosis.samples import decisions
from sdtrace.diagnosis.signatures import CODES as PATTERN
from sdtrace.diagnosis.signatures import completed, signs
from sdtrace.diagnosis.slice_faults import placed
from sdtrace.diagnosis.slice_rules import chosen_steps, confined, in_slice, mixture, recovered_by
from sdtrace.diagnosis.slice_tokens import of_tokens
from sdtrace.diagnosis.texts import text_causes, text_coverage
from sdtrace.diagnosis.track import Seen, Track
from sdtrace.diagnosis.trial.accounts import without_chains
from sdtrace.diagnosis.verdict import verdict
from sdtrace.diagnosis.witnesses import telling
from sdtrace.diagnosis.wrong_rules import Explanation, explain_decisions
from sdtrace.results.cause import Cause, fired, joined, with_evidence
from sdtrace.results.check import Outcome
from sdtrace.results.numbers import per_step
from sdtrace.results.record import Record
from sdtrace.schema.run import Run
from sdtrace.speed.causes import slow_causes
from sdtrace.speed.strata import sessions
from sdtrace.speed.timing import timing, unmeasured


def from_steps(seen: Seen, overridden: Mapping[str, Fit], baseline_ms: float | None) -> Track:
    """Choose laws, read checks, name causes, add up the figures. `overridden`: laws that took a declared one's place, by run;
    `baseline_ms`: a plain step, where the user knows it."""
    audit, counts, series, served = seen.audit, seen.counts, seen.series, seen.changes
    choices = _trusted(choose(audit.tally), audit.record)
    chosen = Chosen(audit.tally, choices, moved(audit.parts))
    found = outcomes(audit, chosen, seen.checks, counts, series, served)
    spent = timing(audit, baseline_ms)
    laws, asked = chosen.frame("laws"), chosen.requests
    tables = laws, chosen.frame("positions"), asked.with_columns(session=sessions(asked, audit.requests))
    rows = _of_decisions(seen, chosen, found)
    figures = audited_figures(audit, chosen, overridden)
    rows = isolated(rows, audit.inputs, figures["tested"])
    rows = joined(joined(rows, slow_causes(audit, spent)), accused(audit.events, audit.windows))
    accepted = acceptance(*tables)
    if accepted is not None:
        accepted["series"] = section(series)
    coverage = of_steps(found, figures, accepted, spent, text_coverage(audit.texts))
    return Track(
        chosen,
        found,
        [_with_effect(row, accepted) for row in rows],
        accepted,
        coverage,
        [*served, *over_requests(tables[2])],
        [*not_checked_notes(audit, laws, choices, overridden, found), *unmeasured(spent)],
        judge=partial(verdict, figures=figures, choices=choices, coverage=coverage),
        audit=figures,
        totals=totals(*tables),
        timing=spent,
    )


def _of_decisions(seen: Seen, chosen: Chosen, outcomes: Mapping[str, Outcome]) -> list[Cause]:
    """What decisions, text and the record show, with the slots that weigh most."""
    audit, choices = seen.audit, chosen.choices
    explained, recovery = _explained(audit, chosen, outcomes)
    rows = joined(causes(outcomes, explained, recovery, _configured(audit), seen.series), text_causes(outcomes))
    rows, audit.record = without_chains(joined(rows, audit.record.causes), audit.record)
    sliced = _sliced(audit, outcomes["SD206"], choices) if fired(outcomes, "SD206") else None
    signed = signs(audit.tally, chosen.rows, audit.runs)
    rows = completed(rows, outcomes, signed, sliced, mixture(audit, outcomes.get("SD201"), choices))
    return [placed(_shown(row, audit, choices), audit, chosen.steps, seen.checks) for row in rows]


def _sliced(audit: Audit, outcome: Outcome, choices: Mapping[str, Choice]) -> Explanation | None:
    rule = in_slice if outcome.witnesses[0]["quantity"] == "accepted" else of_tokens
    return rule(audit, outcome, choices)


def _trusted(choices: dict[str, Choice], record: Record) -> dict[str, Choice]:
    """No law is used to accuse on a run whose record asks to be judged again and cannot be."""
    return {
        run: replace(choice, accuses=False) if run in record.distrusted else choice for run, choice in choices.items()
    }


def _explained(
    audit: Audit, chosen: Chosen, outcomes: Mapping[str, Outcome]
) -> tuple[list[Explanation], Explanation | None]:
    """Fit the known wrong rules where decisions are wrong, on the run that has most of them."""
    explained: list[Explanation] = []
    recovery: Explanation | None = None
    live = {code for code, outcome in outcomes.items() if outcome.state == "fired"}
    if live & {"SD101", "SD102", "SD104"} and (sample := decisions(audit, chosen)) is not None:
        explained = explain_decisions(sample.rows, sample.law, sample.bands.p, sample.bands.q)
        explained = [*confined(audit, sample, explained), *explained]
    if live & {"SD111", "SD112"}:
        recovery = recovered_by(audit, chosen.steps)
    return explained, recovery


def _configured(audit: Audit) -> list[Cause]:
    """Runs that declare a rule which does not keep the target's distribution: wrong by configuration."""
    rows = []
    for run_id, run in audit.runs.items():
        if lossless(run) is not False:
            continue
        rule = run.rule
        cause = "synthetic-acceptance" if rule == "synthetic" else "lenient-acceptance"
        headline = f"the run declares the lossy rule {rule} {run.rule_params or ''}".rstrip()
        advice = (
            "use a lossless rule if the text must follow the target model; every other check holds it to its own rule"
        )
        evidence = ({"run_id": run_id, "rule": rule},)
        rows.append(Cause(cause, "wrong", "proved", ("SD191",), headline, evidence, advice, "config", 0))
    return rows[:1]


def _shown(cause: Cause, audit: Audit, choices: Mapping[str, Choice]) -> Cause:
    """A cause that only many tokens show, with the slots that weigh most in it."""
    if cause.checks[:1] == () or cause.checks[0] not in PATTERN or audit.tally.steps is None or not cause.evidence:
        return cause
    run_id, effect = cause.evidence[0]["run_id"], cause.evidence[0].get("effect", 1.0)
    law = choices[run_id].law
    sample = audit.tally.steps.filter((pl.col("run_id") == run_id) & (pl.col("law") == law))
    code = cause.checks[0]
    if code == "SD206":
        sample = chosen_steps(audit, sample, cause.evidence[0])
        code = _LIKE_WHOLE[cause.evidence[0]["quantity"]]
    return with_evidence(cause, telling(sample, audit.runs.get(run_id, Run()), law, code, effect))


#: The check that sees in all the traffic what SD206 sees in a slice, by quantity.
_LIKE_WHOLE = {"accepted": "SD201", "emitted": "SD202", "leaning": "SD202", "drafted": "SD211", "alone": "SD212"}


def _with_effect(cause: Cause, a: Mapping[str, Any] | None) -> Cause:
    """What accepting too much did to the text: under a correct residual the excess is the total-variation distance of
    the emitted token from the target's distribution, for every tested position."""
    if a is None or cause.cause not in ("lenient-acceptance", "synthetic-acceptance") or not a["ci"]["excess"]:
        return cause
    low, high = a["ci"]["excess"]
    if low <= 0 or a["tokens_per_step"] is None or a["expected_tokens_per_step"] is None:
        return cause
    bought = a["tokens_per_step"] - a["expected_tokens_per_step"]
    effect = f"emitted text is {a['excess']:.1%} ({low:.1%} to {high:.1%}) away from the target distribution per tested token"
    return replace(cause, effect=f"{effect}; speed bought with it: {per_step(bought)} tokens per step")
