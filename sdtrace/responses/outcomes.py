"""Outcomes of the checks of responses, from what their sums say."""

from collections.abc import Callable
from typing import Any

import polars as pl

from sdtrace.responses.evidence import POWERS
from sdtrace.responses.readings import ENOUGH, LEVEL, Figure, Reading, greedy, power, readings, words
from sdtrace.responses.texts import Texts
from sdtrace.results.check import Counts, Outcome

_NONE = "no response with logprobs of its kind"
#: A gap at temperature 0 that no order of additions explains, and a number of smaller ones.
_WIDE, _SEVERAL = 1.0, 3
#: How far the log e-value of one statistic may be below what convicts the server, to be named with it.
_BESIDE = 2.5

Read = Callable[[Counts], Outcome]


def weighed(code: str, what: str) -> Read:
    """A statistic of sampled tokens: fires where the server is refuted and this statistic shows it."""

    def read(counts: Counts) -> Outcome:
        texts = _of(counts)
        found = [one for one in readings(texts) if code in one.figures or code in one.usual_figures]
        n = sum(_figure(one, code).tokens for one in found)
        if not n:
            return _untold(texts, n)
        shown = [one for one in found if (one.wrong or one.suspected) and _figure(one, code).log_e >= LEVEL - _BESIDE]
        if shown:
            worst = max(shown, key=lambda one: (one.wrong, _figure(one, code).log_e))
            return _fired(texts, worst, code, n, len(shown))
        bias = [b for one in found if (b := _figure(one, code).bias) is not None]
        most = max(bias, default=None)
        if n < ENOUGH:
            return Outcome(
                "cannot-tell", n, texts.tokens, (), None, f"{n:,} tokens are too few; {ENOUGH - n:,} more would do"
            )
        loud = max(_figure(one, code).log_e for one in found)
        says = f"{what} of {n:,} tokens are as they should be (e-value {power(loud)})"
        if code in ("rank", "rest") and most is not None:
            says += f"; they are off by {most:.1%} of the tokens at most"
        return Outcome("clear", n, texts.tokens, (), loud, says, visible=most)

    return read


def _figure(one: Reading, code: str) -> Figure:
    mine = one.usual_figures if one.suspected else one.figures
    return mine.get(code) or one.usual_figures.get(code) or one.figures[code]


def _fired(texts: Texts, worst: Reading, code: str, n: int, servers: int) -> Outcome:
    figure = _figure(worst, code)
    assumed = (
        None
        if worst.wrong
        else "what the requests do not say (top_p, top_k, min_p, repetition_penalty) is switched off"
    )
    server = {
        "engine": worst.engine, "statistic": code, "tokens": figure.tokens, "observed": figure.observed,
        "expected_low": figure.low, "expected_high": figure.high, "log_e": figure.log_e, "basis": worst.basis,
        "basis_is": worst.how, "assumed": assumed, "instead": worst.instead, "sharper": sharper(figure),
    }  # fmt: skip
    seen = tuple(_place(row) for row in texts.witnesses.get(code, ()))
    first = {k: v for k, v in seen[0].items() if k in ("path", "line", "request_id", "surface")} if seen else {}
    return Outcome("fired", n, texts.tokens, (), figure.log_e, words(worst, code), servers, (first | server, *seen[1:]))


def sharper(figure: Figure) -> float | None:
    """The power of the distribution that the best bet of a surprisal takes it for: above 1 = sharper than asked."""
    return POWERS[figure.logs.index(max(figure.logs))] if figure.code == "surprisal" else None


def _place(row: dict[str, Any]) -> dict[str, Any]:
    """A witness; `surface` says that it is no step that could be explained."""
    return {k: v for k, v in row.items() if k != "size"} | {"surface": "response"}


def _of(counts: Counts) -> Texts:
    held = counts.sums[0]["texts"] if counts.sums else None
    return held if isinstance(held, Texts) else Texts()


def best_at_zero(counts: Counts) -> Outcome:
    """Temperature 0: fires where tokens lie clearly below the best one."""
    texts = _of(counts)
    strict, usual = greedy(texts, "strict"), greedy(texts, "usual")
    if strict is None or usual is None or not usual["tokens"]:
        return _untold(texts, 0)
    n = int(usual["tokens"])
    if usual["wrong"]:
        sure = strict["wrong"] >= _SEVERAL or (strict["wrong"] and strict["most"] >= _WIDE)
        told = strict if sure else usual
        says = f"{told['wrong']:,} of {n:,} tokens at temperature 0 lie below the best one, by up to {told['most']:.2f} nats"
        says += f"; {told['near']:,} more are near ties" if told["near"] else ""
        assumed = (
            None
            if sure
            else "no penalty or default of the server lowers the tokens above"
            if not strict["wrong"]
            else "few and near"
        )
        rows = texts.witnesses.get("greedy strict" if sure else "greedy usual", ())
        seen = tuple(_place(row) | {"assumed": assumed} for row in rows)
        return Outcome("fired", n, texts.tokens, (), usual["wrong"] / n, says, int(told["wrong"]), seen)
    says = f"all of {n:,} tokens at temperature 0 are the best of their row"
    if usual["near"]:
        says = f"of {n:,} tokens at temperature 0 {usual['near']:,} are near ties and all others the best of their row"
    return Outcome("clear", n, texts.tokens, (), 0.0, says)


def identity(code: str, noun: str, least: int) -> Read:
    """Something that no response may show: fires from `least` responses (or positions) on."""

    def read(counts: Counts) -> Outcome:
        texts = _of(counts)
        rows = None if texts.identity is None else texts.identity.filter(pl.col("code") == code)
        if rows is None or rows.is_empty():
            return _untold(texts, 0)
        n, bad, faulty = int(rows["tokens"].sum()), int(rows["bad"].sum()), int(rows["faulty"].sum())
        if bad >= least:
            says = f"{bad:,} of {n:,} positions in {faulty:,} responses {noun}"
            return Outcome(
                "fired", n, texts.tokens, (), bad / n, says, faulty, tuple(map(_place, texts.witnesses[code]))
            )
        return Outcome("clear", n, texts.tokens, (), bad / n, f"none of {n:,} positions to speak of {noun}")

    return read


def _untold(texts: Texts, n: int) -> Outcome:
    if not texts.responses:
        return Outcome("cannot-tell", 0, 0, (), None, _NONE)
    why = texts.why.most_common(1)
    return Outcome("cannot-tell", n, texts.tokens, (), None, why[0][0] if why else _NONE)
