"""Coverage of the 95% intervals that are printed, and how often equal sides of a comparison are called different.

python -m tests.coverage [--times 200] [--only WORD]; exit code 1 where an interval covers less often or more than chance allows.
"""

import argparse
import math
from collections import Counter
from dataclasses import dataclass, field, replace

from sdtrace.audit.audit import Audit
from sdtrace.checks import CHECKS
from sdtrace.comparison.compare import change
from sdtrace.diagnosis.diagnose import Diagnosis, diagnose
from sdtrace.pipeline import audited
from sdtrace.simulate import Settings
from sdtrace.speed.sections import slice_section
from sdtrace.tuning.document import tuning
from sdtrace.tuning.run import Asked
from sdtrace.tuning.sample import of_tally
from tests.coverage.made import DRAFT, PLAIN, World, made
from tests.power.judge import Made
from tests.power.judge import made as simulated

WORLDS = {
    "requests alone": World(),
    "sessions of 6": World(session=6),
    "weather of 10%": World(weather=0.1),
    "sessions and weather": World(session=6, weather=0.1),
}
#: What an interval must cover, and a share of all answers that may be false.
LEAST, MOST, FALSE = 0.93, 0.98, 0.05


@dataclass
class Counts:
    """Intervals by name: how many were printed, how many hold the truth."""

    told: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, low: float | None, high: float | None, truth: float) -> None:
        """One interval; an end that is not printed is open, without either there is none."""
        if low is None and high is None:
            return
        self.told[name] += 1
        self.held[name] += (low is None or low <= truth) and (high is None or truth <= high)

    def bad(self) -> list[str]:
        """Names whose share is outside [LEAST, MOST] by more than two standard errors of the repetition."""
        found = []
        for name, n in self.told.items():
            share, error = self.held[name] / n, 2 * math.sqrt(0.05 * 0.95 / n)
            if not LEAST - error <= share <= MOST + error:
                found.append(name)
        return found


def told(source: Made, baseline_ms: float | None = None) -> tuple[Audit, Diagnosis]:
    """The report of a trace without its pages."""
    audit, other = audited([source])
    return audit, diagnose(audit, CHECKS, other, baseline_ms)


def reports(world: World, seed: int, counts: Counts) -> None:
    """Acceptance, speed-up over a given step, by slice, and the curve of tune."""
    audit, found = told(made(world, seed), PLAIN)
    truth = world.truth
    assert found.acceptance is not None
    for name in ("tokens_per_step", "rate_of_drafted", "rate_of_tested"):
        ends = found.acceptance["ci"][name] or (None, None)
        counts.add(f"acceptance {name}", *ends, truth[name])
    assert found.timing is not None
    if (speed := found.timing.speedup) is not None:
        counts.add("speed-up, given", speed.low, speed.high, truth["tokens_per_step"] * PLAIN / world.step_ms)
    section = slice_section(found.timing)
    for row in section.rows if section is not None else []:
        if str(row[0]).startswith("tags.task"):
            low, high = (None if x is None else float(str(x)) for x in row[5:7])
            counts.add("acceptance by slice", low, high, truth["rate_of_tested"])
    section_of_tau, _ = tuning(of_tally(audit, found.choices), Asked(baseline_ms=PLAIN))
    assert section_of_tau is not None
    for point in section_of_tau["tau"]["curve"]:
        if point["identified"] and 0 < point["tau"] <= DRAFT:
            counts.add(f"tune tokens at {point['tau']}", point["low"], point["high"], world.at(point["tau"]))
            if point["tau"] == DRAFT and point["speedup_low"] is not None:
                speedup = truth["tokens_per_step"] * PLAIN / world.step_ms
                counts.add("tune speed-up", point["speedup_low"], point["speedup_high"], speedup)


def bases(world: World, seed: int, counts: Counts) -> None:
    """The speed-up over plain steps of the same trace, and its upper bound where none is known."""
    mixed = replace(world, plain=0.05)
    _, found = told(made(mixed, seed))
    assert found.timing is not None
    tokens, share = world.truth["tokens_per_step"], 1 - mixed.plain
    if (speed := found.timing.speedup) is not None:
        truth = (share * tokens + mixed.plain) * PLAIN / (share * 20.0 + mixed.plain * PLAIN)
        counts.add("speed-up, plain steps", speed.low, speed.high, truth)
    _, bound = told(made(world, seed))
    assert bound.timing is not None
    counts.add("speed-up, upper bound", None, bound.timing.bounds[1], tokens * 0.8)
    if bound.timing.bounds[0] is not None:
        counts.add("speed-up, lower bound", bound.timing.bounds[0], None, tokens * 0.7)


def comparisons(world: World, seed: int, counts: Counts, answers: Counter[str]) -> None:
    """Equal sides, and sides that differ by a known amount."""
    other = replace(world, mean=world.mean - 0.2, time=1.1)
    base = ("base", *told(made(world, 3 * seed)))
    for name, candidate in (("A/A", world), ("A/B", other)):
        found = change(base, ("candidate", *told(made(candidate, 3 * seed + (1 if name == "A/A" else 2)))))
        before, after = world.truth, candidate.truth
        names = {"accepted_of_drafted": "rate_of_drafted", "accepted_of_tested": "rate_of_tested"}
        for one in found.metrics:
            key = names.get(one.name, one.name)
            if one.change is None or key not in before:
                continue
            counts.add(f"{name} {one.name}", one.change.low, one.change.high, after[key] / before[key] - 1)
        if name == "A/A":
            answers[found.answer.word] += 1
            answers["a confirmed slice"] += any(s.confirmed for s in found.slices)
            for term in found.attribution.terms if found.attribution is not None else []:
                low, high = term.change.low, term.change.high
                if low is not None and high is not None and high - low > 1e-9:
                    counts.add(f"term {term.name}", low, high, 0.0)


def excess(seed: int, counts: Counts) -> None:
    """Accepted beyond expected, of an engine that is right."""
    _, found = told(simulated(Settings(tested=600, vocab=48, seed=90_000 + seed)))
    assert found.acceptance is not None
    counts.add("acceptance excess", *(found.acceptance["ci"]["excess"] or (None, None)), 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--only", default="")
    parser.add_argument("--parts", default="reports,bases,comparisons")
    given = parser.parse_args()
    wrong: list[str] = []
    for name, world in WORLDS.items():
        if given.only not in name:
            continue
        counts, answers = Counts(), Counter[str]()
        for seed in range(given.times):
            if "reports" in given.parts:
                reports(world, seed, counts)
            if "bases" in given.parts:
                bases(world, seed, counts)
            if "comparisons" in given.parts:
                comparisons(world, seed, counts, answers)
            if name == "requests alone" and "reports" in given.parts:
                excess(seed, counts)
        print(f"\n{name} ({given.times} times)")
        for told_name, n in counts.told.items():
            print(f"  {told_name:32} {counts.held[told_name] / n:.3f} of {n}", flush=True)
        if answers:
            print(f"  equal sides: {dict(answers)}", flush=True)
        wrong += [f"{name}: {bad}" for bad in counts.bad()]
        false = answers["regressed"] + answers["improved"]
        if (answers and false > FALSE * given.times) or answers["a confirmed slice"]:
            wrong.append(f"{name}: {false} false answers, {answers['a confirmed slice']} confirmed slices")
    print("\n" + ("; ".join(wrong) if wrong else "every interval covers as it should"))
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
