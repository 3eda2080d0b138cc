"""Draft lengths from counts: a step that accepted n tokens would have accepted min(n, tau) of a draft cut at tau.

So tokens per step at tau are 1 + the sum of the first tau shares of steps that accept a position: as exact as the shares, where
a drafter proposes the same first tokens whatever the length. Beyond the recorded length a position is accepted at most as
often as the last one. Where only a mean is printed, the shares fall from position to position, which bounds their sums.
Cost of a step: measured at the recorded length where the input has speed; of other lengths only what the user gives.
"""

from collections.abc import Sequence

from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.document.counters import best_speed
from sdtrace.results.numbers import per_step
from sdtrace.schema.json_values import Json
from sdtrace.tuning.curve import TAUS
from sdtrace.tuning.run import Asked
from sdtrace.tuning.whatif.settings import setting

#: What a gain must be before a length is advised.
WORTH = 0.01
_UNPRICED = (
    "what a step of another length costs is not in the counts: give --baseline-ms (with a speed) or --draft-cost"
)
_SAME_DRAFT = (
    "holds where the first tokens of a draft do not depend on its length (not for drafters that write a block at once)"
)


def tuning_of_counts(diagnosis: Diagnosis, asked: Asked) -> tuple[Json | None, str | None]:
    """The `tuning` section of counts, and why there is none where there is none."""
    a, source = diagnosis.acceptance, diagnosis.figures_from
    if a is None or source is None or not a["tokens_per_step"]:
        return None, "no count or mean of accepted tokens by step"
    shares = _shares(a["marginal_by_position"], a["tokens_per_step"])
    current = len(shares) or round(source.k or 0)
    if not current:
        return None, "neither acceptance by position nor the draft length is printed"
    speed = best_speed(diagnosis)
    step = speed.step_ms if speed is not None else None
    lengths = sorted({*range(min(current, TAUS[-1]) + 1), *TAUS, current})
    ends = {tau: _tokens(tau, current, shares, a["tokens_per_step"]) for tau in lengths}
    curve = [_point(tau, ends, current, _costs(tau, current, step, asked), step) for tau in lengths]
    best = _best(curve)
    now = next(p for p in curve if p["tau"] == current)
    gain = best["speed"] / now["speed"] - 1 if best is not None and now["speed"] else None
    tau = {
        "current": current,
        "best": None if best is None else best["tau"],
        "why_no_best": _UNPRICED if best is None else None,
        "probability": None,
        "gain": gain,
        "gain_low": None,
        "gain_high": None,
        "unit": None if best is None else "target steps" if asked.draft_cost else "ms",
        "curve": [{n: v for n, v in p.items() if n != "speed"} for p in curve],
        "by_slice": [],
    }
    steps = a["steps"]
    made = {"run_id": None, "steps": steps, "sampled_steps": steps, "tau": tau, "budget": [], "policies": []}
    made |= {"roles": None, "iso": [], "queue": [], "notes": [f"shorter drafts, from {source.name}: {_SAME_DRAFT}"]}
    return made | {"advice": _advice(source.engine, current, best, gain, curve, step)}, None


def _shares(printed: Sequence[float | None], length: float) -> list[float]:
    """Shares by position that add up to the tokens per step of the report, which have more digits, or more steps, behind them."""
    shares = [min(max(s or 0.0, 0.0), 1.0) for s in printed]
    whole = sum(shares)
    return [min(s * max(length - 1, 0.0) / whole, 1.0) for s in shares] if whole else shares


def _tokens(tau: int, current: int, shares: Sequence[float], length: float) -> tuple[float | None, float, float]:
    """Tokens per step at a length: figure (None: bounds only), least, most."""
    if tau == 0:
        return 1.0, 1.0, 1.0
    if shares:
        value = 1 + sum(shares[:tau])
        most = value + max(tau - current, 0) * shares[-1]
        value = length if tau == current else value
        return (value, value, value) if tau <= current else (None, value, most)
    if tau == current:
        return length, length, length
    if tau > current:
        return None, length, length + (tau - current) * (length - 1) / current
    return None, 1 + (length - 1) * tau / current, 1 + min(length - 1, float(tau))


def _costs(tau: int, current: int, step: float | None, asked: Asked) -> tuple[float | None, float | None, str | None]:
    """(cost of a step, of one without a draft, what the first rests on)."""
    if asked.draft_cost:
        return 1 + asked.draft_cost * tau, 1.0, "given"
    plain = asked.baseline_ms
    if step is None:
        return (plain, plain, "given") if tau == 0 and plain else (None, plain, None)
    if tau == current:
        return step, plain, "measured"
    if plain is None:
        return None, None, None
    return plain + (step - plain) * tau / current, plain, "given" if tau == 0 else "assumed"


def _point(
    tau: int,
    ends: dict[int, tuple[float | None, float, float]],
    current: int,
    costs: tuple[float | None, float | None, str | None],
    step: float | None,
) -> Json:
    """A row of the curve. `break_even_step_ms`: a step of this length must take less to be faster than the recorded one."""
    value, low, high = ends[tau]
    cost, plain, basis = costs
    speed = value / cost if value is not None and cost else None
    now = ends[current][0]
    why = (
        "positions behind the recorded length were never drafted"
        if tau > current
        else "acceptance by position is not printed"
    )
    return {
        "tau": tau,
        "tokens_per_step": value,
        "step_ms": cost if basis == "measured" else None,
        "speedup": speed * plain if speed is not None and plain else None,
        "basis": "exact" if value is not None else "bounds",
        "low": low,
        "high": high,
        "identified": value is not None,
        "why": None if value is not None else why,
        "speedup_low": None,
        "speedup_high": None,
        "cost": cost,
        "cost_basis": basis,
        "cost_per_token": cost / value if cost and value else None,
        "break_even_step_ms": step * value / now if step and value and now else None,
        "speed": speed,
    }


def _best(curve: Sequence[Json]) -> Json | None:
    """The fastest of the lengths with a price; None where there are not two."""
    priced = [p for p in curve if p["speed"] is not None]
    return max(priced, key=lambda p: p["speed"]) if len(priced) > 1 else None


def _advice(
    engine: str,
    current: int,
    best: Json | None,
    gain: float | None,
    curve: Sequence[Json],
    step: float | None,
) -> list[Json]:
    row: Json = {"what": "log", "setting": None, "gain": None, "low": None, "high": None, "basis": None}
    if best is not None and gain is not None and gain >= WORTH and best["tau"] != current:
        text = f"draft {best['tau']} tokens instead of {current}: {gain:+.1%} speed"
        text += f"; the price of its step is {best['cost_basis']}, not measured: measure before it stays"
        return [
            row | {"what": "tau", "text": text, "setting": setting(engine, best["tau"]), "gain": gain, "basis": "exact"}
        ]
    if best is not None:
        return [row | {"what": "keep", "text": f"keep {current} drafted tokens: no length with a price is faster"}]
    half = next((p for p in curve if p["tau"] == max(current // 2, 1) and p["tokens_per_step"] is not None), None)
    now = next(p["tokens_per_step"] for p in curve if p["tau"] == current)
    if half is None or half["tau"] == current or not now:
        return [row | {"text": _UNPRICED}]
    share = half["tokens_per_step"] / now
    text = f"{half['tau']} drafted tokens give {per_step(half['tokens_per_step'])} tokens per step, {current} give {per_step(now)}: "
    text += f"{half['tau']} is faster if its step takes less than {share:.0%} of the time of a step of {current}"
    text += f" ({step * share:.4g} of {step:.4g} ms)" if step else ""
    return [row | {"text": f"{text}. {_UNPRICED[0].upper()}{_UNPRICED[1:]}"}]
