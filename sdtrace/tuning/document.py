"""The `tuning` section of the document, from everything that was worked out."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sdtrace.schema.json_values import Json
from sdtrace.tuning.advice import advise
from sdtrace.tuning.curve import Point
from sdtrace.tuning.optimum import Optimum
from sdtrace.tuning.run import Asked, Part, Tuned, Whole, tuned
from sdtrace.tuning.sample import Traffic
from sdtrace.tuning.whatif.budget import budgets
from sdtrace.tuning.whatif.compare import compare
from sdtrace.tuning.whatif.queueing import queue
from sdtrace.tuning.whatif.roles import iso, roles


def tuning(
    traffic: Sequence[Traffic], asked: Asked | None, whole: Whole | None = None
) -> tuple[Json | None, str | None]:
    """The section, and why there is none where there is none. Without `asked` tau alone, which costs next to nothing.

    `whole`: the report's own figures, where it has one run.
    """
    runs = [tuned(one, asked or Asked(), whole=whole if len(traffic) == 1 else None) for one in traffic]
    if not runs:
        return None, "no step says what it appended"
    main = runs[0]
    made: Json = {
        "run_id": main.traffic.run_id,
        "steps": main.traffic.total,
        "sampled_steps": len(main.traffic.text.first),
        "one_of_runs": len(runs),
        "tau": _tau(main),
        **(_more(runs, asked) if asked is not None else _NO_MORE),
    }
    return made | {"advice": advise(main, made)}, None


_NO_MORE: Json = {
    "budget": [],
    "policies": [],
    "roles": None,
    "iso": [],
    "queue": [],
    "notes": ["budgets, policies, drafters and load: sdtrace tune tries them"],
}


def _more(runs: Sequence[Tuned], asked: Asked) -> Json:
    main = runs[0]
    shared, no_budget = budgets(main)
    rows, no_policies = compare(main, asked)
    drafters, no_roles = roles(runs)
    served, no_queue = queue(main, asked)
    return {
        "budget": shared,
        "policies": rows,
        "roles": drafters,
        "iso": iso(main, asked.draft_cost),
        "queue": served,
        "notes": [note for note in (no_budget, no_policies, no_roles, no_queue) if note is not None],
    }


def _tau(run: Tuned) -> Json:
    return {
        "current": run.curve.current,
        "best": run.best.tau if run.best is not None else None,
        "why_no_best": _why_no_best(run) if run.best is None else None,
        **_optimum(run.best),
        "gain_basis": _gain_basis(run),
        "unit": run.price.unit if run.price.known else None,
        "curve": [_point(run, point) for point in run.curve.points],
        "by_slice": [_part(part) for part in run.parts],
    }


def _why_no_best(run: Tuned) -> str:
    if run.price.why is not None:
        return run.price.why
    if run.varied:
        return "no single length that can be judged is faster than the lengths as they were"
    return "no length that can be judged has a price"


def _gain_basis(run: Tuned) -> str | None:
    """Whether the gain is an estimate, or that of tokens per step which are at least reached."""
    point = run.curve.at(run.best.tau) if run.best is not None else None
    return None if point is None else "estimate" if point.identified else "at-least"


def _optimum(best: Optimum | None) -> Json:
    return {
        "probability": best.probability if best is not None else None,
        "gain": best.gain if best is not None else None,
        "gain_low": best.low if best is not None else None,
        "gain_high": best.high if best is not None else None,
    }


def _point(run: Tuned, point: Point) -> Json:
    cost, least, most = run.step_cost(point.tau)
    plain = run.plain_cost

    def faster(tokens: float | None, by: float | None) -> float | None:
        equal = run.price.equal if point.tau else 1.0
        return tokens * plain * equal / by if tokens is not None and plain is not None and by else None

    def end(tokens: float | None, by: float | None, sign: int) -> float | None:
        """An end of the speed-up: tokens and prices are off on their own."""
        value = faster(point.tokens_per_step, cost)
        if value is None or not tokens or not by or not cost or not point.tokens_per_step:
            told = faster(tokens, by)
            return None if told is None else told * math.exp(sign * run.price.error)
        off = math.hypot(math.log(tokens / point.tokens_per_step), math.log(by / cost), run.price.error)
        return value * math.exp(sign * off)

    ends = end(point.low, most, -1), end(point.high, least, 1)
    if (
        run.lift.cost != 1.0
        and point.tau == run.curve.current
        and run.whole is not None
        and run.whole.speedup is not None
    ):
        ends = run.whole.speedup_low, run.whole.speedup_high
    elif point.tau == 0:
        ends = faster(1.0, cost), faster(1.0, cost)
    return {
        "tau": point.tau,
        "tokens_per_step": point.tokens_per_step,
        "step_ms": cost if run.price.unit == "ms" else None,
        "speedup": faster(point.tokens_per_step, cost),
        "basis": point.basis,
        "low": point.low,
        "high": point.high,
        "identified": point.identified,
        "why": point.why,
        "speedup_low": ends[0],
        "speedup_high": ends[1],
        "cost": cost,
        "cost_basis": run.price.basis[run.price.taus.index(point.tau)] if cost is not None else None,
        "cost_per_token": cost / point.tokens_per_step if cost is not None and point.tokens_per_step else None,
    }


def _part(part: Part) -> Json:
    best: Mapping[str, Any] = {"best": part.best.tau if part.best is not None else None, **_optimum(part.best)}
    return {
        "where": part.where,
        "requests": part.requests,
        "tokens": part.tokens,
        "tokens_per_step": part.current,
        "tokens_per_step_at_best": part.at_best,
        **best,
    }
