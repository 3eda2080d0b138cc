"""The parts of a report as typed values, read from its document. What is not known is None, never 0; times are Unix seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from sdtrace.results.advice import Advice
from sdtrace.results.headline import Covered
from sdtrace.results.words import Blame, Certainty, Side, State, VerdictState
from sdtrace.schema.json_values import Json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

#: What of a figure or of the input changed.
What = Literal[
    "acceptance",
    "tokens_per_step",
    "step_time",
    "throughput",
    "load",
    "draft_length",
    "error",
    "restart",
    "configuration",
    "cache",
]
#: What a comparison came to.
Answer = Literal["regressed", "improved", "fine", "inconclusive"]
#: What became of a cause from the base to the candidate.
Turned = Literal["fixed", "still", "new"]
Part = TypeVar("Part", bound="DataclassInstance")


class Interval(NamedTuple):
    """Both ends of a 95% interval, in the unit of its figure."""

    low: float
    high: float


@dataclass(frozen=True)
class Coverage:
    """Of what the verdict speaks: which of the four were judged."""

    speed: Covered
    acceptance: Covered
    correctness: Covered
    metrics: Covered


@dataclass(frozen=True)
class Verdict:
    """The answer in one word and one sentence. `blame`: at whom proved and statistical causes point; `not_checked`: sentences."""

    state: VerdictState
    blame: tuple[Blame, ...]
    headline: str
    not_checked: tuple[str, ...]
    coverage: Coverage

    @classmethod
    def of(cls, row: Json) -> "Verdict":
        return _made(cls, row, coverage=_made(Coverage, row["coverage"]))


@dataclass(frozen=True)
class Cause:
    """Why it is so. `evidence`: rows with what is known of path, line, request_id, step, position, p, q, r, command."""

    cause: str
    side: Side
    certainty: Certainty
    blame: Blame
    headline: str
    advice: str
    checks: tuple[str, ...]
    evidence: tuple[Mapping[str, object], ...]
    effect: str | None
    refuted_by: str | None
    next: Advice | None

    @classmethod
    def of(cls, row: Json) -> "Cause":
        step = row.get("next")
        return _made(cls, row, next=None if step is None else Advice(**step))


@dataclass(frozen=True)
class Check:
    """What a check came to, in `examined` rows of `total`. `missing`: columns that held no value; `value`: its own figure."""

    code: str
    name: str
    state: State
    examined: int
    total: int
    missing: tuple[str, ...]
    value: float | None
    headline: str


@dataclass(frozen=True)
class Affected:
    """How much of the traffic an incident touched; `share` is of the steps."""

    requests: int | None
    steps: int | None
    tokens: int | None
    share: float | None


@dataclass(frozen=True)
class Change:
    """A figure of a series left its level, or something happened. `before` and `after` in its own unit; `where`: path:line."""

    what: What
    series: str
    at: float | None
    before: float | None
    after: float | None
    where: str
    until: float | None
    says: str | None


@dataclass(frozen=True)
class Incident:
    """One root cause and its signs. `until` is None while it lasts; `from_start`: the record holds no time before it."""

    root: str
    since: float | None
    until: float | None
    affected: Affected
    consequences: tuple[str, ...]
    from_start: bool
    change: Change | None

    @classmethod
    def of(cls, row: Json) -> "Incident":
        change = None if row["change"] is None else _made(Change, row["change"])
        return _made(cls, row, affected=_made(Affected, row["affected"]), change=change)


@dataclass(frozen=True)
class Series:
    """The acceptance of one engine, rank, pod, replica, slot, drafter, model or adapter, in tokens and steps."""

    by: str
    name: str
    steps: int | None
    drafted: int | None
    accepted: int | None
    tokens_per_step: float | None
    state: str


@dataclass(frozen=True)
class AcceptanceIntervals:
    """95% intervals of figures, clustered by request; None where the record cannot tell them."""

    tokens_per_step: Interval | None
    rate_of_drafted: Interval | None
    rate_of_tested: Interval | None
    excess: Interval | None


@dataclass(frozen=True)
class Acceptance:
    """Counts in steps and tokens, rates as fractions, one entry a draft position from 0 (`sdtrace help reading-a-report`).

    `definitions`: what each engine and tool would have printed for the same traffic.
    """

    steps: int | None
    drafted: int | None
    tested: int | None
    accepted: int | None
    tokens_per_step: float | None
    rate_of_drafted: float | None
    rate_of_tested: float | None
    marginal_by_position: tuple[float | None, ...]
    conditional_by_position: tuple[float | None, ...]
    expected_rate: float | None
    excess: float | None
    expected_tokens_per_step: float | None
    #: what `tokens_per_step` is a mean over
    per: Literal["step", "drafting step"]
    intervals: AcceptanceIntervals
    definitions: Mapping[str, float | None]
    series: tuple[Series, ...]

    @classmethod
    def of(cls, row: Json) -> "Acceptance":
        ends = {name: None if pair is None else Interval(*pair) for name, pair in row["ci"].items() if name != "level"}
        series = made(Series, row.get("series") or ())
        return _made(cls, row, intervals=_made(AcceptanceIntervals, ends), series=series)


@dataclass(frozen=True)
class Time:
    """Mean milliseconds of an engine step and of its parts, and what speculation gains: `speedup` is over plain decoding."""

    step_ms: float | None
    draft_ms: float | None
    verify_ms: float | None
    sample_ms: float | None
    unattributed_ms: float | None
    baseline_ms: float | None
    baseline_basis: str | None
    speedup: float | None
    speedup_low: float | None
    speedup_high: float | None
    break_even_tokens_per_step: float | None
    bottleneck: str | None


@dataclass(frozen=True)
class DraftLength:
    """What a draft of `tau` tokens a step would do; `basis` says how well it is known, `low` and `high` are of tokens_per_step."""

    tau: int
    tokens_per_step: float | None
    step_ms: float | None
    speedup: float | None
    basis: str
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Tuning:
    """The draft length in force and the best one, in tokens; 0 is no speculation, None is not known."""

    current: int | None
    best: int | None
    curve: tuple[DraftLength, ...]
    advice: tuple[str, ...]

    @classmethod
    def of(cls, row: Json) -> "Tuning":
        lengths = row["tau"] or {}
        said = tuple(str(one["text"]) for one in row["advice"])
        return _made(cls, lengths, curve=made(DraftLength, lengths.get("curve") or ()), advice=said)


@dataclass(frozen=True)
class Metric:
    """A figure of both sides; `change` is relative, with the ends of its 95% interval."""

    name: str
    base: float | None
    candidate: float | None
    change: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class TurnedCause:
    """A cause on both sides of a comparison: how certain it was in the base and is in the candidate, None where it is not there."""

    cause: str
    was: Certainty | None
    now: Certainty | None
    change: Turned
    headline: str


@dataclass(frozen=True)
class Comparison:
    """What changed from a base to a candidate. `configuration`: what differs, as (base, candidate)."""

    answer: Answer
    metrics: tuple[Metric, ...]
    causes: tuple[TurnedCause, ...]
    configuration: Mapping[str, tuple[object, object]]

    @classmethod
    def of(cls, row: Json) -> "Comparison":
        pairs = {name: (base, candidate) for name, (base, candidate) in row["configuration"].items()}
        return _made(
            cls,
            row,
            metrics=made(Metric, row["metrics"]),
            causes=made(TurnedCause, [one | {"now": one["is"]} for one in row["causes"]]),
            configuration=pairs,
        )


def made(kind: type[Part], rows: Sequence[Json]) -> tuple[Part, ...]:
    """Rows of the document, each as a typed value."""
    return tuple(_made(kind, row) for row in rows)


def _made(kind: type[Part], row: Json, **known: object) -> Part:
    """A value of the keys that its type names; `known` are those that are values themselves, lists become tuples."""
    names = [field.name for field in fields(kind)]
    held = {name: known[name] if name in known else row.get(name) for name in names}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in held.items()})
