"""Responses with a seed: each token against the draws that its engine makes of that seed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from sdtrace.responses.bounds import GREEDY, weights
from sdtrace.responses.evidence import Rows
from sdtrace.responses.judge import BASES
from sdtrace.responses.positions import Listed, listed, sampling, sure
from sdtrace.schema.arrays import Floats, Ints
from sdtrace.schema.responses import Response
from sdtrace.verify.streams import murmur
from sdtrace.verify.streams.coins import DRAFTED, by_coins
from sdtrace.verify.streams.laws import Explained, Known, gumbel_argmax, inverse_cdf, plain_argmax

#: How far a listed log probability may be from the one that was drawn from, in nats, beyond rounding: one row gave both.
BAND = 0.02
#: Odds by which a stream is taken to be the engine's own: its draws name the emitted token more often than another one's could.
ODDS = (1.5, 3.0, 10.0, 40.0)
PLAIN, COINS = "sglang-murmur", "sglang-coins"
#: What an answer of SGLang has for its drafter where its server said so: one draft a place, thresholds of 1, no rejection sampling.
CHAIN = "chain"
#: Streams by engine: what makes an answer of a row, what is known of its tokens, and the place of each row. vLLM and SGLang draw a token
#: with the position of the one before it.
Law = Callable[[Known, int, Ints], Explained]
STREAMS: dict[str, dict[str, Law]] = {
    "vllm": {
        "vllm-v2": lambda known, seed, place: gumbel_argmax(known, seed, place - 1, BAND),
        "vllm-v2, use_fp64_gumbel": lambda known, seed, place: gumbel_argmax(
            known, seed, place - 1, BAND, murmur.gumbel_fp64
        ),
    },
    "sglang": {PLAIN: lambda known, seed, place: plain_argmax(known, seed, place - 1, BAND)},
    "llama.cpp": {"mt19937": lambda known, seed, place: inverse_cdf(known, seed, 0, BAND)},
}


class Drafting(StrEnum):
    """What a stream takes for granted of how the engine drafts, which its answers do not say.

    SGLang's coins of speculation are known for drafts in a chain, each kept where its coin falls below p. llama.cpp can draw a draft
    model's tokens and verify them by rejection (--spec-draft-sampling probabilistic), which spends other draws; by match it is where
    nothing drafts, or a lookup does.
    """

    CHAIN = "drafts in a chain"
    BY_MATCH = "drafts verified by match"


@dataclass(frozen=True)
class Seeded:
    """Tokens of a response against one stream: explained, contradicted, not to be told; `plain` ones, and the log of each bet on it.
    `untempered`: the draws taken from the logits as they are, where those of the request's temperature contradict a token."""

    stream: str
    assumed: Drafting | None
    untempered: bool
    basis: str
    explained: int
    contradicted: int
    untold: int
    plain: int
    logs: tuple[float, ...]


def seeded(row: Response, steps: bool = True) -> list[Seeded]:
    """One entry a stream of the engine and basis of its logprobs; none where the response has no seed or its draws cannot be known.
    `steps`: those of SGLang's speculation too, one a number of drafts, where plain draws do not explain the answer."""
    seed = row["seed"]
    if (
        seed is None
        or row["tokenised"]
        or row["engine"] not in STREAMS
        or any(v is None for v in row["logprobs"])
        or not row["token_ids"]
        or _holes(row)
        or row["choice"]  # a further answer to one request has a seed of its own, or stands for another prompt
    ):
        return []
    given = sampling(row, usual=True)
    if isinstance(given, str) or given.temperature < GREEDY or given.penalised:
        return []
    if row["engine"] == "llama.cpp" and given.top_k == 0 and given.top_p == 1:
        return []  # candidates stand in the order of the vocabulary, which is not told
    found = listed(row)
    rows = sure(found, row)
    if isinstance(rows, str):
        return []
    made = []
    for basis in (row["basis"],) if row["basis"] else BASES[row["engine"]]:
        applied = given.on(basis)
        known = _known(rows, found, applied)
        for name, law in STREAMS[row["engine"]].items():
            answer = _answer(row, seed, known, law)
            if answer is None:
                continue
            assumed = _assumed(row)
            made.append(_counted(name, assumed, basis, answer))
            if made[-1].contradicted and applied.temperature != 1:
                plain = _answer(row, seed, _known(rows, found, replace(applied, temperature=1.0)), law)
                made += [] if plain is None else [_counted(name, assumed, basis, plain, untempered=True)]
            if steps and name == PLAIN and (answer.answer == -1).any():
                made += _by_steps(row, seed, known, basis)
    return made


def _holes(row: Response) -> bool:
    """Whether the engine counted more tokens than came, or fewer (chunks that were lost, or came twice): none has its place then. The one
    that ends an answer may be missing."""
    counted, came = row["completion_tokens"], len(row["token_ids"])
    return counted is not None and counted != came + (counted == came + 1 and row["finish_reason"] == "stop")


def _by_steps(row: Response, seed: int, known: Known, basis: str) -> list[Seeded]:
    place = len(row["prompt_token_ids"] or ()) + np.arange(len(known.token))
    assumed = None if row["drafter"] == CHAIN else Drafting.CHAIN
    return [_counted(f"{COINS}, {n} drafted", assumed, basis, by_coins(known, seed, place, BAND, n)) for n in DRAFTED]


def _assumed(row: Response) -> Drafting | None:
    told = row["drafter"]
    sure = row["engine"] != "llama.cpp" or (told is not None and "draft" not in told)
    return None if sure else Drafting.BY_MATCH


def _known(rows: Rows, listed: Listed, applied: Any) -> Known:
    shaped = weights(rows.top, rows.edge, rows.error, applied)
    rest = shaped.rest_high
    most = shaped.most()[:, :-1]
    total = shaped.high.sum(axis=1) + rest
    low: Floats = shaped.low / np.maximum(total, 1e-300)[:, None]
    middle = shaped.middle()[:, :-1]
    with np.errstate(divide="ignore"):
        log_p = np.log(middle)
    first = rows.top[:, 0]
    n, k = rows.ids.shape
    at, place = np.arange(n), np.minimum(rows.place, k - 1)
    # the emitted token's own log probability on the scale of the others, where it is not among them
    own = (listed.value - first) / applied.temperature + log_p[:, 0]
    own = np.where(rows.place < k, log_p[at, place], own)
    return Known(rows.ids, log_p, most, low, shaped.low > 0, rows.place, listed.token, own)


def _answer(row: Response, seed: int, known: Known, law: Law) -> Explained | None:
    prompt = row["prompt_token_ids"]
    if row["engine"] != "llama.cpp" and (prompt is None or (known.token < 0).all()):
        return None
    return law(known, seed, len(prompt or ()) + np.arange(len(known.token)))


def _counted(
    stream: str, assumed: Drafting | None, basis: str, answer: Explained, *, untempered: bool = False
) -> Seeded:
    hits = int(answer.plain.sum())
    logs = tuple(hits * np.log(odds) - float(np.log1p(answer.chance * (odds - 1)).sum()) for odds in ODDS)
    explained, contradicted, untold = (int((answer.answer == value).sum()) for value in (1, -1, 0))
    return Seeded(stream, assumed, untempered, basis, explained, contradicted, untold, hits, logs)
