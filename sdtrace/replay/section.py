"""The replay as part of a report: `document["replay"]`, a section, causes with evidence, and the verdict that follows."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sdtrace.replay.compare import Uniformity
from sdtrace.replay.hypotheses import Scored
from sdtrace.replay.run import Replayed
from sdtrace.results.cause import Cause, command, first_command
from sdtrace.results.explains import with_incident
from sdtrace.results.not_checked import NotChecked, without
from sdtrace.results.report import Report, Section, leaving
from sdtrace.results.words import Certainty
from sdtrace.schema.json_values import Json

#: Where the emitted tokens' place in the model's distribution is no longer chance.
CHANCE = 1e-6
#: Decisions that agree with the model's own p before the log is suspected in place of the engine.
ENOUGH = 30

_ADVICE = {
    "state-not-rolled-back": "drop the cache entries (and recurrent state) of rejected tokens before the next step",
    "position-off-by-one": "compare the position ids of the verification pass with those of plain decoding",
    "sampling-params-ignored": "apply the request's sampling parameters to the target's logits once, before the test",
    "misaligned-target-probs": "position j is decided by the row before token j: check the index of the target's logits",
    "verifier-differs": "compare weights, precision, prompt and template of the engine with the model that was replayed",
}
_BLAME = {"sampling-params-ignored": "sampler"}


def with_replay(report: Report, replayed: Replayed, weighed: Callable[[Sequence[Cause]], list[Cause]] = list) -> Report:
    """The report with what the replay found. The base verdict stands where it is worse.

    `weighed`: the causes with what speaks against their proof (an input that is damaged).
    """
    document = dict(report.document)
    document["replay"] = as_document(replayed)
    rows = [replace(c, evidence=tuple(_told(row, report.ids) for row in c.evidence)) for c in weighed(causes(replayed))]
    document["causes"] = [*(row.row() for row in rows), *document["causes"]]
    document["verdict"], spoken = _verdict(document["verdict"], replayed, rows)
    document = with_incident(document, spoken)
    told = leaving(replace(report, document=document), _unseen(report.not_checked, replayed))
    return replace(told, sections=[section(replayed, rows), *report.sections])


def _told(row: Json, ids: bool) -> Json:
    """Token ids only for those who asked."""
    return row if ids else {k: v for k, v in row.items() if k not in ("token", "best")}


def as_document(replayed: Replayed) -> Json:
    """Plain values; what could not be measured is null."""
    d = replayed.table["d"].abs().drop_nulls()
    outside = int((d > replayed.band.width).sum())
    return {
        "verifier": replayed.verifier,
        "dtype": replayed.dtype,
        "device": replayed.device.split(":")[0],
        "requests": replayed.conversations,
        "requests_in_trace": replayed.requests,
        "left_out": [{"what": what, "count": count} for what, count in sorted(replayed.left_out.items())],
        "positions": replayed.positions,
        "one_pass": replayed.packed,
        "band": {
            "width": replayed.band.width, "spread_median": replayed.band.median, "spread_p99": replayed.band.p99,
            "spread_max": replayed.band.most, "positions": replayed.band.positions,
        },
        "log_p": {
            "compared": len(d), "median": _number(d.median()), "p99": _number(d.quantile(0.99)),
            "max": _number(d.max()), "outside_band": outside, "logit_slope": replayed.slope,
        },
        "decisions": {
            "agree": replayed.decisions.agree, "disagree": replayed.decisions.disagree,
            "undecidable": replayed.decisions.undecidable,
        },
        "emitted_under_p": _uniform(replayed.emitted),
        "greedy": None if replayed.greedy is None else {
            "tokens": replayed.greedy.tokens, "near_ties": replayed.greedy.near_ties, "wrong": replayed.greedy.wrong,
            "tie": replayed.greedy.tie,
        },
        "ways": [_scored(s, replayed.healthy) for s in replayed.scored],
        "named": None if replayed.best is None or replayed.best.way is None else replayed.best.way.name,
        "draft": None if replayed.drafts is None else {
            "drafter": replayed.drafts.drafter, "compared": replayed.drafts.positions,
            "parameters": replayed.drafts.parameters, "median": replayed.drafts.median, "p99": replayed.drafts.p99,
            "recovered": replayed.drafts.recovered, "impossible": replayed.drafts.impossible,
            "recovered_under_residual": _uniform(replayed.drafts.uniform),
        },
    }  # fmt: skip


def _uniform(uniformity: Uniformity | None) -> Json | None:
    return (
        None
        if uniformity is None
        else {"n": uniformity.n, "statistic": uniformity.statistic, "p_value": uniformity.p_value}
    )


def _number(value: Any) -> Any:
    return None if value is None else float(value)


def _scored(s: Scored, healthy: Scored) -> Json:
    assert s.way is not None
    odds = s.log_likelihood - healthy.log_likelihood
    return {"name": s.way.name, "cause": s.way.cause, "log_odds": odds, "median": s.median, "within_band": s.within}


def causes(replayed: Replayed) -> list[Cause]:
    """What the replay accuses: a p that is not the model's, then greedy tokens that are not its argmax."""
    rows = []
    if replayed.differs:
        rows.append(_differs(replayed))
    elif replayed.emitted is not None and replayed.emitted.p_value < CHANCE and replayed.healthy.positions == 0:
        says = f"the text is not drawn from the model's p: p-value {replayed.emitted.p_value:.1g} over {replayed.emitted.n:,} tokens"
        rows.append(_made("verifier-differs", "statistical", says, (), replayed.emitted.n))
    if replayed.greedy is not None and replayed.greedy.wrong and not replayed.differs:
        wrong = replayed.greedy
        says = (
            f"tokens kept at temperature 0 are not the model's most probable ones: {wrong.wrong:,} of {wrong.tokens:,} "
            f"by more than {wrong.tie:.3g} in the logits"
        )
        rows.append(_made("greedy-mismatch", "proved", says, tuple(map(_shown, wrong.witnesses)), wrong.wrong))
    return rows


def _differs(replayed: Replayed) -> Cause:
    """The cause is named where one way explains the records; the engine is accused for sure only where its decisions or
    its text follow the wrong p. A log that holds another p than the one compared is the recorder's fault."""
    d = replayed.table["d"].abs()
    far = int((d > replayed.band.width).sum())
    compared = replayed.table.height - d.null_count()
    where = (
        f"{far:,} of {compared:,} recorded target probabilities are not the model's "
        f"(median |d log p| {_number(d.median()):.2g}, band {replayed.band.width:.2g})"
    )
    way = replayed.best.way if replayed.best is not None else None
    if way is None:
        cause, says = "verifier-differs", "the verifier's p is another model's, and fits no known way to be wrong"
    else:
        cause, says = way.cause, way.says
        others = sorted({s.way.says for s in replayed.rivals if s.way is not None and s.way.cause != cause})
        says += f" (or: {'; '.join(others)})" if others else ""
    followed = replayed.decisions.disagree > 0 or (replayed.emitted is not None and replayed.emitted.p_value < CHANCE)
    certainty: Certainty = "proved" if followed else "statistical"
    if way is not None and way.name.startswith("precision-") and replayed.engine_dtype is None:
        certainty = "suspected"
        says += f", which the run does not say: replay with --dtype {way.weights}"
    elif not followed and replayed.decisions.agree >= ENOUGH:
        certainty = "suspected"
        says += "; all decisions and the text fit the model's own p: perhaps only the log is wrong"
    return _made(cause, certainty, f"{says}{_begins(replayed)}: {where}", _evidence(replayed), far)


def _begins(replayed: Replayed) -> str:
    """From the step after which rejection it starts, where it starts after one."""
    after = [row for row in replayed.begins if row["after_rejection_at_step"] is not None]
    if not after or len(after) < 0.8 * len(replayed.begins) or all(row["step"] == 0 for row in replayed.begins):
        return ""
    one = after[0]
    return f", from the step after a rejection on (request {one['request_id']}: step {one['step']})"


def _evidence(replayed: Replayed) -> tuple[Json, ...]:
    rows = []
    for row in replayed.begins[:8]:
        rows.append(_shown({
            "path": row["path"], "line": row["line"], "run_id": row["run_id"], "request_id": row["request_id"],
            "step": row["step"], "position": row["position"], "recorded": row["p"], "replayed": math.exp(row["replayed"]),
            "after_rejection_at_step": row["after_rejection_at_step"],
        }))  # fmt: skip
    return tuple(rows)


def _shown(row: Mapping[str, Any]) -> Json:
    known = {k: v for k, v in row.items() if v is not None}
    return known | {"command": command(known)} if known.get("path") else known


def _made(cause: str, certainty: Certainty, says: str, evidence: tuple[Json, ...], weight: int) -> Cause:
    advice = _ADVICE.get(cause, "compare the kept tokens with a run of the same prompts without speculation")
    made = Cause(cause, "wrong", certainty, (), says, evidence, advice, _BLAME.get(cause, "verifier"), weight)
    return replace(made, command=first_command(evidence))


def _unseen(notes: Sequence[NotChecked], replayed: Replayed) -> list[NotChecked]:
    """What is left unchecked when the model itself has spoken."""
    left = without(notes, "target-p", "counts-target-p", "replay")
    if not replayed.conversations:
        return [NotChecked("not-replayed", {"why": _why(replayed)}), *left]
    if replayed.conversations < replayed.requests:
        facts = {"left": replayed.requests - replayed.conversations, "of": replayed.requests}
        return [NotChecked("partly-replayed", facts), *left]
    return left


def _verdict(base: Mapping[str, Any], replayed: Replayed, rows: list[Cause]) -> tuple[Json, str | None]:
    """The verdict, and the cause that its headline speaks of where the replay found that cause."""
    if not replayed.conversations:
        return dict(base), None
    sure = [row for row in rows if row.certainty != "suspected"]
    verdict = dict(base)
    if sure:
        blame = list(dict.fromkeys([*(row.blame for row in sure), *base["blame"]]))
        return verdict | {"state": "wrong", "headline": sure[0].headline, "blame": blame}, sure[0].cause
    if rows and base["state"] in ("healthy", "cannot-tell"):
        verdict |= {"state": "cannot-tell", "headline": f"suspected only: {rows[0].headline}"}
    elif base["state"] == "healthy":
        compared = replayed.table.height - replayed.table["d"].null_count()
        verdict["headline"] += f"; {compared:,} recorded probabilities are the model's own"
    return verdict, None


def _why(replayed: Replayed) -> str:
    return "; ".join(what for what, _ in replayed.left_out.most_common(2)) or "the trace holds none"


def section(replayed: Replayed, causes: Sequence[Cause]) -> Section:
    """The figures in one table; ways to be wrong below them, likeliest first, where they were tried."""
    d = as_document(replayed)
    rows = [*_p_rows(d), *_text_rows(d), *_draft_rows(d)]
    rows += [["requests left out", left["count"], left["what"]] for left in d["left_out"]]
    for way in d["ways"][:6]:
        says = f"median |d log p|; {way['within_band']:.0%} inside the band, log odds {way['log_odds']:+,.0f}"
        rows.append([f"if: {way['name']}", way["median"], says])
    return Section("replay", "The real model", _says(replayed, d, causes), ["figure", "value", "meaning"], rows)


def _p_rows(d: Mapping[str, Any]) -> list[list[Any]]:
    log_p, width = d["log_p"], d["band"]["width"]
    ran = f"of {d['requests_in_trace']:,} in the trace, {d['positions']:,} positions"
    spread = f"passes of two shapes differ by up to {d['band']['spread_p99']:.2g} at 99% of the positions"
    return [
        ["requests run again", d["requests"], ran],
        ["band of log p", width, spread],
        ["median |d log p|", log_p["median"], f"{log_p['compared']:,} recorded probabilities against the model's"],
        ["99th percentile", log_p["p99"], f"{log_p['outside_band']:,} outside the band"],
        ["slope of the logits", log_p["logit_slope"], "1 when they agree; 1/T when a temperature T is missing"],
        ["decisions, with the model's p", d["decisions"]["disagree"], _decided(d["decisions"])],
    ]


def _text_rows(d: Mapping[str, Any]) -> list[list[Any]]:
    rows: list[list[Any]] = []
    if (u := d["emitted_under_p"]) is not None:
        rows.append(
            ["emitted tokens under p", u["p_value"], f"p-value over {u['n']:,} tokens; small = not drawn from p"]
        )
    if (g := d["greedy"]) is not None:
        says = f"beyond a tie of {g['tie']:.3g}, of {g['tokens']:,} tokens; {g['near_ties']:,} near-ties"
        rows.append(["greedy divergences", g["wrong"], says])
    return rows


def _draft_rows(d: Mapping[str, Any]) -> list[list[Any]]:
    if (q := d["draft"]) is None:
        return []
    under = q["recovered_under_residual"]
    p_value = "" if under is None else f"; place in it uniform with p-value {under['p_value']:.2g}"
    says = f"impossible under the exact residual, of {q['recovered']:,}{p_value}"
    return [
        ["median |d log q|", q["median"], f"{q['compared']:,} draft probabilities, parameters: {q['parameters']}"],
        ["recovered tokens", q["impossible"], says],
    ]


def _decided(d: Mapping[str, int]) -> str:
    return f"disagree; {d['agree']:,} agree, {d['undecidable']:,} undecidable"


def _says(replayed: Replayed, d: Mapping[str, Any], rows: Sequence[Cause]) -> str:
    if not replayed.conversations:
        return f"No request could be run again: {_why(replayed)}."
    if rows:
        return rows[0].headline[0].upper() + rows[0].headline[1:] + "."
    if not d["log_p"]["compared"]:
        return "The trace holds no target probabilities; only emitted tokens were compared with the model."
    return f"Recorded p is the model's own: median |d log p| {d['log_p']['median']:.2g} over {d['log_p']['compared']:,} positions."
