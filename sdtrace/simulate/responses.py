"""Made responses with logprobs of an engine that is right, or wrong in one way. SYNTHETIC.

    for wrapped in responses(Asked(fault="text-stale")):
        ...  # {"request": {...}, "response": {...}}

A row is peaked as a language model's is (Zipf's law with an exponent of its own). The engine cuts and draws as vLLM does:
penalties, temperature, min-p, top-k, top-p, then a token of what is left.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from sdtrace.errors import UsageError
from sdtrace.schema.arrays import Floats
from sdtrace.schema.json_values import Json
from sdtrace.simulate.response_shapes import SHAPES


@dataclass(frozen=True)
class Asked:
    """What is made. `k` top logprobs; `basis` of the logprobs: raw, scaled, processed; `decimals` they are rounded to (None = float32);
    `shape`: completion, chat, sglang, llamacpp; `unsaid`: parameters that the request leaves to the server; `stop`: the share of the
    vocabulary that ends a response and is left out of the record."""

    fault: str = "text-healthy"
    strength: float | None = None
    responses: int = 40
    tokens: int = 60
    vocab: int = 1000
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    k: int = 5
    basis: str = "raw"
    decimals: int | None = None
    shape: str = "completion"
    unsaid: tuple[str, ...] = ()
    stop: float = 0.0
    flat: float = 1.0
    seed: int = 0


@dataclass
class Row:
    """One position: logits as the model gives them, and what the engine draws from; `before`: the latter at the last one."""

    logits: Floats
    shaped: Floats
    before: Floats
    draft: int
    rng: np.random.Generator
    asked: Asked
    strength: float


@dataclass(frozen=True)
class TextFault:
    """`cause` of the vocabulary; `draw` the emitted token; `write` changes the finished lists of a response.

    `temperature`, `top_k` and `shape` are what shows it: an engine's form of responses says which parameters its logprobs are before.
    """

    cause: str
    says: str
    strength: float = 1.0
    means: str = ""
    draw: Callable[[Row], int] | None = None
    write: Callable[[Json, float, np.random.Generator], None] | None = None
    temperature: float = 1.0
    top_k: int = 0
    shape: str = "completion"


def responses(asked: Asked) -> Iterator[Json]:
    """Wrapped responses, one after the other. Raises UsageError for an unknown fault."""
    fault = TEXT_FAULTS.get(asked.fault)
    if fault is None:
        raise UsageError(f"{asked.fault}: no such fault", "sdtrace simulate --list names them all")
    rng = np.random.default_rng([asked.seed, 2027])
    strength = fault.strength if asked.strength is None else asked.strength
    for n in range(asked.responses):
        made = _Response(asked, list(map(int, rng.integers(0, asked.vocab, 12))))
        for row in _rows(asked, made, strength, rng):
            token = _draw(row.shaped, rng) if fault.draw is None else fault.draw(row)
            if asked.stop and token < asked.stop * asked.vocab:
                made.finish = "stop"
                break
            made.add(row, token)
        if fault.write:
            fault.write(made.lists, strength, rng)
        yield {
            "request": made.request(),
            "response": SHAPES[asked.shape](asked, made.lists, made.prompt, made.finish, n),
        }


@dataclass
class _Response:
    asked: Asked
    prompt: list[int]
    finish: str = "length"
    lists: Json = field(default_factory=lambda: {"tokens": [], "logprobs": [], "top": []})

    def add(self, row: Row, token: int) -> None:
        """Write a position as the engine lists it."""
        asked = self.asked
        shown = {"raw": row.logits, "scaled": row.logits / max(asked.temperature, 1e-5), "processed": row.shaped}[
            asked.basis
        ]
        log = _log_softmax(shown)
        log = np.round(log, asked.decimals) if asked.decimals is not None else log.astype(np.float32).astype(float)
        order = np.argsort(-log, kind="stable")[: asked.k]
        self.lists["tokens"].append(token)
        self.lists["logprobs"].append(float(log[token]))
        self.lists["top"].append([(int(i), float(log[i])) for i in order])

    def request(self) -> Json:
        """The request as a client sends it."""
        a = self.asked
        given = {
            "temperature": a.temperature, "top_p": a.top_p, "top_k": a.top_k or -1, "min_p": a.min_p,
            "repetition_penalty": a.repetition_penalty, "presence_penalty": a.presence_penalty,
            "frequency_penalty": a.frequency_penalty,
        }  # fmt: skip
        told: Json = {"model": "made", "prompt": self.prompt, "max_tokens": a.tokens, "logprobs": a.k}
        if a.shape == "chat":
            told |= {"logprobs": True, "top_logprobs": a.k, "messages": []}
        told |= {name: value for name, value in given.items() if name not in a.unsaid}
        return told


def _rows(asked: Asked, made: _Response, strength: float, rng: np.random.Generator) -> Iterator[Row]:
    before = None
    quality = rng.uniform(0.3, 1.3)
    for _ in range(asked.tokens):
        logits = asked.flat * rng.uniform(0.8, 3.0) * rng.standard_exponential(asked.vocab)
        shaped = shape(logits, asked, [*made.prompt, *made.lists["tokens"]], made.lists["tokens"])
        draft = int(np.argmax(logits * rng.uniform(0.7, 1.1) + quality * rng.standard_normal(asked.vocab)))
        yield Row(logits, shaped, shaped if before is None else before, draft, rng, asked, strength)
        before = shaped


def shape(logits: Floats, asked: Asked, seen: list[int], written: list[int]) -> Floats:
    """Logits after penalties, temperature, min-p, top-k and top-p; what is cut is -inf."""
    out = logits.astype(float).copy()
    if asked.repetition_penalty != 1:
        came = np.unique(seen)
        out[came] = np.where(out[came] > 0, out[came] / asked.repetition_penalty, out[came] * asked.repetition_penalty)
    if asked.presence_penalty or asked.frequency_penalty:  # llama.cpp holds them against what the prompt says too
        came, times = np.unique(
            np.array(seen if asked.shape == "llamacpp" else written, dtype=np.int64), return_counts=True
        )
        out[came] -= asked.presence_penalty + asked.frequency_penalty * times
    out = out / (asked.temperature if asked.temperature > 0 else 1.0)
    if asked.min_p:
        out[_log_softmax(out) < _log_softmax(out).max() + np.log(asked.min_p)] = -np.inf
    if asked.top_k:
        out[out < np.sort(out)[-min(asked.top_k, len(out))]] = -np.inf
    if asked.top_p < 1:
        order = np.argsort(-out)
        p = np.exp(_log_softmax(out))[order]
        out[order[np.cumsum(p) - p >= asked.top_p]] = -np.inf
    return out


def _draw(shaped: Floats, rng: np.random.Generator) -> int:
    """A token by Gumbel's noise, as engines draw."""
    return int(np.argmax(shaped + rng.gumbel(size=len(shaped))))


def _log_softmax(logits: Floats) -> Floats:
    at = logits - logits.max()
    log: Floats = at - np.log(np.exp(at).sum())
    return log


def _right(row: Row) -> int:
    return int(np.argmax(row.shaped)) if row.asked.temperature == 0 else _draw(row.shaped, row.rng)


def _often(draw: Callable[[Row], int]) -> Callable[[Row], int]:
    """A fault that strikes with a chance of its strength."""
    return lambda row: draw(row) if row.rng.random() < row.strength else _right(row)


def _hot(row: Row) -> int:
    """Drawn at another temperature than asked."""
    return _draw(row.shaped * max(row.asked.temperature, 1e-5) / row.strength, row.rng)


def _swap(lists: Json, strength: float, rng: np.random.Generator) -> None:
    """Neighbours change places with their logprobs left behind: what is told of a token is another one's."""
    tokens = lists["tokens"]
    for i in range(len(tokens) - 1):
        if rng.random() < strength:
            tokens[i], tokens[i + 1] = tokens[i + 1], tokens[i]
    for i, token in enumerate(tokens):
        told = dict(lists["top"][i])
        lists["logprobs"][i] = told.get(token, min(min(told.values()) - 1.0, lists["logprobs"][i]))


def _zero(lists: Json, strength: float, rng: np.random.Generator) -> None:
    lists["logprobs"] = [0.0] * len(lists["tokens"])
    lists["top"] = [[(i, 0.0) for i, _ in top] for top in lists["top"]]


TEXT_FAULTS: dict[str, TextFault] = {
    "text-healthy": TextFault("", "responses with logprobs of an engine that is right", draw=_right),
    "text-forced": TextFault(
        "text-not-from-target", "some tokens are the drafted ones whatever the target says", 0.3, "share of tokens",
        _often(lambda row: row.draft),
    ),
    "text-stale": TextFault(
        "text-not-from-target", "tokens are drawn from the row before", 1.0, "share of tokens",
        _often(lambda row: _draw(row.before, row.rng)),
    ),
    "text-temperature": TextFault(
        "sampling-params-ignored", "tokens are drawn at another temperature", 1.0, "the temperature", _hot, temperature=0.7,
        shape="llamacpp",
    ),
    "text-uncut": TextFault(
        "sampling-params-ignored", "top-k, top-p and min-p are not applied", 1.0, "share of tokens",
        _often(lambda row: _draw(row.logits / max(row.asked.temperature, 1e-5), row.rng)), top_k=5, shape="llamacpp",
    ),
    "text-swapped": TextFault("text-not-from-target", "neighbouring tokens change places", 0.5, "share of tokens", _right, _swap),
    "text-any": TextFault(
        "text-not-from-target", "some tokens are any of the vocabulary", 0.05, "share of tokens",
        _often(lambda row: int(row.rng.integers(row.asked.vocab))),
    ),
    "text-second": TextFault(
        "greedy-mismatch", "at temperature 0 some tokens are the second best", 0.1, "share of tokens",
        _often(lambda row: int(np.argsort(-row.shaped)[1])), temperature=0.0,
    ),
    "text-zero": TextFault("record-broken", "every logprob is 0", draw=_right, write=_zero),
}  # fmt: skip
