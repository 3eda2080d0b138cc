"""Traces that never become a file: made, audited and diagnosed in memory."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl

from sdtrace.checks import CHECKS
from sdtrace.diagnosis.diagnose import Diagnosis, diagnose
from sdtrace.pipeline import audited
from sdtrace.results.not_checked import sentences
from sdtrace.schema.trace import Batch
from sdtrace.simulate import LEVELS, Settings, simulate
from tests.power.worlds import WORLDS

#: Columns that each level adds; a lower level is the same trace without them.
ADDED = {
    "sums": ("overlap", "target_sq", "draft_sq", "target_entropy", "draft_entropy", "target_argmax_ids", "target_top2_gap"),
    "draws": ("uniforms",),
    "rows": ("target_top_ids", "target_top_probs", "draft_top_ids", "draft_top_probs"),
}  # fmt: skip

#: What alone shows a rule that is lossy by configuration.
DECLARED = ("SD191",)


@dataclass(frozen=True)
class Made:
    """A source of batches that are already there."""

    held: tuple[Batch, ...]
    path: str = "made"
    format: str = "simulated"
    engine: str | None = None
    verified: bool = True  #: no disk and no wire between

    def batches(self) -> Iterator[Batch]:
        return iter(self.held)


@dataclass(frozen=True)
class Verdict:
    """What a report says: causes of side wrong, strongest first, and the checks that fired."""

    causes: tuple[str, ...]
    fired: tuple[str, ...]
    notes: tuple[str, ...]


def made(settings: Settings, world: str = "zipf") -> Made:
    """The whole trace of some settings, in memory."""
    return Made(tuple(simulate(settings, WORLDS[world])))


def at_level(source: Made, level: str, law: str = "ratio") -> Made:
    """The same trace with fewer columns."""
    gone = [n for name, columns in ADDED.items() if LEVELS.index(name) > LEVELS.index(level) for n in columns]
    if law == "greedy":
        gone = [n for n in gone if not n.startswith("target_")]
    held = (
        replace(b, steps=b.steps.with_columns(pl.lit(None, b.steps.schema[n]).alias(n) for n in gone))
        for b in source.held
    )
    return Made(tuple(held))


def diagnosed(source: Made) -> Diagnosis:
    """Audit and diagnose, the pass repeated where the record or another law asks for it, as `sdtrace report` does."""
    found, other = audited([source])
    return diagnose(found, CHECKS, other)


def accusations(source: Made, record_fault: bool = False) -> tuple[str, ...]:
    """Causes of side wrong or metric that are more than suspected, with the checks that show them. A record that is at
    fault may be told so, and a run that declares a lossy rule says so itself."""
    causes = [c for c in diagnosed(source).causes if c.checks != DECLARED]
    sides = ("wrong",) if record_fault else ("wrong", "metric")
    rows = [c for c in causes if c.side in sides and c.certainty != "suspected"]
    return tuple(f"{c.cause} ({c.certainty}: {', '.join(c.checks)}) {c.headline}" for c in rows)


def judged(source: Made) -> Verdict:
    """What a report says of it, but that a rule is lossy which the run declares."""
    found = diagnosed(source)
    wrong = tuple(c.cause for c in found.causes if c.side in ("wrong", "metric") and c.checks != DECLARED)
    return Verdict(
        wrong, tuple(c for c, o in found.outcomes.items() if o.state == "fired"), tuple(sentences(found.not_checked))
    )
