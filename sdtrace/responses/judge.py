"""One response against its own logprobs: what adds up over responses, what stands for itself, and why some say nothing."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sdtrace.responses.bounds import GREEDY
from sdtrace.responses.evidence import Rows, Sums, sums
from sdtrace.responses.positions import Listed, from_prompt, listed, lost, sampling, seen, sure
from sdtrace.schema.arrays import Flags
from sdtrace.schema.responses import Response

#: At temperature 0 a token this far below the best one may be a tie that another order of additions decides, in nats.
TIE = 0.25
#: What logprobs of an engine may be of, where it does not say.
BASES: dict[str, tuple[str, ...]] = {
    "vllm": ("raw", "processed"),
    "sglang": ("scaled", "raw"),
    "llama.cpp": ("raw", "processed"),
    "openai": ("raw", "scaled", "processed"),
}
#: No log probability is above this, whatever its rounding.
_LOGIT = 0.06
ALL = ("raw", "scaled", "processed")
#: Tokens of a response from which an identity is held against it.
_IDENTITY = 16


@dataclass
class Judged:
    """`sums`: (basis, variant) -> code -> Sums; variant strict (what is not said is unknown) or usual (it is switched off).

    `greedy`: tokens at temperature 0: looked at, near ties, wrong ones, and the widest gap, for each variant. `why`: the reason
    for which nothing was looked at. `identity`: code -> (examined, faulty).
    """

    tokens: int = 0
    temperature: float | None = None
    sums: dict[tuple[str, str], dict[str, Sums]] = field(default_factory=dict)
    greedy: dict[str, tuple[int, int, int, float]] = field(default_factory=dict)
    identity: dict[str, tuple[int, int]] = field(default_factory=dict)
    why: str | None = None


VARIANTS = ("strict", "usual")


def judge(row: Response) -> Judged:
    """A row of RESPONSE."""
    if not row["token_ids"] or any(value is None for value in row["logprobs"]):
        return Judged(why="some emitted token has no log probability")
    if max((value for top in row["top_logprobs"] for value in top), default=0.0) > _LOGIT:
        return Judged(why="what is listed are logits, no log probabilities")
    found = listed(row)
    made = Judged(len(found.token), row["temperature"])
    _identities(made, found, row)
    missing = lost(row)
    asked = {variant: sampling(row, usual=variant == "usual") for variant in VARIANTS}
    if row["basis"] == "processed" and row["steered"] is None:
        asked = {variant: sampling(_neutral(row), usual=True) for variant in VARIANTS}
    usual = asked["usual"]
    if isinstance(usual, str) or isinstance(missing, str):
        made.why = usual if isinstance(usual, str) else str(missing)
        return made
    rows = sure(found, row)
    if usual.temperature < GREEDY:
        made.greedy = {v: _greedy(found, row, penalised=_penalised(asked[v])) for v in _variants(row)}
        return made
    if isinstance(rows, str):
        made.why = rows
        return made
    for variant in _variants(row):
        given = asked[variant]
        if isinstance(given, str):
            continue
        judged = replace(rows, seen=_seen(row, rows, found)) if given.penalised else rows
        before: dict[Any, dict[str, Sums]] = {}
        for basis in (row["basis"],) if row["basis"] == "processed" else ALL:
            applied = given.on(basis)
            if applied not in before:  # bases that come to the same are weighed once
                before[applied] = sums(judged, applied, missing)
            made.sums[basis, variant] = before[applied]
    return made


def _variants(row: Response) -> tuple[str, ...]:
    """Where ids are a tokenisation of the text, other ones may have been emitted: nothing is held against an engine for certain."""
    return VARIANTS[1:] if row["tokenised"] else VARIANTS


def _neutral(row: Response) -> Response:
    """Logprobs after the chain hold everything that the request asked for."""
    return {
        **row,
        "temperature": 1.0 if row["temperature"] is None else row["temperature"],
        "top_k": None,
        "top_p": None,
        "min_p": None,
        "repetition_penalty": None,
        "presence_penalty": None,
        "frequency_penalty": None,
    }


def _penalised(given: Any) -> bool:
    return isinstance(given, str) or bool(given.penalised)


def _seen(row: Response, rows: Rows, listed: Listed) -> Flags:
    return seen(rows.ids, listed.token, row["prompt_token_ids"], everywhere=from_prompt(row))


def _greedy(listed: Listed, row: Response, *, penalised: bool) -> tuple[int, int, int, float]:
    """Tokens, near ties, wrong ones and the widest gap: what stands above the emitted token, by how much."""
    above = listed.logprobs
    if penalised:
        came = seen(listed.ids, listed.token, row["prompt_token_ids"], everywhere=from_prompt(row))
        above = np.where(came, -np.inf, above)
    best = above.max(axis=1)
    with np.errstate(invalid="ignore"):  # nothing stands above where all of it came before
        gap = np.where(np.isfinite(best), best - listed.value - 2 * listed.error.max(axis=1), 0.0)
    gap = np.where(listed.ids[:, 0] == listed.token, 0.0, np.maximum(gap, 0.0))
    return len(gap), int(((gap > 0) & (gap <= TIE)).sum()), int((gap > TIE).sum()), float(gap.max(initial=0.0))


def _identities(made: Judged, listed: Listed, row: Response) -> None:
    """all-zero: every log probability is 0 while others stand beside it. sum: a list sums to more than 1."""
    n = len(listed.token)
    mass = np.exp(listed.logprobs)
    beyond = mass.sum(axis=1) > 1.0 + 0.01 + (mass * np.expm1(2 * listed.error)).sum(axis=1)
    made.identity["sum"] = n, int(beyond.sum())
    if n >= _IDENTITY:
        zero = bool((listed.value == 0).all())
        one_hot = zero and bool((~np.isfinite(listed.logprobs[:, 1:])).all()) and listed.logprobs.shape[1] > 1
        listed_more = one_hot and (row["asked_k"] or 0) > 1
        forced = row["temperature"] is None or row["temperature"] < 0.3 or row["top_k"] == 1
        # after the chain a sharp distribution may be cut to one token at each position
        judged = not forced and row["basis"] != "processed" and row["steered"] is None
        made.identity["one-hot"] = (
            n if judged else 0,
            n if judged and zero and (listed_more or not any(row["top_ids"])) else 0,
        )
