"""One night added to the history: what is new in the inputs, tallied, joined to its night, committed, and told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from sdtrace.audit.audit import Audit, Keep, Span, audit
from sdtrace.audit.opened import OpenInput
from sdtrace.audit.parts import Parts
from sdtrace.diagnosis.law_choice import Fit
from sdtrace.errors import NoInputError, SdtraceError, UsageError
from sdtrace.history import clock
from sdtrace.history.alarm import Alarm
from sdtrace.history.alarms import alarms, late
from sdtrace.history.audit_store import fits, together
from sdtrace.history.dedup import Content, Rest, content
from sdtrace.history.record import record
from sdtrace.history.section import with_history
from sdtrace.history.services import without_credentials
from sdtrace.history.state import Night, State
from sdtrace.pipeline import Inputs, audited, diagnosis_and_report, read
from sdtrace.readers import Opened, guard
from sdtrace.readers.inputs import Input
from sdtrace.readers.io.paths import expand
from sdtrace.results.check import Check
from sdtrace.results.report import Report
from sdtrace.schema.json_values import Json
from sdtrace.verify.rulings import Rulings

T = TypeVar("T")
#: Inputs that a record names as set aside.
_NAMED = 20


@dataclass(frozen=True)
class Aside:
    """An input that was not counted, why, and what to do about it; `error` is what ended it, if anything did."""

    path: str
    why: str
    advice: str
    error: SdtraceError | None = None

    @classmethod
    def of(cls, path: str, error: SdtraceError) -> "Aside":
        """The input that an error is about."""
        return cls(without_credentials(path), error.of(path), error.hint, error)


@dataclass
class Addition:
    """What became of the inputs: nights added to (amended where they were there before), inputs that count already, those
    that came too late or from a time ahead of the clock, and those that nothing could be made of.

    `notes` are inputs that count in part: some times are ahead of the clock, or the end was not read. `faults` is what an
    earlier night than the last was found to have, now that more of it is known.
    """

    added: list[str] = field(default_factory=list)
    amended: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    late: list[Aside] = field(default_factory=list)
    unread: list[Aside] = field(default_factory=list)
    notes: list[Aside] = field(default_factory=list)
    faults: list[Alarm] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Group:
    """Inputs of one night, audited."""

    night: str
    sources: "list[_NewInput]"
    audit: Audit
    overridden: dict[str, Fit]


def add(state: State, inputs: Inputs, *, night: str | None = None, format: str | None = None) -> Addition:
    """Count what is new in the inputs. `night` is YYYY-MM-DD; without it an input belongs to the day (UTC) of its last
    step that is not ahead of the clock, and one without times to that of the others, or to today.

    An input that cannot be read is set aside. Raises NoInputError and UsageError as `report` where that leaves none, and
    StateError. Nothing is committed before all of it is tallied.
    """
    night = None if night is None else checked(night)
    done = Addition()
    new = _new(state, inputs, night, format, done)
    made: dict[str, Night] = {}
    before: dict[str, list[Json]] = {}
    for group in _groups(list(new), night, done) if new else ():
        name = group.night
        held = name in state.every()
        earlier = state.audit(name) if held else None
        why = _closed(state, name, earlier, group.audit) if held else None
        if why is not None:
            advice = "--night DATE counts it as data of another night"
            done.late += [Aside(s.path, f"too late, {why}", advice) for s in group.sources]
            continue
        (done.amended if held else done.added).append(name)
        counted = list(state.record(name)["inputs"]) if held else []
        before[name] = list(state.record(name)["causes"]) if held else []
        whole = group.audit if earlier is None else together([earlier, group.audit])
        made[name] = _night(
            name, whole, group.overridden, [*counted, *(new[s].plain(s.path) for s in group.sources)], done.unread
        )
    if not (made or done.known or done.late):
        nothing = NoInputError("no file in there", "name the logs of the night")
        raise next((one.error for one in done.unread if one.error), nothing)
    if made:
        state.commit(made)
        done.faults = late(state.records(), before, state.manifest["acknowledged"])
    return done


def _closed(state: State, night: str, before: Audit | None, audit: Audit) -> str | None:
    """Why the sums of new inputs cannot be added to a night that is there; None where they can."""
    if before is None or (why := state.closed(night)) is not None:
        return state.closed(night)
    return why if fits(before, audit) else "another version wrote its night"


def _new(
    state: State, inputs: Inputs, night: str | None, format: str | None, done: Addition
) -> "dict[_NewInput, Content]":
    counted = [c for n in state.every() for c in state.record(n)["inputs"]]
    found: dict[_NewInput, Content] = {}

    def attempt(path: str, work: Callable[[], list[T]]) -> list[T]:
        result = _attempted(path, work)
        if not isinstance(result, SdtraceError):
            return result
        done.unread.append(Aside.of(path, result))
        return []

    named = [str(inputs)] if isinstance(inputs, str | Path) else [str(path) for path in inputs]
    files = [file for path in named for file in attempt(path, partial(expand, [path]))]
    for file in dict.fromkeys(files):
        for opened in attempt(file, partial(read, file, format=format)):
            today = clock.today().isoformat()
            for what in attempt(file, partial(_contents, opened, night or today, counted)):
                if what.known:
                    done.known.append(opened.path)
                    continue
                counted.append(what.plain(opened.path))
                found[_NewInput(opened, what.skip)] = what
    return found


def _contents(opened: Opened, night: str, counted: Sequence[Json]) -> list[Content]:
    return [content(opened, night, counted)]


def _attempted(path: str, work: Callable[[], T]) -> T | SdtraceError:
    """What comes of work on one input; whatever goes wrong there is that input's."""
    try:
        return work()
    except SdtraceError as error:
        return error
    except BaseException as error:
        if not guard.bears(error):
            raise
        what, advice = guard.reason(path, error)
        return NoInputError(what, advice, path)


class _NewInput(Rest):
    """An input by identity: a key of what is known of it."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def _groups(sources: "list[_NewInput]", night: str | None, done: Addition) -> list[_Group]:
    """Inputs by night, each group audited. Only inputs of several nights, or beside one that fails, are read twice."""
    every, found, overridden = _readable(sources, done)
    if not every:
        return []
    if night is not None:
        return [_Group(night, every, found, overridden)]
    groups: dict[str, list[_NewInput]] = {}
    days = {s: datetime.fromtimestamp(s.last_at, UTC).date().isoformat() for s in every if s.last_at is not None}
    last = max(days.values(), default=clock.today().isoformat())
    for source in every:
        if source.ahead is not None and source not in days:
            done.late.append(Aside(source.path, *_too_early(source.ahead)))
            continue
        if source.ahead is not None:
            done.notes.append(Aside(source.path, *_too_early(source.ahead)))
        groups.setdefault(days.get(source, last), []).append(source)
    if len(groups) == 1 and sum(map(len, groups.values())) == len(every):
        return [_Group(last, every, found, overridden)]
    return [_Group(day, mine, *_audited(mine)) for day, mine in sorted(groups.items())]


def _audited(sources: "list[_NewInput]") -> tuple[Audit, dict[str, Fit]]:
    """Requests of a single input are followed too: what comes later for this night may be the rest of them."""
    return audited(sources, machines=_followed)


def _followed(
    sources: Sequence[OpenInput], checks: Sequence[Check], keep: Keep | None, rulings: Rulings | None, span: Span
) -> Audit:
    return audit(sources, checks, keep, rulings, span, parts=Parts())


def _too_early(at: float) -> tuple[str, str]:
    said = datetime.fromtimestamp(at, UTC).date().isoformat() if at < 2.5e11 else "after the year 9000"
    today = clock.today().isoformat()
    why = f"times ahead of the clock by more than a day (up to {said}; this machine says {today})"
    return why, "set the clock of what wrote it, or of this machine; --night DATE counts it whatever its times say"


def _readable(sources: "list[_NewInput]", done: Addition) -> "tuple[list[_NewInput], Audit, dict[str, Fit]]":
    """Those of the inputs that can be read, and the audit of them."""
    whole = _attempted(sources[0].path, partial(_audited, sources))
    if isinstance(whole, SdtraceError):
        alone = {source: _attempted(source.path, partial(_audited, [source])) for source in sources}
        failed = {source: error for source, error in alone.items() if isinstance(error, SdtraceError)}
        if not failed:
            raise whole
        done.unread += [Aside.of(source.path, error) for source, error in failed.items()]
        sources = [source for source in sources if source not in failed]
        whole = _audited(sources)
    audit, overridden = whole
    kept: list[tuple[_NewInput, Input]] = []
    for source, one in zip(sources, audit.inputs, strict=True):
        if _is_empty(one):
            loss = next(x for x in one.losses if x.kind != "other")
            error = NoInputError(f"nothing in it can be read: {loss.what}", loss.advice, source.path)
            done.unread.append(Aside.of(source.path, error))
            continue
        if one.failed:
            done.notes.append(Aside(source.path, f"read in part: {one.losses[-1].what}", one.losses[-1].advice))
        kept.append((source, one))
    return [source for source, _ in kept], replace(audit, inputs=[one for _, one in kept]), overridden


def _is_empty(one: Input) -> bool:
    """Whether an input had something to say of which nothing could be read."""
    there = one.runs + one.requests + one.steps + one.windows + one.records
    return not there and any(loss.kind != "other" for loss in one.losses)


def checked(night: str) -> str:
    """The name of a night. Raises UsageError for what is no date, and for one that no night can have by now."""
    try:
        day = clock.night(night)
    except ValueError:
        raise UsageError(f"--night {night}: no date", "write it as 2026-11-24") from None
    if day > clock.last_night():
        today = clock.today().isoformat()
        raise UsageError(f"--night {night}: ahead of the clock by more than a day", f"today is {today} (UTC)")
    if day < clock.FIRST:
        raise UsageError(f"--night {night}: before {clock.FIRST}", "no log of an engine is that old")
    return night


def _night(name: str, audit: Audit, overridden: dict[str, Fit], inputs: list[Json], unread: Sequence[Aside]) -> Night:
    found, report = diagnosis_and_report(audit, overridden)
    aside = [{"path": one.path, "why": one.why} for one in unread[:_NAMED]]
    return Night(record(name, audit, found, inputs) | ({"aside": aside} if aside else {}), report, audit)


def report_of(state: State, night: str, faults: Sequence[Alarm] = ()) -> Report:
    """The report of a night, with the history as it stood then. `faults` are alarms of nights before it that are news."""
    upto = [state.record(n) for n in state.nights() if n <= night]
    return with_history(state.report(night), upto, state.manifest["acknowledged"], faults)


def standing(state: State) -> list[Alarm]:
    """The alarms of the last night."""
    return alarms(state.records(), state.manifest["acknowledged"])


def acknowledge(state: State, names: Sequence[str], until: str, why: str) -> None:
    """Note that alarms are known: they are shown, and do not alarm before `until` (YYYY-MM-DD) has passed.

    Raises UsageError for an alarm that does not stand and for a date that is none.
    """
    try:
        clock.night(until)
    except ValueError:
        raise UsageError(f"--until {until}: no date", "write it as 2026-12-24") from None
    known = {a.id for a in standing(state)}
    for name in names:
        if name not in known:
            raise UsageError(
                f"--acknowledge {name}: no such alarm stands", f"standing: {', '.join(sorted(known)) or 'none'}"
            )
    kept = [a for a in state.manifest["acknowledged"] if a["alarm"] not in names]
    night = state.nights()[-1]
    new = [{"alarm": name, "night": night, "until": until, "why": why} for name in names]
    state.commit({}, acknowledged=[*kept, *new])
