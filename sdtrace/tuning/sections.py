"""The tuning document laid out: title, sentence, table and chart of each part."""

from collections.abc import Mapping, Sequence
from typing import Any

from sdtrace.results.numbers import chance, per_step
from sdtrace.results.report import Chart, Section, Value

#: The section of recommended settings.
ADVICE = "tune-advice"


def _cost(what: str, tuning: Mapping[str, Any]) -> str:
    """The name of a column of costs, with its unit: milliseconds, or steps of the target without a draft."""
    unit = tuning["tau"].get("unit")
    return what if unit is None else f"{what}, {'ms' if unit == 'ms' else 'plain steps'}"


def sections(tuning: Mapping[str, Any] | None) -> list[Section]:
    """Every part that holds something, in reading order."""
    if tuning is None:
        return []
    made = [_curve(tuning), _slices(tuning), _policies(tuning), _budget(tuning), _roles(tuning)]
    made += [_iso(tuning), _queue(tuning), _advice(tuning)]
    return [section for section in made if section is not None]


def _curve(tuning: Mapping[str, Any]) -> Section | None:
    tau = tuning["tau"]
    points = tau["curve"]
    if len(points) < 2:
        return None
    names = (
        "tau",
        "basis",
        "tokens_per_step",
        "low",
        "high",
        "cost",
        "speedup",
        "speedup_low",
        "speedup_high",
        "cost_basis",
    )
    rows: list[list[Value]] = [[p[n] for n in names] for p in points]
    x = [str(p["tau"]) for p in points]
    series = {"tokens per step": [p["tokens_per_step"] for p in points]}
    series |= {"at least": [p["low"] for p in points], "at most": [p["high"] for p in points]}
    chart = Chart("line", "draft length (k)", "tokens per step", x, series)
    columns = ["draft length", "basis", "tokens per step", "low", "high", _cost("step cost", tuning)]
    columns += ["speed-up", "low", "high", "cost basis"]
    return Section("tune-tau", "Best draft length", said(tuning), columns, rows, chart, per_step=columns[2:3])


def said(tuning: Mapping[str, Any]) -> str:
    """The answer about the draft length in a sentence or two."""
    tau = tuning["tau"]
    by = {p["tau"]: p for p in tau["curve"]}
    now = by.get(tau["current"])
    if now is None:
        return "Nothing was drafted in this trace."
    begun = f"Run {tuning['run_id']}: recorded" if tuning.get("one_of_runs", 1) > 1 else "Recorded"
    text = f"{begun} at draft length {tau['current']}"
    text += f" with {per_step(now['tokens_per_step'])} tokens per step." if now["tokens_per_step"] is not None else "."
    if tau["best"] is None:
        return f"{text} The best draft length is not known: {tau['why_no_best']}."
    text += f" The fastest of the lengths that can be judged is {tau['best']}"
    text += f" (probability {chance(tau['probability'])})" if tau["probability"] is not None else ""
    if tau["best"] != tau["current"] and tau["gain"] is not None:
        text += ", at least" if tau.get("gain_basis") == "at-least" else ","
        text += f" {tau['gain']:.1%} faster than now"
        text += f" ({tau['gain_low']:.1%} to {tau['gain_high']:.1%})" if tau["gain_low"] is not None else ""
    open_ = [str(p["tau"]) for p in tau["curve"] if not p["identified"]]
    return text + (f". Not identified by this trace: {', '.join(open_)}." if open_ else ".")


def _slices(tuning: Mapping[str, Any]) -> Section | None:
    rows: list[list[Value]] = []
    for part in tuning["tau"]["by_slice"]:
        where = ", ".join(f"{k}={v}" for k, v in part["where"].items())
        numbers = [
            part[n]
            for n in ("requests", "tokens", "tokens_per_step", "best", "tokens_per_step_at_best", "probability", "gain")
        ]
        rows.append([where, *numbers])
    if not rows:
        return None
    different = sorted({str(r[4]) for r in rows if r[4] is not None})
    says = (
        f"The best draft length by slice and batch: {', '.join(different)}."
        if different
        else "Tokens per step by slice and batch."
    )
    columns = [
        "slice",
        "requests",
        "tokens",
        "tokens per step",
        "best draft length",
        "tokens per step there",
        "probability",
        "gain",
    ]
    return Section(
        "tune-slices", "Best draft length by kind of traffic", says, columns, rows, per_step=[columns[3], columns[5]]
    )


def _policies(tuning: Mapping[str, Any]) -> Section | None:
    told = [row for row in tuning["policies"] if row["tokens_per_step"] is not None]
    if not told:
        return None
    names = (
        "name",
        "basis",
        "tokens_per_step",
        "cost",
        "speedup",
        "regret",
        "slo_met",
        "tpot_p50",
        "tpot_p99",
        "itl_p99",
    )
    priced = [row for row in told if row["cost"] is not None]
    says = "Rules that choose the draft length, each replayed over the recorded text with one controller per request."
    if priced:
        best = min(priced, key=lambda row: row["cost"])
        says += f" The cheapest per token is {best['name']}."
        if best["regret"] is not None:
            says += (
                f" It costs {best['regret']:.1%} more than an oracle that knows the best fixed length of every request."
            )
    for row in tuning["policies"]:
        says += f" {row['name'].capitalize()}: {row['why']}." if row["tokens_per_step"] is None else ""
    by, title = ("cost", _cost("cost per token", tuning)) if priced else ("tokens_per_step", "tokens per step")
    x = [str(i + 1) for i in range(len(told))]
    chart = Chart("bars", "policy, in the order of the table", title, x, {title: [r[by] for r in told]})
    columns = [
        "policy",
        "basis",
        "tokens per step",
        _cost("cost per token", tuning),
        "speed-up",
        "regret",
        "limits met",
    ]
    columns += ["per token p50", "per token p99", "burst p99"]
    return Section("tune-policies", "Best policy", says, columns, _rows(told, names), chart, per_step=columns[2:3])


def _rows(table: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[list[Value]]:
    return [[row[name] for name in names] for row in table]


def _budget(tuning: Mapping[str, Any]) -> Section | None:
    rows = tuning["budget"]
    if not rows:
        return None
    table = _rows(
        rows,
        ("budget", "basis", "tokens_per_step", "tokens_per_step_least_one", "tokens_per_step_equal", "cost_per_token"),
    )
    table = [[*line, _allocation(row["allocation"])] for line, row in zip(table, rows, strict=True)]
    lead = max(row["tokens_per_step"] / row["tokens_per_step_equal"] - 1.0 for row in rows)
    says = f"Verified tokens shared over batches of {rows[0]['batch_size']} by the acceptance of each request:"
    says += f" up to {lead:.1%} more tokens than an equal split."
    series: dict[str, list[float | None]] = {
        "by survival": [row["tokens_per_step"] for row in rows],
        "equal split": [row["tokens_per_step_equal"] for row in rows],
    }
    x = [str(row["budget"]) for row in rows]
    chart = Chart("line", "verified drafted tokens a step", "tokens per request and step", x, series)
    columns = [
        "budget",
        "basis",
        "tokens per step",
        "tokens per step, at least 1 each",
        "tokens per step, equal split",
        "cost per token",
        "requests by draft length",
    ]
    return Section("tune-budget", "A fixed verification budget", says, columns, table, chart, per_step=columns[2:5])


def _roles(tuning: Mapping[str, Any]) -> Section | None:
    if tuning["roles"] is None:
        return None
    rows: list[list[Value]] = []
    for row in tuning["roles"]["rows"]:
        where = ", ".join(f"{k}={v}" for k, v in row["where"].items()) or "everything"
        rows.append(
            [where, row["drafter"], *(row[n] for n in ("tau", "cost_per_token", "speedup", "probability", "basis"))]
        )
    says = f"The cheapest drafter per token, with none among them; {tuning['roles']['traffic']}."
    columns = [
        "slice",
        "drafter",
        "draft length",
        "cost per token",
        "speed-up",
        "probability of being the best",
        "basis",
    ]
    return Section("tune-roles", "Best drafter", says, columns, rows)


def _iso(tuning: Mapping[str, Any]) -> Section | None:
    rows = _rows(tuning["iso"], ("multiple", "draft_cost", "acceptance_to_match", "acceptance_to_pay"))
    if not rows:
        return None
    says = "Acceptance per token that another drafter needs at each price: for the same speed-up, and to break even (geometric drafts)."
    columns = [
        "price (1 = recorded)",
        "price, target steps",
        "same speed-up",
        "break even",
    ]
    return Section("tune-iso", "Acceptance that another drafter needs", says, columns, rows, shares=columns[2:])


def _queue(tuning: Mapping[str, Any]) -> Section | None:
    names = ("tau", "basis", "tokens_per_second", "mean_batch", "tpot_p50", "tpot_p99", "latency_p50", "latency_p99")
    rows = _rows(tuning["queue"], names)
    if not rows:
        return None
    says = "Recorded arrivals served in one batch at each draft length (a model: no prefill, no memory limit)."
    columns = ["draft length", "basis", "tokens per second", "mean batch", "ms per token p50", "ms per token p99"]
    columns += ["request ms p50", "request ms p99"]
    return Section("tune-queue", "Under load", says, columns, rows)


def _allocation(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{k}: {share:.0%}" for k, share in shares.items() if share >= 0.005)


def _advice(tuning: Mapping[str, Any]) -> Section | None:
    rows: list[list[Value]] = [
        [a["text"], a["setting"] or "", a["gain"], a["low"], a["high"], a["basis"] or ""] for a in tuning["advice"]
    ]
    if not rows:
        return None
    says = "Every gain is over the recorded setting."
    columns = ["advice", "setting", "gain", "low", "high", "basis"]
    return Section(ADVICE, "Recommended settings", says, columns, rows, shares=columns[2:5])
