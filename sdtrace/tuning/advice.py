"""What to set, in the words of the engine at hand, with the gain that is expected and how sure it is."""

from collections.abc import Mapping
from typing import Any

from sdtrace.results.numbers import chance
from sdtrace.schema.json_values import Json
from sdtrace.tuning.run import Tuned
from sdtrace.tuning.sample import between
from sdtrace.tuning.whatif.settings import batch_table, setting

#: A change is advised where its gain is at least this.
WORTH = 0.01
#: ... and where it is the best in at least this share of the bootstrap.
SURE = 0.8


def advise(run: Tuned, made: Mapping[str, Any]) -> list[Json]:
    """Rows of {what, setting, text, gain, low, high, basis}, the most useful first. `made`: the document so far."""
    return [*_tau(run), *_by_batch(run), *_policy(made), *_budget(made), *_explore(run), *_log(run)]


def _row(what: str, text: str, **more: Any) -> Json:
    return {"what": what, "text": text, "setting": None, "gain": None, "low": None, "high": None, "basis": None} | more


def _tau(run: Tuned) -> list[Json]:
    best, current, engine = run.best, run.curve.current, run.run.engine
    if best is None and run.varied:
        return [
            _row("keep", "keep the draft lengths as they are: no single length that this trace can judge is faster")
        ]
    if best is None or current is None:
        return []
    point = run.curve.at(best.tau)
    basis = point.basis if point is not None else None
    if best.tau == current or best.gain is None or best.gain < WORTH:
        text = f"keep {_drafted(current)}: no length that this trace can judge is faster by {WORTH:.0%} or more"
        return [_row("keep", text + f" (probability {chance(best.probability)})", basis=basis)]
    interval = f" ({best.low:+.1%} to {best.high:+.1%})" if best.low is not None and best.high is not None else ""
    text = f"draft {best.tau} token{'s' if best.tau != 1 else ''} instead of {current}: {best.gain:+.1%} speed"
    text += f"{interval}{'' if point is None or point.identified else ' or more'}"
    if best.tau == 0:
        text = f"switch speculation off for this traffic: {best.gain:+.1%} speed{interval}"
    if best.probability < SURE:
        text += f"; it is the best with probability {best.probability:.0%} only, so measure before it stays"
    if "assumed" in (run.price.basis[run.price.taus.index(tau)] for tau in (best.tau, current)):
        text += "; the price of a step at that length is assumed, not measured"
    how = {"gain": best.gain, "low": best.low, "high": best.high, "basis": basis}
    return [_row("tau", text, setting=setting(engine, best.tau), **how)]


def _drafted(tau: int) -> str:
    return f"{tau} drafted token{'s' if tau != 1 else ''}"


def _by_batch(run: Tuned) -> list[Json]:
    table = [(*p.batches, p.best.tau) for p in run.parts if p.batches is not None and p.best is not None]
    if len({tau for *_, tau in table}) < 2:
        return []
    rows = [
        (1 if i == 0 else first, None if i == len(table) - 1 else last, t) for i, (first, last, t) in enumerate(table)
    ]
    words = ", ".join(f"{tau} at batch {between(first, last)}" for first, last, tau in table)
    flag = batch_table(run.run.engine, rows)
    return [_row("batch-table", f"the best length depends on the batch: {words}", setting=flag, basis="model")]


def _policy(made: Mapping[str, Any]) -> list[Json]:
    """A rule that beats every fixed length by enough to be worth having."""
    priced = [row for row in made["policies"] if row["cost"] is not None]
    fixed = [row["cost"] for row in priced if row["kind"] == "fixed"]
    if not fixed:
        return []
    best = min(priced, key=lambda row: row["cost"])
    gain = min(fixed) / best["cost"] - 1.0
    if gain < WORTH:
        text = "no policy beats the best fixed length by 1% on this traffic"
        return [_row("policy", text, basis=best["basis"])]
    text = f"{best['name']} would be {gain:+.1%} faster than the best fixed length"
    return [_row("policy", text, gain=gain, basis=best["basis"])]


def _budget(made: Mapping[str, Any]) -> list[Json]:
    priced = [row for row in made["budget"] if row["cost_per_token"] is not None]
    if not priced:
        return []
    best = min(priced, key=lambda row: row["cost_per_token"])
    gain = best["tokens_per_step"] / best["tokens_per_step_equal"] - 1.0
    text = (
        f"verify {best['budget']} drafted tokens a step over a batch of {best['batch_size']}, shared by the requests'"
    )
    text += f" own acceptance: {gain:+.1%} tokens over an equal split"
    return [_row("budget", text, gain=gain, basis="model")]


def _explore(run: Tuned) -> list[Json]:
    """Lengths that are not identified and could still be better than the best."""
    if run.best is None:
        return []
    best = run.curve.at(run.best.tau)
    cost = run.step_cost(run.best.tau)[0]
    reached = None if best is None else best.tokens_per_step or best.low
    if best is None or reached is None or cost is None:
        return []
    rate = reached / cost
    for point in run.curve.points:
        price = run.step_cost(point.tau)[0]
        if (
            not point.identified
            and point.high is not None
            and price is not None
            and point.high / price > rate * (1 + WORTH)
        ):
            text = f"{_drafted(point.tau)} could be better (up to {point.high / price / rate - 1:+.0%}), and this trace"
            return [_row("explore", f"{text} cannot tell: {point.why}", basis="bounds")]
    return []


def _log(run: Tuned) -> list[Json]:
    """What to log so that the open questions can be answered."""
    rows = []
    if run.price.why is not None:
        rows.append(_row("log", f"speed is not judged: {run.price.why}"))
    elif run.plain_cost is None:
        text = "the step without a draft has no price: let 1% of the steps draft nothing, or give --baseline-ms"
        rows.append(_row("log", text))
    refused = next((p for p in run.curve.points if not p.identified and p.steps is None), None)
    if refused is not None:
        rows.append(_row("log", f"other lengths are not judged: {refused.why}"))
    return rows
