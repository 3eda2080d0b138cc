"""Made traces with a known truth: a law, a log level, and at most one planted fault or one lawful oddity. SYNTHETIC.

    trace = simulate(Scenario(law="ratio", fault="lenience-0.9", log=Log(dtype="bfloat16")))
    trace.write(path)           # JSON Lines of format 1
    trace.tested, trace.wrong   # decisions made, and how many of them the law would have made otherwise
    trace.distance              # total variation between emitted tokens and p, per tested slot (None: not defined)

Everything follows from the seed.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tests.made import laws
from tests.made.faults import FAULTS_AND_QUIET, Fault
from tests.made.log import Log, Record, request_records, run_record, step_records
from tests.made.world import Flags, Shape, World, make

#: A lawful oddity: edits the records (run, requests, steps) of a finished trace in place.
Edit = Callable[[Record, list[Record], list[Record], np.random.Generator], None]

ARGMAX_LAWS = ("one-hot", "tree-coin")


@dataclass(frozen=True)
class Scenario:
    """`fault` is a name in FAULTS or QUIET, and then brings its law along; `greedy_share`: requests at temperature 0.

    `remake` changes the world that the engine sees, `shown` the one that the recorder sees, `edit` the records.
    """

    law: str = "ratio"
    fault: str | None = None
    seed: int = 0
    shape: Shape = field(default_factory=Shape)
    log: Log = field(default_factory=Log)
    greedy_share: float = 0.0
    remake: Callable[[World, np.random.Generator], World] | None = None
    shown: Callable[[World], World] | None = None
    edit: Edit | None = None


@dataclass(frozen=True)
class Trace:
    """The records, and the truth about them."""

    run: Record
    requests: list[Record]
    steps: list[Record]
    log: Log
    tested: int
    wrong: int
    distance: float | None

    def lines(self) -> list[Record]:
        """The objects of the file in its order."""
        if self.log.bare:
            return [{key: value for key, value in step.items() if key != "run_id"} for step in self.steps]
        if self.log.order == "requests-last":
            return [*self.steps, *self.requests, self.run]
        if self.log.order == "interleaved":
            return [self.run, *self.requests, *sorted(self.steps, key=lambda step: (step["step"], step["request_id"]))]
        mine: dict[str, list[Record]] = {}
        for step in self.steps:
            mine.setdefault(step["request_id"], []).append(step)
        return [self.run, *(line for made in self.requests for line in (made, *mine.get(made["request_id"], [])))]

    def write(self, path: Path) -> Path:
        """JSON Lines; null keys are left out, NaN and Infinity stand bare."""
        with path.open("w", encoding="utf-8") as file:
            for record in self.lines():
                kept = {key: value for key, value in record.items() if value is not None}
                file.write(_line(kept) + "\n")
        return path


def _line(record: Record) -> str:
    """A record as JSON; orjson has no word for what is no number, and none for half a character."""
    try:
        line = orjson.dumps(record).decode()
    except TypeError:
        line = "null"
    return json.dumps(record, separators=(",", ":")) if "null" in line else line


def simulate(scenario: Scenario) -> Trace:
    """Make the trace of a scenario."""
    rng = np.random.default_rng([scenario.seed, 20260])
    fault = FAULTS_AND_QUIET[scenario.fault] if scenario.fault else Fault("")
    law = fault.law if scenario.fault else scenario.law
    shape = scenario.shape
    if law in ARGMAX_LAWS or law == "greedy":
        shape = replace(shape, argmax_draft=True)
    world = make(shape, rng)
    for change in (scenario.remake, fault.world):
        world = change(world, rng) if change else world
    outcome, each = _verify(world, law, fault, scenario.greedy_share, rng)
    tested = np.arange(world.x.shape[1]) <= np.minimum(outcome.n_a, world.verified - 1)[:, None]
    recorded = scenario.shown(world) if scenario.shown else world
    steps = step_records(recorded, outcome, each, shape.argmax_draft, scenario.log)
    temperature = {step["request_id"]: 0.0 if each[i] == "greedy" else 1.0 for i, step in enumerate(steps)}
    run = run_record(law, shape.argmax_draft, shape.tau[1], shape.vocab, scenario.log)
    requests = request_records(steps, temperature)
    if fault.write:
        fault.write(steps, requests, rng)
    if scenario.edit:
        scenario.edit(run, requests, steps, rng)
    return Trace(
        run,
        requests,
        steps,
        scenario.log,
        int(tested.sum()),
        int((tested & (outcome.accept != outcome.lawful)).sum()),
        _distance(world, law, fault, tested),
    )


def _verify(
    world: World, law: str, fault: Fault, greedy_share: float, rng: np.random.Generator
) -> tuple[laws.Outcome, list[str]]:
    """The engine's outcome, and the law that judged each step."""
    outcome = _engine(world, law, fault, rng)
    count = int(world.request.max()) + 1
    cold = (np.arange(count) < round(greedy_share * count))[world.request]
    if cold.any():
        other = laws.greedy(world, rng)
        outcome = laws.Outcome(
            np.where(cold[:, None], other.accept, outcome.accept),
            np.where(cold, other.n_a, outcome.n_a),
            np.where(cold, other.y, outcome.y),
            np.where(cold[:, None], other.lawful, outcome.lawful),
        )
    return outcome, ["greedy" if one else law for one in cold]


def _engine(world: World, law: str, fault: Fault, rng: np.random.Generator) -> laws.Outcome:
    """The law's own outcome where nothing was planted in it."""
    outcome = fault.outcome(world, rng) if fault.outcome else None
    if outcome is None and (fault.level or fault.decide or fault.weights):
        decide = fault.decide or laws.by_level(fault.level or laws.ratio_level)
        outcome = laws.tokenwise(world, decide, fault.weights or laws.residual, rng)
    outcome = outcome or laws.LAWS[law](world, rng)
    return fault.emit(world, outcome, rng) if fault.emit else outcome


def _distance(world: World, law: str, fault: Fault, tested: Flags) -> float | None:
    """Total variation per tested slot, where a level and weights say it; faults of another kind leave it undefined."""
    if law not in ("ratio", *ARGMAX_LAWS) or fault.decide or fault.emit or fault.write or fault.world:
        return None
    with np.errstate(invalid="ignore"):
        chance = np.clip((fault.level or laws.ratio_level)(world), 0, 1)
    return laws.distance(world, tested, chance, (fault.weights or laws.residual)(world))


def document(path: Path | list[Path]) -> dict[str, Any]:
    """The JSON of `sdtrace report` on a trace; imported late, so that the tests of the simulator need nothing else."""
    import sdtrace

    paths = [str(one) for one in path] if isinstance(path, list) else str(path)
    return dict(sdtrace.report(paths).document)


@cache
def documented(scenario: Scenario) -> dict[str, Any]:
    """The JSON of a report on the trace of a scenario: made once a session, to be read only. Its paths are gone."""
    with tempfile.TemporaryDirectory() as folder:
        return document(simulate(scenario).write(Path(folder) / "trace.jsonl"))


@cache
def documented_lines(lines: str) -> dict[str, Any]:
    """The same of the text of a trace."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.jsonl"
        path.write_text(lines)
        return document(path)
