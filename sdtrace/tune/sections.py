"""The tuning document laid out: title, sentence, table and chart of each part."""

from collections.abc import Mapping
from typing import Any

from sdtrace.results import Chart, Section, Value

_CURVE = ["tau", "tokens per step", "low", "high", "step cost", "speed-up", "low", "high", "basis", "cost basis"]


def sections(tuning: Mapping[str, Any] | None) -> list[Section]:
    """Every part that holds something, in reading order."""
    if tuning is None:
        return []
    made = [_curve(tuning), _slices(tuning), _policies(tuning), _budget(tuning), _advice(tuning)]
    return [section for section in made if section is not None]


def _curve(tuning: Mapping[str, Any]) -> Section | None:
    tau = tuning["tau"]
    points = tau["curve"]
    if len(points) < 2:
        return None
    names = (
        "tau",
        "tokens_per_step",
        "low",
        "high",
        "cost",
        "speedup",
        "speedup_low",
        "speedup_high",
        "basis",
        "cost_basis",
    )
    rows: list[list[Value]] = [[p[n] for n in names] for p in points]
    x = [str(p["tau"]) for p in points]
    series = {"tokens per step": [p["tokens_per_step"] for p in points]}
    series |= {"at least": [p["low"] for p in points], "at most": [p["high"] for p in points]}
    chart = Chart("line", "drafted tokens a step (tau)", "tokens per step", x, series)
    return Section("tune-tau", "Which tau", said(tuning), _CURVE, rows, chart)


def said(tuning: Mapping[str, Any]) -> str:
    """The answer about tau in a sentence or two."""
    tau = tuning["tau"]
    by = {p["tau"]: p for p in tau["curve"]}
    now = by.get(tau["current"])
    if now is None:
        return "Nothing was drafted in this trace."
    text = f"Recorded at tau {tau['current']}"
    text += f" with {now['tokens_per_step']:.2f} tokens per step." if now["tokens_per_step"] is not None else "."
    if tau["best"] is None:
        return f"{text} Which tau is the fastest is not said: {tau['why_no_best']}."
    text += f" The fastest of the lengths that can be judged is {tau['best']} (probability {tau['probability']:.0%})"
    if tau["best"] != tau["current"] and tau["gain"] is not None:
        text += f", {tau['gain']:.1%} faster than now ({tau['gain_low']:.1%} to {tau['gain_high']:.1%})"
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
        f"The best tau by slice and batch: {', '.join(different)}."
        if different
        else "Tokens per step by slice and batch."
    )
    columns = [
        "slice",
        "requests",
        "tokens",
        "tokens per step",
        "best tau",
        "tokens per step there",
        "probability",
        "gain",
    ]
    return Section("tune-slices", "Which tau for which traffic", says, columns, rows)


def _policies(tuning: Mapping[str, Any]) -> Section | None:
    names = ("name", "tokens_per_step", "cost", "speedup", "tpot_p50", "tpot_p99", "itl_p99", "slo_met", "regret", "basis", "why")
    rows: list[list[Value]] = [[row[n] for n in names] for row in tuning["policies"]]
    if not rows:
        return None
    priced = [row for row in tuning["policies"] if row["cost"] is not None]
    says = "Rules for the draft length, each walked over the recorded text with one controller a request."
    if priced:
        best = min(priced, key=lambda row: row["cost"])
        says += f" The cheapest per token is {best['name']}."
        if best["regret"] is not None:
            says += f" It is {best['regret']:.1%} above the best fixed length of every request, known beforehand."
    told = [row for row in tuning["policies"] if row["tokens_per_step"] is not None]
    by = "cost" if priced else "tokens_per_step"
    chart = Chart("bars", "policy", "cost per token" if priced else "tokens per step", [r["name"] for r in told], {by: [r[by] for r in told]})
    columns = ["policy", "tokens per step", "cost per token", "speed-up", "per token p50", "per token p99", "burst p99"]
    columns += ["limits met", "regret", "basis", "note"]
    return Section("tune-policies", "Which policy", says, columns, rows, chart)


def _budget(tuning: Mapping[str, Any]) -> Section | None:
    rows = tuning["budget"]
    if not rows:
        return None
    names = ("budget", "tokens_per_step", "tokens_per_step_equal", "cost_per_token", "basis")
    table: list[list[Value]] = [[row[n] for n in names] + [_allocation(row["allocation"])] for row in rows]
    size = rows[0]["batch_size"]
    lead = max(row["tokens_per_step"] / row["tokens_per_step_equal"] - 1.0 for row in rows)
    says = f"Verified tokens shared over batches of {size} by the acceptance of each request: up to {lead:.1%} more tokens than an equal split."
    series: dict[str, list[float | None]] = {
        "by survival": [row["tokens_per_step"] for row in rows],
        "equal split": [row["tokens_per_step_equal"] for row in rows],
    }
    chart = Chart("line", "verified drafted tokens a step", "tokens per request and step", [str(r["budget"]) for r in rows], series)
    columns = ["budget", "tokens per step", "equal split", "cost per token", "basis", "share of requests by draft length"]
    return Section("tune-budget", "A fixed verification budget", says, columns, table, chart)


def _allocation(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{k}: {share:.0%}" for k, share in shares.items() if share >= 0.005)


def _advice(tuning: Mapping[str, Any]) -> Section | None:
    rows: list[list[Value]] = [
        [a["text"], a["setting"] or "", a["gain"], a["low"], a["high"], a["basis"] or ""] for a in tuning["advice"]
    ]
    if not rows:
        return None
    says = f"{len(rows)} answers; every gain is over the recorded setting."
    return Section("tune-advice", "What to set", says, ["advice", "setting", "gain", "low", "high", "basis"], rows)
