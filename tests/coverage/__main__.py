"""Coverage of the 95% intervals that are printed, and how often equal sides of a comparison are called different.

python -m tests.coverage [--times 200] [--only WORD]; exit code 1 where an interval covers less often or more than chance allows.
"""

import argparse
import math
from collections import Counter
from dataclasses import dataclass, field, replace

from sdtrace.audit.audit import Audit, audit
from sdtrace.comparison.compare import change
from sdtrace.diagnosis.diagnose import Diagnosis, diagnose
from sdtrace.simulate import Settings
from sdtrace.speed.sections import slice_section
from sdtrace.speed.timing import timing
from sdtrace.tuning.document import tuning
from sdtrace.tuning.run import Asked
from sdtrace.tuning.sample import of_tally
from tests.coverage.made import DRAFT, PARTS, PLAIN, TIME, World, made
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


def told(source: Made) -> tuple[Audit, Diagnosis]:
    """The figures of a trace without its checks and its pages."""
    found = audit([source], ())
    return found, diagnose(found, (), {})


def reports(world: World, read: Audit, found: Diagnosis, counts: Counts) -> None:
    """Acceptance, speed-up over a given step and its bounds, by slice, and the curve of tune."""
    truth = world.truth
    assert found.acceptance is not None
    for name in ("tokens_per_step", "rate_of_drafted", "rate_of_tested"):
        low, high = found.acceptance["ci"][name] or (None, None)
        counts.add(f"acceptance {name}", low, high, truth[name])
    assert found.timing is not None
    section = slice_section(found.timing)
    for row in section.rows if section is not None else []:
        if str(row[0]).startswith("tags.task"):
            ends = [None if x is None else float(str(x)) for x in row[5:7]]
            counts.add("acceptance by slice", ends[0], ends[1], truth["rate_of_tested"])
    speedup, given = truth["tokens_per_step"] * PLAIN / world.step_ms, timing(read, PLAIN)
    if given is not None and given.speedup is not None:
        counts.add("speed-up, given", given.speedup.low, given.speedup.high, speedup)
    # at the ends: plain steps as long as one without its draft, as short as its verification
    counts.add(
        "speed-up, upper bound", None, found.timing.bounds[1], truth["tokens_per_step"] * (1 - PARTS["draft_ms"])
    )
    counts.add("speed-up, lower bound", found.timing.bounds[0], None, truth["tokens_per_step"] * PARTS["verify_ms"])
    tuned, _ = tuning(of_tally(read, found.choices), Asked(baseline_ms=PLAIN))
    assert tuned is not None
    for point in tuned["tau"]["curve"]:
        if point["identified"] and 0 < point["tau"] <= DRAFT:
            counts.add(f"tune tokens at {point['tau']}", point["low"], point["high"], world.at(point["tau"]))
            if point["tau"] == DRAFT and point["speedup_low"] is not None:
                counts.add("tune speed-up", point["speedup_low"], point["speedup_high"], speedup)


def plain_steps(world: World, seed: int, counts: Counts) -> None:
    """The speed-up over plain steps of the same trace."""
    mixed = replace(world, plain=0.05)
    found = timing(audit([made(mixed, seed)], ()))
    tokens, share = world.truth["tokens_per_step"], 1 - mixed.plain
    if found is not None and found.speedup is not None:
        truth = (share * tokens + mixed.plain) * PLAIN / (share * TIME + mixed.plain * PLAIN)
        counts.add("speed-up, plain steps", found.speedup.low, found.speedup.high, truth)


def comparisons(world: World, seed: int, base: tuple[Audit, Diagnosis], counts: Counts, answers: Counter[str]) -> None:
    """Equal sides, and sides that differ by a known amount."""
    other = replace(world, mean=world.mean - 0.2, time=1.1)
    names = {"accepted_of_drafted": "rate_of_drafted", "accepted_of_tested": "rate_of_tested"}
    for number, (name, candidate) in enumerate((("A/A", world), ("A/B", other)), start=1):
        side = told(made(candidate, 1_000_000 * number + seed))
        found = change(("base", *base), ("candidate", *side))
        before, after = world.truth, candidate.truth
        for one in found.metrics:
            key = names.get(one.name, one.name)
            if one.change is not None and key in before:
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
    low, high = found.acceptance["ci"]["excess"] or (None, None)
    counts.add("acceptance excess", low, high, 0.0)


def repeated(world: World, times: int) -> tuple[Counts, Counter[str]]:
    """That many traces of a world, each with its comparisons."""
    counts, answers = Counts(), Counter[str]()
    for seed in range(times):
        base = told(made(world, seed))
        reports(world, *base, counts)
        plain_steps(world, seed, counts)
        comparisons(world, seed, base, counts, answers)
        if world == World():
            excess(seed, counts)
    return counts, answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    wrong: list[str] = []
    for name, world in WORLDS.items():
        if given.only not in name:
            continue
        counts, answers = repeated(world, given.times)
        print(f"\n{name} ({given.times} times)")
        for interval, n in counts.told.items():
            print(f"  {interval:32} {counts.held[interval] / n:.3f} of {n}")
        print(f"  equal sides: {dict(answers)}", flush=True)
        wrong += [f"{name}: {bad}" for bad in counts.bad()]
        false = answers["regressed"] + answers["improved"]
        if false > FALSE * given.times or answers["a confirmed slice"]:
            wrong.append(f"{name}: {false} false answers, {answers['a confirmed slice']} confirmed slices")
    print("\n" + ("; ".join(wrong) if wrong else "every interval covers as it should"))
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
