"""How the statistical checks read their sums: one statistic a check, with parts that look where it is blind."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sdtrace.results.check import Counts, Outcome
from sdtrace.results.words import State
from sdtrace.stats.significance import LEAST, Reading, bins, read

#: Parts of a calibration that weigh its slots.
_WEIGHTED = ("lenience", "forced", "reuse")


@dataclass(frozen=True)
class Words:
    """`what` is measured, `over` which units; `unit` scales effects: % for points of probability, "" for plain numbers."""

    what: str
    over: str
    unit: str = "%"

    def size(self, value: float) -> str:
        return f"{value:+.2%}" if self.unit == "%" else f"{value:+.3f}"

    def bound(self, value: float) -> str:
        return f"{value:.2%}" if self.unit == "%" else f"{value:.3f}"


@dataclass(frozen=True)
class _Run:
    """The statistic of one run: its main row, the smallest p of its parts and bins, which one that was, and the effect that speaks
    for it: the part's own, but the main one where a part weighs its slots, because a weighted sum is no effect."""

    run_id: str
    main: Reading
    told: Reading
    p: float
    part: str
    fires: bool
    z: float


def calibrated(
    words: Words, *, by_bins: bool = False, parts: tuple[str, ...] = (), least: float = LEAST, unit: bool = False
) -> Callable[[Counts], Outcome]:
    """A reading: fires where the statistic, one of its `parts` (suffixes of the code) or its bins are beyond the level. `unit`: its terms
    lie within [-1, 1], so that few of them may tell, however little variance they have."""

    def outcome(counts: Counts) -> Outcome:
        runs = [_run(rows, counts.level, by_bins, parts, least, unit) for rows in _by_run(counts.sums)]
        runs = [run for run in runs if run is not None]
        if not runs:
            return _untold(counts)
        worst = min((r for r in runs if r is not None), key=lambda r: (not r.fires, r.p))
        n = sum(r.main.n for r in runs if r is not None)
        state: State = "fired" if worst.fires else "clear" if any(r.main.enough for r in runs if r) else "cannot-tell"
        seen = (_witness(worst, words),) if worst.fires else ()
        headline = _fired(worst, words) if worst.fires else _calm(worst, n, words, state)
        fired = sum(1 for r in runs if r is not None and r.fires)
        visible = worst.main.visible if worst.main.enough else None
        effect = worst.told.effect if worst.fires else worst.main.effect
        return Outcome(state, n, counts.total, counts.missing, effect, headline, fired, seen, visible)

    return outcome


def _by_run(rows: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["run_id"], row["law"]), []).append(row)
    return list(found.values())


def _run(
    rows: list[Mapping[str, Any]], level: float, by_bins: bool, parts: tuple[str, ...], least: float, unit: bool
) -> _Run | None:
    main = next((r for r in rows if ":" not in r["code"]), None)
    if main is None or not main["n"]:
        return None
    reading = read(main, level, main["inflation"], unit=unit)
    best = _Run(main["run_id"], reading, reading, reading.p, "", reading.fires(level, least), reading.z)
    for row in rows:
        suffix = row["code"].partition(":")[2]
        if suffix in parts:
            part = read(row, level, row["inflation"], unit=unit and suffix not in _WEIGHTED)
            # the unweighted effect, which stands for a weighted sum, may be less than what fires alone
            fires = part.fires(level, least) if suffix not in _WEIGHTED else _weighs(part, reading, level, least)
            if (fires, -part.p) > (best.fires, -best.p):
                told = reading if suffix in _WEIGHTED else part
                best = _Run(best.run_id, reading, told, part.p, suffix, fires, part.z)
    if by_bins:
        p, effect, used = bins(main, main["inflation"])
        fires = reading.enough and used > 1 and p < level and effect >= least
        if (fires, -p) > (best.fires, -best.p):
            best = _Run(best.run_id, reading, reading, p, "bins", fires, reading.z)
    return best


def _weighs(part: Reading, main: Reading, level: float, least: float) -> bool:
    return part.fires(level, 0.0) and abs(main.effect) >= least / 2


def _fired(run: _Run, words: Words) -> str:
    m = run.told
    size = f"{words.size(m.effect)} ({words.size(m.low)} to {words.size(m.high)})"
    chance = f"chance of that by luck {run.p:.0e}" if run.p > 1e-300 else "no luck explains it"
    where = {"": "", "bins": ", by bins of the chance"}.get(run.part, f", in its part {run.part}")
    return f"{words.what} is off by {size} over {m.n:,} {words.over}{where}; {chance}"


def _calm(run: _Run, n: int, words: Words, state: str) -> str:
    m = run.main
    if state == "clear":
        return f"{words.what} is as it should be over {n:,} {words.over}; less than {words.bound(m.visible)} off, or it would show"
    return f"{n:,} {words.over} are too few; some {max(200 - n, 100):,} more would do"


def _witness(run: _Run, words: Words) -> dict[str, Any]:
    m = run.told
    return {
        "run_id": run.run_id,
        "statistic": words.what + (f" ({run.part})" if run.part else ""),
        "n": m.n,
        "effect": m.effect,
        "low": m.low,
        "high": m.high,
        "z": run.z,
    }


def _untold(counts: Counts) -> Outcome:
    why = "not recorded: " + ", ".join(counts.missing) if counts.missing else "no test of the law of this trace"
    return Outcome("cannot-tell", 0, counts.total, counts.missing, None, why)


def spread(places: str, few: str) -> Callable[[Counts], Outcome]:
    """A reading of lanes (see `sdtrace.stats.significance.overdispersion`): fires where their squares are too large by luck.

    `places` is what a lane is called, `few` why nothing can be told.
    """

    def outcome(counts: Counts) -> Outcome:
        runs = [row for row in counts.sums if row["lanes"] >= 8]
        if not runs:
            why = few if counts.sums else "nothing to look at under the laws of this trace"
            return Outcome("cannot-tell", 0, counts.total, counts.missing, None, why)
        worst = min(runs, key=lambda row: row["p"])
        said = f"squares over {places} are {worst['scale']:.2f} times their variance, in {worst['lanes']:,} {places}"
        if worst["p"] >= counts.level or worst["scale"] < 1.2:
            return Outcome("clear", counts.examined, counts.total, (), worst["scale"], said)
        if worst["unknown"]:
            why = f"{said}; whether requests share a user seed is not recorded"
            return Outcome("cannot-tell", counts.examined, counts.total, ("seed",), worst["scale"], why)
        said += f"; chance of that by luck {worst['p']:.0e}"
        seen = {"run_id": worst["run_id"], "statistic": f"spread over {places}", "n": worst["lanes"]}
        return Outcome(
            "fired", counts.examined, counts.total, (), worst["scale"], said, 1, (seen | {"effect": worst["scale"]},)
        )

    return outcome
