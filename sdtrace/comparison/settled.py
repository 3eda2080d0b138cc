"""What became of each cause: fixed, still there, new; and the answer where a fault of the base is gone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sdtrace.comparison.answer import Answer
from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.document.about import settings
from sdtrace.results.cause import Cause
from sdtrace.results.words import Certainty, Side
from sdtrace.schema.run import Run

#: What became of a cause; None where the candidate does not record what would show it.
Fate = Literal["fixed", "still", "new"]
_ORDER: tuple[Fate | None, ...] = ("new", "still", "fixed", None)


@dataclass(frozen=True)
class Settled:
    """`was` and `now`: its certainty on each side, None where it is not there. `headline` is the candidate's, or the base's."""

    cause: str
    side: Side
    was: Certainty | None
    now: Certainty | None
    change: Fate | None
    headline: str

    def row(self) -> dict[str, Any]:
        """A row of `diff.causes`."""
        named = {"cause": self.cause, "was": self.was, "is": self.now, "change": self.change}
        return named | {"side": self.side, "headline": self.headline}


def settled(base: Diagnosis, candidate: Diagnosis) -> list[Settled]:
    """One row a cause of either side that is more than suspected on one of them: new ones, those that stay, fixed ones."""
    before, after = ({c.cause: c for c in side.causes} for side in (base, candidate))
    rows = []
    for name in dict.fromkeys([*before, *after]):
        was, now = before.get(name), after.get(name)
        if all(c is None or c.certainty == "suspected" for c in (was, now)):
            continue
        told = now or was
        assert told is not None
        fate = _fate(was, now, candidate)
        one, other = (None if c is None else c.certainty for c in (was, now))
        rows.append(Settled(name, told.side, one, other, fate, told.headline))
    return sorted(rows, key=lambda row: _ORDER.index(row.change))


def _fate(was: Cause | None, now: Cause | None, candidate: Diagnosis) -> Fate | None:
    if was is None:
        return "new"
    if now is not None:
        return "still"
    return "fixed" if _seen(was, candidate) else None


def _seen(was: Cause, candidate: Diagnosis) -> bool:
    """Whether the candidate records what showed the cause: one of its checks is clear, or speed and acceptance are judged."""
    known = [candidate.outcomes[code].state for code in was.checks if code in candidate.outcomes]
    if known:
        return "clear" in known
    coverage = candidate.coverage
    return coverage["acceptance"] == "judged" if was.side == "slow" else coverage["correctness"] == "judged"


def answered(answer: Answer, rows: Sequence[Settled]) -> Answer:
    """The answer with what was mended in front. A fault of the text that is gone is an improvement, whatever its speed was worth;
    one of speed is where no figure has an interval that would tell. Not where something is wrong still or anew."""
    fixed = [row for row in rows if row.change == "fixed" and row.side in ("wrong", "slow")]
    wrong = [row for row in rows if row.side == "wrong" and row.change in ("new", "still") and row.now != "suspected"]
    if not fixed:
        return answer
    says = f"fixed: {', '.join(row.cause for row in fixed)}; {answer.says}"
    mended = any(row.side == "wrong" for row in fixed)
    change = None if answer.metric is None else answer.metric.change
    if wrong or (not mended and change is not None and change.low is not None):
        return replace(answer, says=says)
    return replace(answer, word="improved", says=says, needed=None)


def differences(sides: Sequence[Mapping[str, Any]], runs: Sequence[Run]) -> dict[str, tuple[Any, Any]]:
    """What run lines, logs and announcements say differently. `sides`: what each report is about; `runs`: a run line of each."""
    values = [_flat(about, run) for about, run in zip(sides, runs, strict=True)]
    names = [name for name in dict.fromkeys([*values[0], *values[1]]) if values[0].get(name) != values[1].get(name)]
    return {name: (values[0].get(name), values[1].get(name)) for name in names[:_MOST]}


#: Settings that are listed.
_MOST = 40
_RUN = ("draft_sampling", "prob_basis", "prob_dtype", "rule", "rule_params", "vocab_size")


def _flat(about: Mapping[str, Any], run: Run) -> dict[str, Any]:
    engines = about["engines"]
    found = {
        "engine": _one([e["engine"] for e in engines]),
        "engine_version": _one([e["version"] for e in engines if e["version"]]),
        "method": _one(about["methods"]),
        "target_model": _one(about["target_models"]),
        "draft_model": _one(about["draft_models"]),
        "num_draft_tokens": _one(about["draft_lengths"]),
        "precision": _one(about["precision"]),
        **{name: getattr(run, name) for name in _RUN},
        **{name: _one(values) for name, values in about["sampling"].items()},
        **{f"config.{name}": value for name, value in settings([run]).items()},
    }
    return {name: value for name, value in found.items() if value is not None}


def _one(values: Sequence[Any]) -> Any:
    return None if not values else values[0] if len(values) == 1 else ", ".join(str(v) for v in values)
