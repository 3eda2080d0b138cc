"""What the engine says of ids that it wrote, as part of a report: `document["replay"]`, a section, causes, the verdict that follows."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sdtrace.checks import CHECKS
from sdtrace.diagnosis.coverage import better
from sdtrace.diagnosis.texts import text_causes, text_coverage, text_document, text_headline, text_judged
from sdtrace.replay.engine.run import EngineReplay
from sdtrace.replay.engine.score import far
from sdtrace.responses.texts import Texts
from sdtrace.results.cause import Cause, joined
from sdtrace.results.check import Counts, Outcome
from sdtrace.results.explains import with_incident
from sdtrace.results.headline import Headline
from sdtrace.results.not_checked import without
from sdtrace.results.report import Report, Section, leaving

_DIFFERS = "compare weights, precision and version of the engine that wrote the text with the one that was asked"
_SAME = "start the engine that is asked in the precision of the recorded one (vLLM and SGLang: --dtype {}), and replay again"
_DECISION = "decide on the row of the token before, after the request's parameters, and accept where r <= p/q"


def outcomes(texts: Texts) -> dict[str, Outcome]:
    """The checks of responses on these sums."""
    held = Counts(0, 0, 0, (), sums=({"texts": texts},))
    return {check.code: check.read(held) for check in CHECKS if check.table == "responses"}


def causes(replayed: EngineReplay) -> list[Cause]:
    """What the scores show, strongest first."""
    rows = text_causes(outcomes(replayed.scored.texts))
    if replayed.named is not None:  # tokens follow from the p that they were decided on
        rows = [_differs(replayed), *(row for row in rows if row.cause in ("greedy-mismatch", "record-broken"))]
    elif replayed.differs:
        rows.append(_differs(replayed))
    elif replayed.decisions.disagree and not (far(replayed.scored) and replayed.decisions.disagree < 3):
        d = replayed.decisions
        says = f"decisions contradict the engine's own p: {d.disagree:,} of {d.agree + d.disagree:,}"
        rows.append(Cause("decision-mismatch", "wrong", "proved", (), says, d.witnesses, _DECISION, "sampler"))
    found = joined([], rows)
    return [_precision_first(row, replayed) for row in found] if replayed.apart else found


def _precision_first(row: Cause, replayed: EngineReplay) -> Cause:
    """What two precisions may make: no engine's fault, until both compute in the same one."""
    if row.cause == "verifier-differs" and replayed.said_precision not in (None, replayed.recorded_precision):
        return row  # the recorded engine computed in another precision than it says
    says = f"{_computes(replayed)}: compare in one precision first; {row.says}"
    advice = f"{_SAME.format(replayed.recorded_precision)}; what is left then is a finding"
    return replace(row, certainty="suspected", says=says, advice=advice)


def _computes(replayed: EngineReplay) -> str:
    return (
        f"the engine that was asked computes in {replayed.precision}, the recorded one in {replayed.recorded_precision}"
    )


def _differs(replayed: EngineReplay) -> Cause:
    """The cause is named where one known way explains the records."""
    n, far_off = len(replayed.scored.distances), far(replayed.scored)
    where = f"{far_off:,} of {n:,} are further off than it is from itself"
    cause, says, top = "verifier-differs", "recorded log probabilities are not the engine's", replayed.named
    if top is not None:
        others = sorted({one.way.says for one in replayed.rivals})
        cause, says = top.way.cause, top.way.says + (f" (or: {'; '.join(others)})" if others else "")
        where = f"recorded log probabilities are not the engine's, {where}"
    elif replayed.apart and replayed.said_precision not in (None, replayed.recorded_precision):
        says = f"the target computed in {replayed.recorded_precision}, the run says {replayed.said_precision}"
        where = f"recorded log probabilities are not the engine's, {where}"
    made = tuple(place.row() for place in replayed.scored.places)
    return Cause(cause, "wrong", "statistical", (), f"{says}: {where}", made, _DIFFERS, "verifier")


def as_document(replayed: EngineReplay) -> dict[str, Any]:
    """Plain values under the names of the replay; what does not apply is null."""
    d = np.abs(np.array(replayed.scored.distances, dtype=np.float64))
    text = text_document(replayed.scored.texts)
    judged = replayed.decisions
    return {
        "verifier": replayed.shown,
        "engine": replayed.engine.name,
        "engine_version": replayed.engine.version,
        "requests": replayed.texts - sum(replayed.scored.left_out.values()),
        "requests_in_trace": replayed.texts + sum(replayed.left_out.values()) - sum(replayed.scored.left_out.values()),
        "left_out": [{"what": what, "count": n} for what, n in replayed.left_out.most_common()],
        "tokenised": replayed.scored.tokenised,
        "positions": replayed.scored.tokens,
        "band": {"width": replayed.scored.band},
        "log_p": {
            "compared": len(d), "median": float(np.median(d)) if len(d) else None,
            "p99": float(np.quantile(d, 0.99)) if len(d) else None, "max": float(d.max()) if len(d) else None,
            "equal": replayed.scored.d.count(0.0), "outside_band": far(replayed.scored),
        },
        "decisions": {"agree": judged.agree, "disagree": judged.disagree, "undecidable": judged.undecidable},
        "named": replayed.name,
        "precision": replayed.precision,
        "recorded_precision": replayed.recorded_precision,
        "ways": [
            {"name": one.way.name, "cause": one.way.cause, "log_odds": one.log_odds, "within_band": one.within, "positions": one.positions}
            for one in replayed.ways
        ],
        "greedy": None if text is None else text["greedy"],
        "text": text,
    }  # fmt: skip


def with_engine(report: Report, replayed: EngineReplay) -> Report:
    """The report with what the engine said. The base verdict stands where it is worse."""
    rows = causes(replayed)
    document = dict(report.document)
    document["replay"] = as_document(replayed)
    known = {row["cause"] for row in document["causes"]}
    document["causes"] = [*(row.row() for row in rows if row.cause not in known), *document["causes"]]
    document["verdict"], spoken = concluded(document, report.headline, replayed, rows)
    document = with_incident(document, spoken)
    told = leaving(
        replace(report, document=document),
        without(report.not_checked, "replay", "logprobs", "target-p", "counts-target-p"),
    )
    return replace(told, sections=[section(document["replay"]), *report.sections])


def agrees(replayed: EngineReplay, *, texts: bool = True) -> str | None:
    """What the scores show where they accuse nobody, of tokens too (`texts`); None where they are too few to say."""
    told = text_headline(replayed.scored.texts) if texts else None
    compared = len(replayed.scored.distances)
    if told is None and compared < 100:
        return None
    parts = [f"{compared:,} recorded log probabilities are the engine's own"] if compared else []
    return "; ".join([*parts, *([f"scored by the engine, {told}"] if told else [])])


def concluded(
    document: Mapping[str, Any], headline: Headline | None, replayed: EngineReplay | None, rows: list[Cause]
) -> tuple[dict[str, Any], str | None]:
    """The verdict with what the scores show, and `rows`, the causes that they (or a probe) name; `headline` is the base verdict's.

    That stands where it is worse; what was found right is said beside it, and covers correctness. Behind it the cause that its headline
    speaks of, where that is one of `rows`.
    """
    verdict = covered(document["verdict"], headline, replayed)
    looked = (
        document["verdict"]["coverage"]["correctness"] == "judged"
    )  # before: the same tokens, by their own logprobs
    state, says = verdict["state"], agrees(replayed, texts=not looked) if replayed is not None else None
    sure = [row for row in rows if row.certainty != "suspected"]
    if sure and state != "wrong":
        blame = list(dict.fromkeys([*(row.blame for row in sure), *verdict["blame"]]))
        return verdict | {"state": "wrong", "headline": sure[0].headline, "blame": blame}, sure[0].cause
    if rows and state in ("healthy", "cannot-tell"):
        verdict |= {"state": "cannot-tell", "headline": f"suspected only: {rows[0].headline}"}
    elif says is not None and not document["causes"] and state in ("healthy", "cannot-tell"):
        verdict |= {"state": "healthy", "headline": f"{verdict['headline']}; {says}" if looked else says}
    elif says is not None and not rows and state != "wrong":
        verdict["headline"] += f"; {says}"
    return verdict, None


def covered(verdict: Mapping[str, Any], headline: Headline | None, replayed: EngineReplay | None) -> dict[str, Any]:
    """The verdict with its coverage of correctness, and its `headline` with it, as far as the scores reach."""
    before = verdict["coverage"]
    if replayed is None:
        return dict(verdict)
    texts = replayed.scored.texts
    found = "judged" if agrees(replayed) is not None else text_coverage(texts)
    after = before | {"correctness": better(before["correctness"], found)}
    verdict = dict(verdict) | {"coverage": after}
    if after != before and headline is not None and headline.coverage is not None:
        reaching = dict(headline.coverage) | {"correctness": after["correctness"]}
        verdict["headline"] = replace(headline, coverage=reaching, only=text_judged(texts)).text
    return verdict


def section(d: Mapping[str, Any]) -> Section:
    """The figures in one table."""
    log_p, judged = d["log_p"], d["decisions"]
    rows: list[list[Any]] = [
        ["requests scored", d["requests"], f"of {d['requests_in_trace']:,}, {d['positions']:,} tokens"],
        ["band", d["band"]["width"], "nats; four times what the engine is from itself on the same ids"],
        ["log p compared", log_p["compared"], f"{log_p['equal']:,} are equal to the last digit"],
        ["outside the band", log_p["outside_band"], "recorded log p further off"],
        ["widest difference", log_p["max"], "nats"],
        ["decisions that agree", judged["agree"], "with the engine's own p"],
        ["decisions that contradict it", judged["disagree"], f"{judged['undecidable']:,} cannot be told"],
    ]
    if d["greedy"] is not None:
        rows.append(
            ["tokens at temperature 0", d["greedy"]["tokens"], f"{d['greedy']['wrong']:,} below the engine's best one"]
        )
    if d["tokenised"]:
        rows.append(
            ["known by their text", d["tokenised"], "the engine made the ids: what only these show is suspected"]
        )
    rows += [["left out", one["count"], one["what"]] for one in d["left_out"]]
    says = f"{d['engine']} {d['engine_version'] or ''} scored the recorded ids again."
    return Section("replay", "The engine as verifier", says, ["figure", "value", "meaning"], rows)
