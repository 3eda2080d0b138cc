"""One night added to the history: what is new in the inputs, tallied, joined to its night, committed, and told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from sdtrace.audit.audit import Audit
from sdtrace.diagnosis.law_choice import Fit
from sdtrace.errors import UsageError
from sdtrace.history.alarms import Alarm, alarms
from sdtrace.history.audit_store import fits, together
from sdtrace.history.dedup import Content, Rest, content
from sdtrace.history.record import record
from sdtrace.history.section import with_history
from sdtrace.history.state import Night, State
from sdtrace.pipeline import Inputs, audited, diagnosis_and_report, read
from sdtrace.results.report import Report


@dataclass
class Told:
    """What became of the inputs: nights added to (amended where they were there before), inputs that count already,
    and those that came too late."""

    added: list[str] = field(default_factory=list)
    amended: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)


def add(state: State, inputs: Inputs, *, night: str | None = None, format: str | None = None) -> Told:
    """Count what is new in the inputs. `night` is YYYY-MM-DD; without it an input belongs to the day (UTC) of its last
    step, and one without times to that of the others, or to today.

    Raises NoInputError and UsageError as `report`, StateError. Nothing is committed before all of it is tallied.
    """
    done = Told()
    new = _new(state, inputs, night, format, done)
    if not new:
        return done
    made: dict[str, Night] = {}
    for name, sources, found, overridden in _by_night(new, night):
        held = name in state.nights()
        before = state.audit(name) if held else None
        if held and (before is None or not fits(before, found)):
            done.late += [s.path for s in sources]
            continue
        (done.amended if held else done.added).append(name)
        counted = list(state.record(name)["inputs"]) if held else []
        whole = found if before is None else together([before, found])
        made[name] = _night(name, whole, overridden, [*counted, *(new[s].plain(s.path) for s in sources)])
    if made:
        state.commit(made)
    return done


def _new(state: State, inputs: Inputs, night: str | None, format: str | None, done: Told) -> "dict[_Source, Content]":
    counted = [c for r in state.records() for c in r["inputs"]]
    found: dict[_Source, Content] = {}
    for opened in read(inputs, format=format):
        what = content(opened, night or _today(), counted)
        if what.known:
            done.known.append(opened.path)
            continue
        counted.append(what.plain(opened.path))
        found[_Source(opened, what.skip)] = what
    return found


class _Source(Rest):
    """An input by identity: a key of what is known of it."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def _by_night(
    sources: "dict[_Source, Content]", night: str | None
) -> "list[tuple[str, list[_Source], Audit, dict[str, Fit]]]":
    """Inputs by night, each group audited. Only inputs of several nights are read twice."""
    every = list(sources)
    found, overridden = audited(every)
    if night is not None:
        return [(_checked(night), every, found, overridden)]
    days = [None if s.last_at is None else datetime.fromtimestamp(s.last_at, UTC).date().isoformat() for s in every]
    last = max((d for d in days if d is not None), default=_today())
    groups: dict[str, list[_Source]] = {}
    for source, day in zip(every, days, strict=True):
        groups.setdefault(day or last, []).append(source)
    if len(groups) == 1:
        return [(last, every, found, overridden)]
    return [(day, mine, *audited(mine)) for day, mine in sorted(groups.items())]


def _checked(night: str) -> str:
    try:
        return date.fromisoformat(night).isoformat()
    except ValueError:
        raise UsageError(f"--night {night}: no date", "write it as 2026-11-24") from None


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _night(name: str, audit: Audit, overridden: dict[str, Fit], inputs: list[dict[str, Any]]) -> Night:
    found, report = diagnosis_and_report(audit, overridden)
    return Night(record(name, audit, found, inputs), report, audit)


def report_of(state: State, night: str) -> Report:
    """The report of a night, with the history as it stood then."""
    upto = [state.record(n) for n in state.nights() if n <= night]
    return with_history(state.report(night), upto, state.manifest["acknowledged"])


def standing(state: State) -> list[Alarm]:
    """The alarms of the last night."""
    return alarms(state.records(), state.manifest["acknowledged"])


def acknowledge(state: State, names: Sequence[str], until: str, why: str) -> None:
    """Note that alarms are known: they are shown, and do not alarm before `until` (YYYY-MM-DD) has passed.

    Raises UsageError for an alarm that does not stand and for a date that is none.
    """
    known = {a.id for a in standing(state)}
    for name in names:
        if name not in known:
            raise UsageError(
                f"--acknowledge {name}: no such alarm stands", f"standing: {', '.join(sorted(known)) or 'none'}"
            )
    try:
        date.fromisoformat(until)
    except ValueError:
        raise UsageError(f"--until-date {until}: no date", "write it as 2026-12-24") from None
    kept = [a for a in state.manifest["acknowledged"] if a["alarm"] not in names]
    state.commit({}, acknowledged=[*kept, *({"alarm": n, "until": until, "why": why} for n in names)])
