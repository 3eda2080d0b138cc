"""Slow because of what a step costs: the draft, the verifying pass, the host, missed graphs, stragglers."""

from statistics import median

import numpy as np
import polars as pl

from sdtrace.results.numbers import figure, ms, times
from sdtrace.speed.cost import ENOUGH, StepCost, shapes, step_cost
from sdtrace.speed.finding import Finding, looks_up, shape, total, worst
from sdtrace.speed.slow_tau import tau_findings
from sdtrace.speed.timing import Timing
from sdtrace.stats.jackknife import GROUPS, groups, jackknife, summed

#: Cost of one drafted token over the rest of the step from which a drafter is too slow, and its share of the step.
DRAFT_TOKEN, DRAFT_SHARE = 0.15, 0.3
#: Gains from which the verifying pass and the host are named.
VERIFY, HOST = 0.25, 0.3


def time_findings(timing: Timing) -> list[Finding]:
    """Every finding about the time of a step; none where no step has a duration or nothing is drafted."""
    if timing.ledger is None or not timing.drafted:
        return []
    decode = timing.cost.filter(pl.col("prefill") == 0)
    cost = step_cost(decode)
    found = [_draft(timing, decode), _verify(timing, decode, cost), _host(timing, decode), *tau_findings(timing, cost)]
    found += [_graphs(decode), _spikes(decode, cost), _padding(timing), _ranks(timing)]
    return [one for one in found if one is not None]


def _slowest(decode: pl.DataFrame, column: str, **more: float) -> list[dict[str, object]]:
    rows = shapes(decode, "b", "n").filter(pl.col("steps") >= min(ENOUGH, float(decode["w"].sum()) / 4))
    return [
        shape(row, batch=row["batch"], tokens=row["tokens"], **{column: row[column]}, **more)
        for row in rows.sort(column, descending=True).head(3).iter_rows(named=True)
    ]


def _draft(timing: Timing, decode: pl.DataFrame) -> Finding | None:
    assert timing.ledger is not None
    spent, draft = timing.ledger, timing.ledger.parts["draft"]
    depth = timing.drafted / total(timing.places, "lines")
    if draft is None or depth <= 0:
        return None
    token = draft / depth / (spent.step - draft) if spent.step > draft else np.inf
    if token < DRAFT_TOKEN or draft < DRAFT_SHARE * spent.step:
        return None
    says = (
        f"drafting takes {ms(draft)} of {ms(spent.step)} a step ({draft / spent.step:.0%}); one drafted token costs "
        f"{token:.0%} of everything else in the step"
    )
    if timing.bounds[1] is not None and timing.bounds[1] < 1:
        says += f"; speculation is a slow-down: at most {times(timing.bounds[1])} times plain decoding"
    elif timing.speedup is not None and timing.speedup.high is not None and timing.speedup.high < 1:
        says += f"; speculation is a slow-down: {times(timing.speedup.value)} times plain decoding"
    gain = timing.gains.get("draft") or 0.0
    return Finding("draft-too-slow", "statistical", says, gain, _slowest(decode, "draft_ms"))


def _verify(timing: Timing, decode: pl.DataFrame, cost: StepCost) -> Finding | None:
    """Against the plain step where it is known; against the smallest passes of the trace, as a suspicion, where not."""
    assert timing.ledger is not None
    gain, spent = timing.gains.get("verify"), timing.ledger
    rest = spent.step - (spent.parts["draft"] or 0.0)
    if gain is not None and timing.baseline_ms:
        if gain < VERIFY:
            return None
        plain, more = figure(timing.baseline_ms), times(rest / timing.baseline_ms)
        says = f"verifying takes {ms(rest)} where a plain step takes {plain} ({more} times)"
        slope = cost.marginal()
        says += f"; each further token costs {figure(slope * 1000)} us" if slope else ""
        return Finding("verification-not-free", "statistical", says, gain, _slowest(decode, "rest_ms"))
    extra = cost.drafted_tokens_ms()
    if extra is not None:
        if extra < VERIFY / (1 + VERIFY) * spent.step:
            return None
        says = f"verified tokens beyond the fewest of their batch size cost {ms(extra)} of {ms(spent.step)} a step"
        return Finding(
            "verification-not-free", "statistical", says, extra / (spent.step - extra), _slowest(decode, "rest_ms")
        )
    stairs = cost.stairs()
    few = stairs.filter(pl.col("steps").cum_sum() <= max(0.1 * total(stairs, "steps"), ENOUGH))
    if few.is_empty() or stairs.height < 4:
        return None
    tokens = np.average(stairs["tokens"], weights=stairs["steps"])
    least, least_tokens = (np.average(few[name], weights=few["steps"]) for name in ("fitted_ms", "tokens"))
    if rest < 1.3 * least or tokens < 64:
        return None
    says = (
        f"a pass over {tokens:.0f} tokens takes {ms(rest)}, one over {least_tokens:.0f} tokens {figure(least)}; with one "
        "draft length it cannot be told from the cost of more requests"
    )
    return Finding("verification-not-free", "suspected", says, rest / least - 1, _slowest(decode, "rest_ms"))


def _host(timing: Timing, decode: pl.DataFrame) -> Finding | None:
    assert timing.ledger is not None
    spent, gain = timing.ledger, timing.gains.get("overhead")
    if gain is None or gain < HOST or spent.parts["verify"] is None:
        return None
    if spent.parts["draft"] is None and timing.run.method is not None and not looks_up(timing.run.method):
        return None  # what is unattributed may be the draft
    share = spent.overhead / spent.step
    says = f"{ms(spent.overhead)} of {ms(spent.step)} a step ({share:.0%}) is neither drafting nor verifying"
    return Finding("host-overhead", "statistical", says, gain, _slowest(decode, "step_ms"))


def _graphs(decode: pl.DataFrame) -> Finding | None:
    """Steps of the same shape under another graph mode: how much longer, and how many."""
    if decode["graph"].n_unique() < 2:
        return None
    rows = shapes(decode.with_columns(graph=pl.col("graph").fill_null("none")), "b", "n", "graph")
    names = list(rows["graph"].unique(maintain_order=True))
    found: list[tuple[float, Finding]] = []
    for name in names:
        mine, rest = rows.filter(pl.col("graph") == name), rows.filter(pl.col("graph") != name)
        both = mine.join(
            rest.group_by("b", "n", maintain_order=True).agg(
                _mean("rest_ms"), pl.col("steps").sum(), pl.col("spread_ms").mean()
            ),
            on=["b", "n"],
        )
        if both.is_empty():
            continue
        steps = float(both["steps"].sum())
        extra = float((both["steps"] * (both["rest_ms"] - both["rest_ms_right"])).sum())
        usual = float((both["steps"] * both["rest_ms_right"]).sum())
        noise = (
            float(
                (
                    both["steps"] * both["spread_ms"] ** 2
                    + both["steps"] ** 2 / both["steps_right"] * both["spread_ms_right"] ** 2
                ).sum()
            )
            ** 0.5
        )
        share = total(mine, "steps") / total(rows, "steps")
        wasted = extra / steps * float(mine["steps"].sum())
        gain = wasted / (float((rows["steps"] * rows["step_ms"]).sum()) - wasted)
        if extra < 0.2 * usual or extra < 5 * noise or gain < 0.02 or share > 0.6:
            continue
        says = f"{share:.0%} of the steps ran as {name!r} and took {times(1 + extra / usual)} times as long as steps of the same shape"
        worst_rows = [
            shape(r, graph=name, batch=r["batch"], tokens=r["tokens"], rest_ms=r["rest_ms"])
            for r in both.sort("steps", descending=True).head(3).iter_rows(named=True)
        ]
        found.append((gain, Finding("graph-missed", "statistical", says, gain, worst_rows)))
    return max(found, key=lambda one: one[0])[1] if found else None


def _mean(name: str) -> pl.Expr:
    return (pl.col(name) * pl.col("steps")).sum() / pl.col("steps").sum()


def _spikes(decode: pl.DataFrame, cost: StepCost) -> Finding | None:
    """Sizes that cost more than larger ones: no graph was captured for them, nor were they padded to one."""
    if decode["graph"].n_unique() > 1:
        return None  # modes are compared instead
    rows = shapes(decode, "n").filter(pl.col("steps") >= ENOUGH)
    if rows.height < 4:
        return None
    ms, steps, spread = (rows[name].to_numpy().astype(np.float64) for name in ("rest_ms", "steps", "spread_ms"))
    ahead = np.append(np.minimum.accumulate(ms[::-1])[::-1][1:], np.inf)
    over = np.where((ms > 1.2 * ahead) & (ms - ahead > 5 * spread / np.sqrt(steps)), ms - ahead, 0.0)
    wasted, whole = float((over * steps).sum()), float(decode["wt"].sum())
    if wasted < 0.03 * whole or (over > 0).mean() > 0.6:
        return None
    bad = rows.filter(pl.Series(over > 0))
    sizes = ", ".join(f"{n:.0f}" for n in bad["tokens"].head(6))
    says = (
        f"steps of {sizes} verified tokens take up to {times(float((ms / ahead).max()))} times as long as larger ones"
    )
    evidence = [shape(r, tokens=r["tokens"], rest_ms=r["rest_ms"]) for r in bad.head(3).iter_rows(named=True)]
    return Finding("graph-missed", "statistical", says, wasted / (whole - wasted), evidence)


def _padding(timing: Timing) -> Finding | None:
    """Short drafts wait for the longest one of their batch."""
    assert timing.ledger is not None
    drawn, idle = timing.drafted, float(timing.places["padded"].sum())
    share = idle / (drawn + idle) if drawn else 0.0
    draft = timing.ledger.parts["draft"] or 0.0
    gain = draft * share / (timing.ledger.step - draft * share)
    if share < 0.3 or gain < 0.04:
        return None
    says = f"{share:.0%} of draft slots are padding: the longest draft of a batch sets the time of all ({ms(draft)})"
    return Finding(
        "stragglers", "statistical", says, gain, worst(timing.places.filter(pl.col("padded") > 0), -pl.col("padded"))
    )


def _ranks(timing: Timing) -> Finding | None:
    by = (
        timing.places.filter(pl.col("rank").is_not_null() & (pl.col("w") > 0))
        .group_by("rank", maintain_order=True)
        .agg(pl.col("w", "wt").sum())
        .filter(pl.col("w") >= ENOUGH)
        .with_columns(ms=pl.col("wt") / pl.col("w"))
        .sort("ms")
    )
    if by.height < 2:
        return None
    *others, slow = by["ms"].to_list()
    usual = median(others)
    if slow < 1.15 * usual or usual <= 0:
        return None
    rank = int(by["rank"][-1])
    mine = timing.places.filter(pl.col("rank") == rank)
    (group,) = groups([mine["hash"]])
    mean = jackknife(summed(group, mine.select("wt", "w").to_numpy(), GROUPS), lambda s: s[..., :1] / s[..., 1:])[0]
    if mean.low is None or mean.low < 1.05 * usual:
        return None
    says = f"steps of rank {rank} take {ms(slow)}, those of the others {figure(usual)}"
    return Finding("stragglers", "statistical", says, slow / usual - 1, worst(mine, -pl.col("wt")))
