"""One state and one sentence for the whole report: wrong, slow, metric-suspect, cannot-tell, healthy, worst first."""

from collections.abc import Mapping, Sequence
from typing import Any

from sdtrace.counters.agreement import over_all
from sdtrace.counters.figures import plain
from sdtrace.counters.sources import CounterSource
from sdtrace.diagnosis.by_series.idle import Idle
from sdtrace.diagnosis.by_series.judge import Judged
from sdtrace.diagnosis.by_series.pays import STEPS
from sdtrace.diagnosis.coverage import ENOUGH
from sdtrace.diagnosis.incident import Incident
from sdtrace.diagnosis.law_choice import Choice
from sdtrace.results.cause import Cause
from sdtrace.results.clock import clock
from sdtrace.results.headline import Coverage, Headline
from sdtrace.results.numbers import per_step
from sdtrace.results.words import SIDES, VERDICTS, VerdictState


def verdict(
    rows: Sequence[Cause],
    incident: Incident | None,
    *,
    figures: Mapping[str, Any],
    choices: Mapping[str, Choice],
    coverage: Coverage,
) -> tuple[VerdictState, Headline]:
    """State and headline where decisions were looked at; `figures` is the `audit` section of the document."""
    if (worst := _worst(rows, incident)) is not None:
        state, headline = worst
        return state, Headline(headline if state == "wrong" else headline + _rightly(figures))
    if choices and all(choice.law == "unknown" for choice in choices.values()):
        return "cannot-tell", Headline("unknown rule: not judged; the run declares a rule that is not known here")
    if rows:
        return "cannot-tell", Headline(f"suspected only: {rows[0].headline}")
    if uncertain := [c for c in choices.values() if not c.accuses]:
        names = " or ".join((uncertain[0].word, *uncertain[0].rivals))
        if figures["disagree"]:
            told = f"{figures['disagree']:,} of {figures['tested']:,} decisions do not follow it"
            says = f"no law is declared and none of the list fits exactly; the nearest is {names}: {told}"
            return "cannot-tell", Headline(says)
    if figures["agree"] < ENOUGH:
        return "cannot-tell", Headline(_too_little(figures))
    agree = f"{figures['agree']:,} of {figures['tested']:,} tested decisions agree with the {figures['rule']} law"
    return "healthy", Headline(f"{agree}, none disagrees; ", coverage)


def _worst(rows: Sequence[Cause], incident: Incident | None) -> tuple[VerdictState, str] | None:
    """The state of the worst side and the sentence of its root, with its onset."""
    if incident is None:
        return None
    root = next(row for row in rows if row.cause == incident.root)
    return VERDICTS[SIDES.index(root.side)], root.headline + _onset(root, incident)


#: The check that dates a cause: its sentence says since when.
DATED = "SD438"


def _onset(root: Cause, incident: Incident) -> str:
    """`; since 16:15:46 UTC, 1.47 to 1.01 tokens per step`, where the record tells a beginning and the sentence does not."""
    change = incident.change
    if DATED in root.checks:
        return ""
    told = [] if incident.since is None or incident.from_start else [f"since {clock(incident.since)}"]
    if change is not None and change.before is not None and change.after is not None:
        told = told or [f"since {clock(change.at, change.line)}"]
        told += (
            [f"{per_step(change.before)} to {per_step(change.after)} tokens per step"]
            if change.what == "tokens_per_step"
            else [f"{change.before:.0%} to {change.after:.0%} of drafted tokens accepted"]
        )
    return "; " + ", ".join(told) if told else ""


def _rightly(figures: Mapping[str, Any]) -> str:
    """What a slow engine's reader asks next: whether at least its decisions are right."""
    if figures["disagree"] or figures["agree"] < ENOUGH:
        return ""
    return f"; none of {figures['tested']:,} tested decisions disagrees with the {figures['rule']} law"


def _too_little(figures: Mapping[str, Any]) -> str:
    if not figures["tested"]:
        return "no decision was recorded: nothing was drafted, or the record does not say what was accepted"
    if figures["tested"] >= ENOUGH:
        return f"only {figures['agree']:,} of {figures['tested']:,} decisions can be recomputed from what was logged"
    return f"{figures['tested']:,} tested decisions are too few; {ENOUGH - figures['agree']:,} more would do"


def counts_verdict(
    rows: Sequence[Cause],
    incident: Incident | None,
    *,
    source: CounterSource | None,
    series: Sequence[Judged],
    coverage: Coverage,
    doubt: str | None,
    text: str | None,
    few: str,
    uncounted: str,
    slower: str = "",
    still: Idle | None = None,
) -> tuple[VerdictState, Headline]:
    """State and headline where there are only counts, or responses.

    `doubt`: why what was read is no evidence; `text`: what responses show where nothing is wrong; `few`: how many of their tokens were
    looked at, where they are too few; `uncounted`: what an input tells in which nothing counts drafted tokens; `slower`: that steps
    came to take much longer under the same load; `still`: steps without a draft, where only the throughput tells of them.
    """
    if (worst := _worst(rows, incident)) is not None:
        state, headline = worst
        return state, Headline(headline)
    if rows:
        return "cannot-tell", Headline(f"suspected only: {rows[0].headline}")
    if text is not None:
        return "healthy", Headline(text)
    if source is None:
        return "cannot-tell", Headline(uncounted)
    if plain(source):
        length = "" if source.length is None else f"{per_step(source.length)} tokens per step: "
        return "cannot-tell", Headline(f"{length}plain decoding, nothing drafted in {source.windows:,} records")
    told = _gained(source, still)
    if doubt is not None:
        return "cannot-tell", Headline(f"{told}not trusted: {doubt}")
    if coverage["acceptance"] != "judged":
        why = _short(series) if coverage["acceptance"] == "too-little" else "acceptance cannot be judged"
        return "cannot-tell", Headline(told + why)
    if any(j.unsure for j in _wholes(series)):
        without_speed = {name: how for name, how in coverage.items() if name != "speed"}
        return "cannot-tell", Headline(f"{told}whether so little pays only times can tell; ", without_speed, few)
    if slower:
        return "cannot-tell", Headline(f"{told}{slower}: counts do not tell why")
    return "healthy", Headline(told, coverage, few)


def _wholes(series: Sequence[Judged]) -> list[Judged]:
    """The engine with most steps."""
    return sorted((j for j in series if j.tally.by == "all"), key=lambda j: -j.tally.steps)[:1]


def _short(series: Sequence[Judged]) -> str:
    """How much more evidence would do."""
    whole = _wholes(series)[0].tally
    if not whole.counted:
        return f"means without counts, of {whole.steps:,.0f} steps at least, are too little to judge acceptance"
    if whole.total("drafts") is None:
        return f"drafting steps are not counted; {whole.steps:,.0f} at least, and {STEPS} would do"
    return f"{whole.steps:,.0f} drafting steps are too few; {STEPS - whole.steps:,.0f} more would do"


def _gained(source: CounterSource, still: Idle | None) -> str:
    """`2.31 tokens per drafting step, 1.80 over all steps (40% had no draft); `."""
    if source.length is None:
        return "" if source.rate is None else f"{source.rate:.1%} of drafted tokens accepted; "
    told, drafts = f"{per_step(source.length)} tokens per drafting step", source.counts["drafts"] or 0.0
    if still is not None:
        return f"{told}, but about {still.share:.1%} of some {still.steps:,.0f} steps had no draft; "
    if (whole := over_all(source, source.requests or None)) is not None and whole[0] > 1.1 * drafts:
        return f"{told}, {per_step(whole[1])} over all steps ({1 - drafts / whole[0]:.0%} had no draft); "
    return f"{told}; "
