"""From an audit to verdict, causes and figures: everything the document needs, decided here and nowhere later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.counters.by_length import by_length
from sdtrace.counters.changes import Change, changes, over_requests
from sdtrace.counters.definitions import Totals
from sdtrace.counters.figures import counted
from sdtrace.counters.sources import Source, chosen, sources
from sdtrace.counters.speed import Speed, speeds
from sdtrace.diagnosis.acceptance import acceptance, totals
from sdtrace.diagnosis.accused import accused
from sdtrace.diagnosis.audited_figures import audited_figures
from sdtrace.diagnosis.by_series.judge import Judged, judged, section
from sdtrace.diagnosis.causes import causes, counters
from sdtrace.diagnosis.chosen import Chosen
from sdtrace.diagnosis.coverage import Coverage, nothing, of_counts, of_steps
from sdtrace.diagnosis.doubt import doubted, isolated, untrusted
from sdtrace.diagnosis.incident import Incident, incident
from sdtrace.diagnosis.known import known_issues
from sdtrace.diagnosis.law_choice import Choice, Fit, better_law, choose
from sdtrace.diagnosis.law_refit import MISFITS
from sdtrace.diagnosis.not_checked import not_checked_notes
from sdtrace.diagnosis.outcomes import lossless, outcomes
from sdtrace.diagnosis.samples import decisions, recoveries
from sdtrace.diagnosis.signatures import CODES as PATTERN
from sdtrace.diagnosis.signatures import completed, signs
from sdtrace.diagnosis.since import since
from sdtrace.diagnosis.slice_rules import chosen_steps, confined, in_slice, mixture
from sdtrace.diagnosis.texts import text_causes, text_coverage, text_headline, text_judged, text_notes
from sdtrace.diagnosis.trial.accounts import without_chains
from sdtrace.diagnosis.verdict import counts_verdict, verdict
from sdtrace.diagnosis.witnesses import telling
from sdtrace.diagnosis.wrong_rules import Explanation, emitted, explain_decisions
from sdtrace.results.cause import Cause, fired, joined, with_evidence
from sdtrace.results.check import Check, Outcome
from sdtrace.results.not_checked import STAGES, NotChecked
from sdtrace.results.record import Record
from sdtrace.schema.trace import OTHER
from sdtrace.speed.causes import slow_causes
from sdtrace.speed.spans import in_words, spans_ledger
from sdtrace.speed.strata import sessions
from sdtrace.speed.timing import Timing, timing, unmeasured


@dataclass(frozen=True)
class Diagnosis:
    """What was found. `misfits`: runs whose declared law does not fit while another one does."""

    chosen: Chosen
    outcomes: dict[str, Outcome]
    causes: list[Cause]
    audit: dict[str, Any] | None
    acceptance: dict[str, Any] | None
    state: str
    headline: str
    not_checked: list[NotChecked]
    sources: list[Source] = field(default_factory=list)
    figures_from: Source | None = None
    totals: Totals | None = None
    timing: Timing | None = None
    speeds: list[Speed] = field(default_factory=list)
    coverage: Coverage = field(default_factory=nothing)
    changes: list[Change] = field(default_factory=list)
    incident: Incident | None = None
    #: rows of `known_issues`: whose signature the input has
    known: list[dict[str, Any]] = field(default_factory=list)

    @property
    def choices(self) -> Mapping[str, Choice]:
        """The law of each run."""
        return self.chosen.choices


def misfits(audit: Audit) -> dict[str, Fit]:
    """Runs whose declared law has wrong decisions, or chances that are far off, while another lossless law fits (by run_id)."""
    found: dict[str, Fit] = {}
    rows = audit.tally.frame("laws")
    if audit.tally.steps is None or rows.is_empty():
        return found
    off = audit.tally.frame("evidence").filter(
        pl.col("code").is_in(["SD201", "SD231"]) & (pl.col("d").abs() > MISFITS * pl.col("v").sqrt())
    )
    doubtful = (pl.col("disagree") > 0) | pl.col("run_id").is_in(off["run_id"].to_list())
    for row in rows.filter((pl.col("source") == "declared") & doubtful).iter_rows(named=True):
        run = audit.runs.get(row["run_id"], {})
        if run.get("rule") != row["law"]:
            continue
        sample = audit.tally.steps.filter(pl.col("run_id") == row["run_id"])
        if fit := better_law(sample, run, row["law"]):
            found[row["run_id"]] = fit
    return found


def diagnose(
    audit: Audit, checks: Sequence[Check], overridden: Mapping[str, Fit], baseline_ms: float | None = None
) -> Diagnosis:
    """Choose laws, read checks, name causes, add up the figures. `baseline_ms`: a plain step, where the user knows it."""
    made = _decided(audit, checks, overridden, baseline_ms)
    return replace(made, known=known_issues(audit, made.causes, made.outcomes, made.acceptance, made.changes))


def _decided(
    audit: Audit, checks: Sequence[Check], overridden: Mapping[str, Fit], baseline_ms: float | None
) -> Diagnosis:
    counts = sources(audit.windows)
    series = judged(audit.windows, counts, audit.events)
    if audit.tally.frame("laws").is_empty():
        return _from_counts(audit, checks, counts, series)
    choices = _trusted(choose(audit.tally), audit.record)
    chosen = Chosen(audit.tally, choices)
    served = changes(audit.windows, audit.events)
    found = outcomes(audit, chosen, checks, counts, series, served)
    explained, recovery = _explained(audit, chosen, found)
    rows = joined(causes(found, explained, recovery, _configured(audit), series), text_causes(found))
    rows, audit.record = without_chains(joined(rows, audit.record.causes), audit.record)
    sliced = in_slice(audit, found["SD206"], choices) if fired(found, "SD206") else None
    seen = signs(audit.tally, chosen.rows, audit.runs)
    rows = completed(rows, found, seen, sliced, mixture(audit, found.get("SD201"), choices))
    rows = [_shown(row, audit, choices) for row in rows]
    spent = timing(audit, baseline_ms)
    laws, asked = chosen.frame("laws"), chosen.frame("requests")
    figures = audited_figures(audit, chosen, overridden)
    rows = isolated(rows, audit.inputs, figures["tested"])
    rows = joined(joined(rows, slow_causes(audit, spent)), accused(audit.events, audit.windows))
    rows = doubted(since(rows, served, audit.events, audit.windows), audit.inputs)
    tables = laws, chosen.frame("positions"), asked.with_columns(session=sessions(asked, audit.requests))
    accepted = acceptance(*tables)
    if accepted is not None:
        accepted["series"] = section(series)
    coverage = of_steps(found, figures, accepted, spent, text_coverage(audit.texts))
    turned = [*served, *over_requests(tables[2])]
    one = incident(rows, audit, chosen, turned)
    state, headline = verdict(rows, figures, choices, coverage, one)
    return Diagnosis(
        chosen,
        found,
        [_with_effect(row, accepted) for row in rows],
        figures,
        accepted,
        state,
        headline,
        [*not_checked_notes(audit, laws, choices, overridden, found), *unmeasured(spent)],
        counts,
        totals=totals(*tables),
        timing=spent,
        coverage=coverage,
        changes=turned,
        incident=one,
    )


def _trusted(choices: dict[str, Choice], record: Record) -> dict[str, Choice]:
    """No law is used to accuse on a run whose record asks to be judged again and cannot be."""
    return {
        run: replace(choice, accuses=False) if run in record.distrusted else choice for run, choice in choices.items()
    }


def _from_counts(audit: Audit, checks: Sequence[Check], counts: list[Source], series: Sequence[Judged]) -> Diagnosis:
    """Without steps: what counters and announcements say, and that decisions were not looked at."""
    turned = changes(audit.windows, audit.events)
    none = Chosen(audit.tally)
    found = outcomes(audit, none, checks, counts, series, turned)
    if not counts and not audit.events and not audit.texts.responses:
        reason = [NotChecked("everything")]
        lost = max((x for i in audit.inputs for x in i.losses if x.what != OTHER), key=lambda x: x.count, default=None)
        told = "no step was read" if lost is None else f"no step was read: {lost.what} ({lost.path}:{lost.line or 1})"
        return Diagnosis(none, found, [], None, None, "cannot-tell", told, reason)
    more = [*accused(audit.events, audit.windows), *text_causes(found)]
    rows = joined(joined(counters(found, set(), series), more), slow_causes(audit, None))
    rows = doubted(since(rows, turned, audit.events, audit.windows), audit.inputs)
    source = chosen(counts)
    figures = counted(source, audit.windows) | {"series": section(series)} if source is not None else None
    if source is not None and figures is not None:
        figures["by_draft_length"] = by_length(audit.windows, source)
    coverage = of_counts(found, series, text_coverage(audit.texts))
    doubt = untrusted(source, audit.inputs)
    one = incident(rows, audit, none, turned, source)
    said, few = text_headline(audit.texts), text_judged(audit.texts)
    state, headline = counts_verdict(rows, source, series, coverage, doubt, said, one, few)
    notes = [NotChecked("said", {"says": note}) for note in text_notes(audit.texts)]
    notes += [NotChecked("counts-decisions"), NotChecked("counts-target-p")]
    if source is not None and not source.pooled and source.length is not None:
        notes.append(NotChecked("means", {"source": source.name, "windows": source.windows}))
    speed = speeds(audit.windows)
    spent = spans_ledger(audit.windows)
    notes += STAGES if speed or spent is not None else [NotChecked("time"), *STAGES]
    if source is None and state == "cannot-tell" and not rows and spent is not None:
        headline = f"{in_words(spent)}; a profile counts no tokens"
    if source is None and state == "cannot-tell" and not rows and speed and not speed[0].drafting:
        headline = f"no drafted token is counted: plain decoding, speed in {speed[0].rows.height:,} records"
    return Diagnosis(
        none,
        found,
        rows,
        None,
        figures,
        state,
        headline,
        notes,
        counts,
        source,
        None,
        None,
        speed,
        coverage,
        turned,
        one,
    )


def _shown(cause: Cause, audit: Audit, choices: Mapping[str, Choice]) -> Cause:
    """A cause that only many tokens show, with the slots that weigh most in it."""
    if cause.checks[:1] == () or cause.checks[0] not in PATTERN or audit.tally.steps is None or not cause.evidence:
        return cause
    run_id, effect = cause.evidence[0]["run_id"], cause.evidence[0].get("effect", 1.0)
    law = choices[run_id].law
    sample = audit.tally.steps.filter((pl.col("run_id") == run_id) & (pl.col("law") == law))
    if cause.checks[0] == "SD206":
        sample = chosen_steps(audit, sample, cause.evidence[0])
    return with_evidence(cause, telling(sample, audit.runs.get(run_id, {}), law, cause.checks[0], effect))


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
    return replace(cause, effect=f"{effect}; speed bought with it: {bought:.2f} tokens per step")


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
        rows = recoveries(chosen)
        recovery = emitted(rows) if rows is not None else None
    return explained, recovery


def _configured(audit: Audit) -> list[Cause]:
    """Runs that declare a rule which does not keep the target's distribution: wrong by configuration."""
    rows = []
    for run_id, run in audit.runs.items():
        if lossless(run) is not False:
            continue
        rule = str(run["rule"])
        cause = "synthetic-acceptance" if rule == "synthetic" else "lenient-acceptance"
        headline = f"the run declares the lossy rule {rule} {run.get('rule_params') or ''}".rstrip()
        advice = (
            "use a lossless rule if the text must follow the target model; every other check holds it to its own rule"
        )
        evidence = ({"run_id": run_id, "rule": rule},)
        rows.append(Cause(cause, "wrong", "proved", ("SD191",), headline, evidence, advice, "config", 0))
    return rows[:1]
