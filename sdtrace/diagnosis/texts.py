"""Causes that responses with logprobs show, and what they say where they show none."""

from dataclasses import replace
from typing import Any

from sdtrace.responses.readings import ENOUGH, bias_at_most, greedy, power, readings
from sdtrace.responses.streams import streams
from sdtrace.responses.texts import Texts
from sdtrace.results.cause import Cause, Outcomes, fired, make, ranked
from sdtrace.results.headline import Covered
from sdtrace.results.report import Section
from sdtrace.results.words import Certainty

_SEND = "keep the whole request, or send every sampling parameter: sdtrace probe does"
_STATISTICS = {
    "rank": "tokens that are the best one", "rest": "tokens outside the listed ones", "surprisal": "surprisal, nats",
    "cut": "tokens beyond top-k, top-p, min-p",
}  # fmt: skip
_SAMPLED = ("SD303", "SD302", "SD304", "SD305")


def text_causes(outcomes: Outcomes) -> list[Cause]:
    """Causes from the checks of responses."""
    rows: list[Cause] = []
    if fired(outcomes, "SD301"):
        assumed = any(w.get("assumed") for w in outcomes["SD301"].witnesses)
        rows.append(make("greedy-mismatch", "suspected" if assumed else "proved", ["SD301"], outcomes))
    live = [code for code in _SAMPLED if fired(outcomes, code)]
    rows += [_sampled(outcomes, live)] if live else []
    if fired(outcomes, "SD311"):
        server = outcomes["SD311"].witnesses[0]
        cause, label = "text-not-from-target", "tokens of seeded requests are none that their draws give"
        if server["untempered"]:
            cause, label = (
                "sampling-params-ignored",
                "the temperature is ignored: seeded tokens are drawn from the logits as they are",
            )
        rows.append(make(cause, "suspected" if server["assumed"] else "statistical", ["SD311"], outcomes, label))
    if fired(outcomes, "SD306"):
        rows.append(make("degenerate-target", "suspected", ["SD306"], outcomes))
    if fired(outcomes, "SD307"):
        rows.append(make("record-broken", "statistical", ["SD307"], outcomes, "logprobs of responses are none"))
    return [row for i, row in enumerate(ranked(rows)) if row.cause not in {one.cause for one in ranked(rows)[:i]}]


def _sampled(outcomes: Outcomes, live: list[str]) -> Cause:
    live = sorted(live, key=lambda code: -(outcomes[code].value or 0.0))
    server = outcomes[live[0]].witnesses[0]
    certainty: Certainty = "suspected" if server["assumed"] else "statistical"
    cause, label = _named(outcomes, live, server)
    row = make(cause, certainty, live, outcomes, label)
    advice = row.advice if not server["assumed"] else f"{row.advice}; {_SEND}"
    return replace(row, advice=advice)


def _named(outcomes: Outcomes, live: list[str], server: dict[str, Any]) -> tuple[str, str | None]:
    """The account that fits the tokens where the server's own does not."""
    if server["instead"] is not None:
        what = "the temperature is ignored" if server["instead"] == "scaled" else "sampling parameters are ignored"
        return "sampling-params-ignored", f"{what}: tokens are drawn from the logits as they are"
    if live[0] == "SD305":
        return "sampling-params-ignored", "top-k, top-p or min-p is not applied where tokens come from"
    if (
        "SD303" in live
        and outcomes["SD303"].witnesses[0]["observed"] > 2 * outcomes["SD303"].witnesses[0]["expected_high"]
    ):
        return (
            "text-not-from-target",
            "tokens come from another row than theirs, a stale one, or under swapped ids",
        )
    sharper = outcomes["SD304"].witnesses[0]["sharper"] if "SD304" in live else None
    if sharper is not None:
        word = "sharper" if sharper > 1 else "flatter"
        return "text-not-from-target", f"tokens are drawn from something {word} than the target's distribution"
    return "text-not-from-target", None


def text_document(texts: Texts) -> dict[str, Any] | None:
    """`text` of the document; None where there was no response with logprobs."""
    if not texts.responses:
        return None
    found, zero = readings(texts), greedy(texts, "usual")
    worst = max(found, key=lambda one: one.log_e, default=None)
    bias = [b for one in found if (b := bias_at_most(one)) is not None]
    return {
        "responses": texts.responses,
        "tokens": texts.tokens,
        "judged": sum(max((f.tokens for f in one.usual_figures.values()), default=0) for one in found),
        "temperature": sorted({t for one in found for t in one.temperatures}),
        "basis": None if worst is None else worst.basis,
        "basis_is": None if worst is None else worst.how,
        "log10_e": None if worst is None else worst.log_e / 2.302585092994046,
        "e_value": None if worst is None or worst.log_e > 700 else 2.718281828459045**worst.log_e,
        "bias_at_most": max(bias, default=None),
        "greedy": None if zero is None else {
            "tokens": int(zero["tokens"]), "near_ties": int(zero["near"]), "wrong": int(zero["wrong"]),
            "widest_gap": float(zero["most"]),
        },
        "servers": [
            {
                "engine": one.engine, "model": one.model or None, "basis": one.basis, "basis_is": one.how,
                "log_e": one.log_e, "log_e_if_unsaid_is_off": one.usual,
                "statistics": {
                    code: {
                        "tokens": f.tokens, "observed": f.observed, "expected": [f.low, f.high], "log_e": f.log_e,
                        "bias_at_most": f.bias, "variance": f.variance, "bets": list(f.logs),
                    }
                    for code, f in (one.figures or one.usual_figures).items()
                },
            }
            for one in found
        ],
        "seeds": [
            {
                "engine": one.engine, "model": one.model or None, "stream": one.name if one.recognised else None,
                "tokens": one.tokens, "explained": one.explained, "contradicted": one.contradicted, "log_e": one.log_e,
            }
            for one in streams(texts)
        ],
        "not_judged": dict(texts.why),
    }  # fmt: skip


def text_section(texts: Texts) -> Section | None:
    """The statistics in one table; None where there was no response with logprobs."""
    if not texts.responses:
        return None
    rows: list[list[Any]] = []
    for one in readings(texts):
        for code, f in (one.figures or one.usual_figures).items():
            rows.append(
                [one.model or one.engine, _STATISTICS[code], f.tokens, f.observed, f.low, f.high, power(f.log_e)]
            )
    if (zero := greedy(texts, "usual")) is not None:
        rows.append(["temperature 0", "tokens below the best one", int(zero["tokens"]), int(zero["wrong"]), 0, 0, None])
    for seed in streams(texts):
        name = seed.name if seed.recognised else "no known stream"
        rows.append([name, "seeded tokens contradicted", seed.tokens, seed.contradicted, 0, 0, None])
    says = f"{texts.responses:,} responses, {texts.tokens:,} tokens, against the logprobs that came with them."
    columns = ["server", "statistic", "tokens", "observed", "expected, low", "expected, high", "e-value"]
    return Section("responses", "Responses", says, columns, rows)


def text_headline(texts: Texts) -> str | None:
    """What responses show where nothing is wrong; None where they are too few to say."""
    found, zero = readings(texts), greedy(texts, "strict")
    sampled = sum(one.figures["rank"].tokens for one in found if "rank" in one.figures)
    certain = int(zero["tokens"]) if zero is not None else 0
    if sampled + certain < ENOUGH:
        return None
    told = []
    if sampled:
        bias = max((b for one in found if (b := bias_at_most(one)) is not None), default=1.0)
        loud = max(one.log_e for one in found)
        how = f"e-value {power(loud)}; less than {bias:.1%} of them off, or it would show"
        told.append(f"{sampled:,} sampled tokens follow their own logprobs ({how})")
    if certain:
        near = f", {int(zero['near']):,} of them near ties" if zero is not None and zero["near"] else ""
        told.append(f"{certain:,} tokens at temperature 0 are the best ones{near}")
    if drawn := sum(one.explained for one in streams(texts) if one.recognised and not one.contradicted):
        told.append(f"each of {drawn:,} seeded tokens is what the request's own draws give")
    return "; ".join(told)


def text_coverage(texts: Texts) -> Covered:
    """Whether tokens of responses were judged: enough of them under what their requests say, fewer, or none."""
    if text_headline(texts) is not None:
        return "judged"
    return "too-little" if text_judged(texts) else "not-judged"


def text_judged(texts: Texts) -> str:
    """How many tokens were looked at: `tokens: 64 sampled, 32 at temperature 0`; nothing where none was."""
    found, zero = readings(texts), greedy(texts, "usual")
    sampled = sum(max((f.tokens for f in one.usual_figures.values()), default=0) for one in found)
    drawn = sum(one.explained + one.contradicted for one in streams(texts) if one.recognised)
    counts = {"sampled": sampled, "at temperature 0": int(zero["tokens"]) if zero is not None else 0, "seeded": drawn}
    told = [f"{n:,} {what}" for what, n in counts.items() if n]
    return f"tokens: {', '.join(told)}" if told else ""


def text_notes(texts: Texts) -> list[str]:
    """What was not judged of responses."""
    notes = [f"{n:,} of {texts.responses:,} responses: {why}" for why, n in texts.why.most_common(4)]
    for one in readings(texts):
        if one.how == "unknown":
            names = " or ".join(one.candidates)
            notes.append(
                f"what the logprobs of {one.model or one.engine} are of is not said ({names}): the best account counts"
            )
    return notes
