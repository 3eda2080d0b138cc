"""The track of counts: no step was recorded, so only counters, announcements and responses speak."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.counters.by_length import by_length
from sdtrace.counters.figures import counted
from sdtrace.counters.scrapes import APART, IN_ORDER
from sdtrace.counters.sources import LIFETIME, CounterSource
from sdtrace.counters.sources import chosen as chosen_of
from sdtrace.counters.speed import Speed, speeds
from sdtrace.diagnosis.accused import accused
from sdtrace.diagnosis.by_series.idle import by_throughput
from sdtrace.diagnosis.by_series.judge import section
from sdtrace.diagnosis.by_series.slower import slower
from sdtrace.diagnosis.causes import counters
from sdtrace.diagnosis.chosen import Chosen
from sdtrace.diagnosis.coverage import nothing, of_counts
from sdtrace.diagnosis.doubt import untrusted
from sdtrace.diagnosis.outcomes import outcomes
from sdtrace.diagnosis.since import fallen
from sdtrace.diagnosis.texts import text_causes, text_coverage, text_headline, text_judged, text_notes
from sdtrace.diagnosis.track import Judge, Seen, Track
from sdtrace.diagnosis.verdict import counts_verdict
from sdtrace.results.cause import joined
from sdtrace.results.headline import Headline
from sdtrace.results.not_checked import STAGES, Code, NotChecked
from sdtrace.schema.counters import SILENT
from sdtrace.schema.trace import BARE
from sdtrace.speed.causes import slow_causes
from sdtrace.speed.ledger import Ledger
from sdtrace.speed.spans import in_words, spans_ledger


def from_counts(seen: Seen) -> Track:
    """Without steps: what counters and announcements say, and that decisions were not looked at."""
    audit, counts, series = seen.audit, seen.counts, seen.series
    chosen = Chosen(audit.tally)
    found = outcomes(audit, chosen, seen.checks, counts, series, seen.changes)
    if not counts and not audit.events and not audit.texts.responses:
        return Track(chosen, found, [], None, nothing(), [], [NotChecked("everything")], judge=_nothing_read(audit))
    source, speed, spans = chosen_of(counts), speeds(audit.windows), spans_ledger(audit.windows)
    more = [*accused(audit.events, audit.windows), *text_causes(found)]
    coverage = of_counts(found, series, text_coverage(audit.texts))
    return Track(
        chosen,
        found,
        joined(joined(counters(found, set(), series), more), slow_causes(audit, None)),
        _acceptance(seen, source),
        coverage,
        seen.changes,
        _not_checked(seen, source, timed=bool(speed) or spans is not None),
        judge=partial(
            counts_verdict,
            source=source,
            series=series,
            coverage=coverage,
            doubt=untrusted(source, audit.inputs),
            text=text_headline(audit.texts),
            few=text_judged(audit.texts),
            uncounted=_uncounted(speed, spans, audit),
            slower=slower(seen.changes),
            still=None if source is None else by_throughput(seen.audit.windows, source),
        ),
        figures_from=source,
        speeds=speed,
    )


def _acceptance(seen: Seen, source: CounterSource | None) -> dict[str, Any] | None:
    """The document's section of that name, from the source of the figures."""
    if source is None or (figures := counted(source, seen.audit.windows)) is None:
        return None
    fell = fallen(seen.changes, seen.audit.events, seen.audit.windows)
    return figures | {"series": section(seen.series, fell), "by_draft_length": by_length(seen.audit.windows, source)}


def _not_checked(seen: Seen, source: CounterSource | None, *, timed: bool) -> list[NotChecked]:
    notes = [NotChecked("said", {"says": note}) for note in text_notes(seen.audit.texts)]
    notes += [NotChecked("logprobs")] if seen.audit.texts.responses else []
    notes += [NotChecked("counts-decisions"), NotChecked("counts-target-p")]
    if source is not None and not source.pooled and source.length is not None:
        notes.append(NotChecked("means", {"source": source.name, "windows": source.windows}))
    if source is not None and LIFETIME in source.families:
        notes.append(NotChecked("lifetime", {"source": source.name}))
    notes += [] if source is None else _undecided(source, seen.audit.windows)
    return [*notes, *(() if timed else [NotChecked("time")]), *STAGES]


def _undecided(source: CounterSource, windows: pl.DataFrame) -> list[NotChecked]:
    """What the records of a source leave open about what they count."""
    codes: dict[str, Code] = {IN_ORDER: "in-order", APART: "apart"}
    notes = [NotChecked(codes[one], {"source": source.name}) for one in source.families if one in codes]
    mine = (pl.col("engine") == source.engine) & (pl.col("surface") == source.surface)
    lengths = windows.filter(mine)["k_by_rule"].drop_nulls()
    if lengths.is_empty() or source.length is None:
        return notes
    since, before = (int(k) for k in lengths[0])
    shares = {"since": (source.length - 1) / since, "before": (source.length - 1) / before}
    return [*notes, NotChecked("both-rules", {"source": source.name, "k_since": since, "k_before": before, **shares})]


def _uncounted(speed: Sequence[Speed], spans: Ledger | None, audit: Audit) -> str:
    """What an input tells in which nothing counts drafted tokens."""
    if SILENT in audit.windows["family"].to_list():
        return f"speed in {audit.windows.height:,} records; {SILENT}"
    if (role := next((e.what for e in audit.events if e.kind == "role"), None)) is not None:
        return f"nothing is counted: {role}"
    if spans is not None:
        return f"{in_words(spans)}; a profile counts no tokens"
    if speed and not speed[0].drafting:
        return f"no drafted token is counted: plain decoding, speed in {speed[0].rows.height:,} records"
    if audit.texts.why:
        why, n = audit.texts.why.most_common(1)[0]
        return f"{n:,} of {audit.texts.responses:,} responses were not judged: {why}"
    return "nothing in the input counts drafted or accepted tokens"


def _nothing_read(audit: Audit) -> Judge:
    """The verdict where no step, count, announcement or response was read: what most lines were lost to."""
    lost = max((x for i in audit.inputs for x in i.losses if x.kind != "other"), key=lambda x: x.count, default=None)
    bare = [n for i in audit.inputs for n in i.notices if n.kind == "bare"]
    if lost is None and bare:
        told = Headline(f"{sum(n.count for n in bare):,} {BARE}: {bare[0].advice}")
        return lambda _rows, _incident: ("cannot-tell", told)
    headline = "no step was read" if lost is None else f"no step was read: {lost.what} ({lost.path}:{lost.line or 1})"
    return lambda _rows, _incident: ("cannot-tell", Headline(headline))
