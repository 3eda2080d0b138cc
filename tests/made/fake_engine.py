"""A small engine behind HTTP that draws truly: a numpy language model of 200 tokens, with or without speculation, right or wrong.

It answers as vLLM does (/v1/completions with ids, logprobs, prompt_logprobs, seeds by the streams of model runner V2; /metrics, /version,
/v1/models, /tokenize) and as SGLang does (/generate with meta_info).
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from http.server import BaseHTTPRequestHandler
from typing import Any

import numpy as np

from sdtrace.verify.streams import murmur, philox
from tests.made.served import Quiet, served

VOCAB = 200
#: What the third token spells: one that templates put in.
SPECIAL = "<|im_start|>"
FAULTS = ("forced", "stale", "temperature", "stream", "swapped")


@lru_cache(maxsize=200_000)
def _row(model: int, one: int, two: int) -> np.ndarray:
    rng = np.random.default_rng([model, one, two])
    return rng.uniform(0.8, 2.5) * rng.standard_exponential(VOCAB)


@dataclass
class Engine:
    """`k`: drafted tokens a step (0 = no speculation). `fault`: one of FAULTS, or none. `key`: what must stand behind Bearer."""

    k: int = 3
    fault: str = ""
    key: str = ""
    model: int = 1
    steps: int = 0
    drafted: int = 0
    accepted: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)

    def logits(self, tokens: list[int]) -> np.ndarray:
        """Of the token behind these."""
        padded = [0, 0, *tokens]
        return _row(self.model, padded[-2], padded[-1])

    @cached_property
    def drafter(self) -> np.ndarray:
        """What the drafter gets wrong."""
        return np.random.default_rng(9).standard_normal((VOCAB, VOCAB))

    def draft(self, tokens: list[int]) -> int:
        """The drafter's best token."""
        return int(np.argmax(self.logits(tokens) + 0.6 * self.drafter[tokens[-1] % VOCAB]))

    def generate(self, prompt: list[int], given: dict[str, Any]) -> list[int]:
        """Tokens as the engine appends them."""
        seed = given.get("seed")
        seed = int(np.random.default_rng().integers(1 << 31)) if seed is None else seed + (self.fault == "stream")
        tokens, end = list(prompt), len(prompt) + given["max_tokens"]
        while len(tokens) < end:
            drafts: list[int] = []
            while self.k and len(drafts) < self.k:
                drafts.append(self.draft([*tokens, *drafts]))
            made, accepted = self._verify(tokens, drafts, seed, given)
            with self.lock:
                self.steps, self.drafted, self.accepted = (
                    self.steps + bool(drafts),
                    self.drafted + len(drafts),
                    self.accepted + accepted,
                )
            tokens += made
        made = tokens[len(prompt) : end]
        if self.fault == "swapped":
            for i in range(0, len(made) - 1, 5):
                made[i], made[i + 1] = made[i + 1], made[i]
        return made

    def _verify(self, tokens: list[int], drafts: list[int], seed: int, given: dict[str, Any]) -> tuple[list[int], int]:
        made: list[int] = []
        for i in range(len(drafts) + 1):
            here = [*tokens, *made]
            shown = here[:-1] if self.fault == "stale" and i and len(here) > 1 else here
            log_p = self.shaped(self.logits(shown), given)
            row = np.array([len(here) - 1])
            greedy = given["temperature"] == 0
            noise = np.zeros(VOCAB) if greedy else murmur.gumbel(seed, row[:, None], np.arange(VOCAB)[None])[0]
            if i == len(drafts):
                return [*made, int(np.argmax(log_p + noise))], i
            x = drafts[i]
            u = float(philox.uniform(seed, row)[0])
            lucky = self.fault == "forced" and np.random.default_rng([seed & 0xFFFF, len(here)]).random() < 0.05
            if lucky or (np.argmax(log_p) == x if greedy else u < np.exp(log_p[x])):
                made.append(x)
                continue
            left = log_p + noise
            if not greedy:
                left[x] = -np.inf
            return [*made, int(np.argmax(left))], i
        raise AssertionError

    def shaped(self, logits: np.ndarray, given: dict[str, Any]) -> np.ndarray:
        """Log probabilities after temperature and top-k."""
        t = 1.0 if self.fault == "temperature" else given["temperature"]
        out = logits / (t or 1.0)
        if (top := given.get("top_k", -1)) > 0:
            out = np.where(out < np.sort(out)[-top], -np.inf, out)
        return np.asarray(out - out.max() - np.log(np.exp(out - out.max()).sum()))

    def raw(self, tokens: list[int]) -> np.ndarray:
        """Raw log probabilities."""
        z = self.logits(tokens)
        return np.asarray((z - z.max() - np.log(np.exp(z - z.max()).sum())).astype(np.float32).astype(float))

    def metrics(self) -> str:
        """As vLLM exposes its counters."""
        rows = {"num_drafts": self.steps, "num_draft_tokens": self.drafted, "num_accepted_tokens": self.accepted}
        return "".join(
            f'# TYPE vllm:spec_decode_{n} counter\nvllm:spec_decode_{n}_total{{model_name="fake",engine="0"}} {v}.0\n'
            for n, v in rows.items()
        )


@dataclass
class Deep(Engine):
    """A model that looks at the first two tokens, at where a token stands, and at the last three."""

    def logits(self, tokens: list[int], position: int | None = None) -> np.ndarray:
        """Of the token behind these; `position` where it stands, if not behind them."""
        place = len(tokens) if position is None else position
        near = _row(self.model, *[0, 0, *tokens][-2:]) + 0.4 * _row(self.model + 1, *[0, 0, 0, *tokens][-3:-1])
        return np.asarray(near + 0.4 * _row(self.model + 2, *[*tokens, 0][:2]) + 0.4 * _row(self.model + 3, place, 0))


def coarse(logits: np.ndarray) -> np.ndarray:
    """Rounded to bfloat16: 8 bits of mantissa."""
    fraction, exponent = np.frexp(logits)
    return np.asarray(np.ldexp(np.round(fraction * 256) / 256, exponent))


@dataclass
class Coarse(Deep):
    """The same model in bfloat16."""

    def logits(self, tokens: list[int], position: int | None = None) -> np.ndarray:
        """Of the token behind these."""
        return coarse(super().logits(tokens, position))


def seeded(tokens: int) -> dict[str, Any]:
    """A request at temperature 1 with nothing cut and a seed."""
    said = {"prompt": [3, 4, 5], "max_tokens": tokens, "temperature": 1.0, "logprobs": 20, "top_p": 1.0, "top_k": -1}
    return said | {"min_p": 0.0, "repetition_penalty": 1.0, "seed": 5}


def completion(engine: Engine, asked: dict[str, Any]) -> dict[str, Any]:
    """/v1/completions."""
    given = {"temperature": 1.0, "max_tokens": 16, "top_k": -1} | {k: v for k, v in asked.items() if v is not None}
    prompts = given["prompt"] if given["prompt"] and isinstance(given["prompt"][0], list) else [given["prompt"]]
    choices: list[dict[str, Any]] = []
    spent = read = 0
    for index, prompt in enumerate(prompts):
        ids = tokenize(prompt) if isinstance(prompt, str) else prompt
        made = engine.generate(ids, given)
        held: dict[str, Any] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        for i, token in enumerate(made):
            log = engine.raw([*ids, *made[:i]])
            order = np.argsort(-log, kind="stable")[: given.get("logprobs") or 1]
            held["tokens"].append(f"token_id:{token}")
            held["token_logprobs"].append(float(log[token]))
            held["top_logprobs"].append({f"token_id:{j}": float(log[j]) for j in [*order, token]})
        scored = None
        if given.get("prompt_logprobs") is not None:
            scored = [
                None,
                *(_scored(engine.raw(ids[:i]), ids[i], given["prompt_logprobs"]) for i in range(1, len(ids))),
            ]
        spent, read = spent + len(made), read + len(ids)
        choices.append({
            "index": index, "text": detokenize(made), "logprobs": held if given.get("logprobs") else None,
            "finish_reason": "length", "stop_reason": None, "prompt_logprobs": scored, "token_ids": made, "prompt_token_ids": ids,
        })  # fmt: skip
    usage = {"prompt_tokens": read, "completion_tokens": spent}
    return {
        "id": f"cmpl-{len(engine.asked)}",
        "object": "text_completion",
        "model": "fake",
        "choices": choices,
        "usage": usage,
    }


def _scored(log: np.ndarray, token: int, k: int) -> dict[str, Any]:
    told = [token, *map(int, np.argsort(-log, kind="stable")[:k])]
    return {
        str(t): {"logprob": float(log[t]), "rank": int((log > log[t]).sum()) + 1, "decoded_token": ""} for t in told
    }


def generate(engine: Engine, asked: dict[str, Any]) -> dict[str, Any]:
    """SGLang's /generate."""
    params = asked.get("sampling_params", {})
    given = {
        "temperature": 1.0,
        "max_tokens": params.get("max_new_tokens", 16),
        "top_k": -1,
        "seed": params.get("sampling_seed"),
    } | params
    ids = asked["input_ids"] if "input_ids" in asked else tokenize(asked["text"])
    made = engine.generate(ids, given) if given["max_tokens"] else []
    every, begin, k = [*ids, *made], asked.get("logprob_start_len", len(ids)), asked.get("top_logprobs_num", 0)
    t = 1.0 if given["temperature"] == 0 else given["temperature"]

    def at(i: int, t: float) -> np.ndarray:
        z = engine.logits(every[:i]) / t
        return np.asarray(z - z.max() - np.log(np.exp(z - z.max()).sum()))

    def listed(span: range, t: float) -> tuple[list[Any], list[Any]]:
        rows = [at(i, t) for i in span]
        told = [[float(row[every[i]]), every[i], None] for i, row in zip(span, rows, strict=True)]
        return told, [[[float(row[j]), int(j), None] for j in np.argsort(-row, kind="stable")[:k]] for row in rows]

    meta: dict[str, Any] = {
        "id": "r",
        "finish_reason": {"type": "length"},
        "prompt_tokens": len(ids),
        "completion_tokens": len(made),
    }
    if asked.get("return_logprob"):
        meta["output_token_logprobs"], meta["output_top_logprobs"] = listed(range(len(ids), len(every)), t)
        told, top = listed(range(max(begin, 1), len(ids)), 1.0)
        first = [[None, ids[0], None]] if begin <= 0 else []
        meta["input_token_logprobs"], meta["input_top_logprobs"] = first + told, ([None] if first else []) + top
    return {"text": "", "output_ids": made, "meta_info": meta}


def tokenize(text: str) -> list[int]:
    """A word of the model's own (w7) is its number, others a hash that is the same every time."""
    words = ["w3" if word == SPECIAL else word for word in text.split()]
    own = [int(word[1:]) if word[0] == "w" and word[1:].isdigit() else -1 for word in words]
    hashed = [sum(ord(c) * 31**i for i, c in enumerate(word)) % VOCAB for word in text.split()]
    return [a if 0 <= a < VOCAB else b for a, b in zip(own, hashed, strict=True)] or [0]


def templated(messages: list[dict[str, Any]]) -> str:
    """A chat as the model is shown it."""
    return " ".join(f"{one['role']}: {one['content']}" for one in messages)


def detokenize(tokens: list[int]) -> str:
    """What tokens spell."""
    return "".join(f" {SPECIAL}" if t == 3 else f" w{t}" for t in tokens)


@contextmanager
def serving(engine: Engine, *, sglang: bool = False) -> Iterator[str]:
    """The address of the engine while the block runs."""

    class Handler(Quiet, BaseHTTPRequestHandler):
        def _answer(self, value: Any, status: int = 200) -> None:
            self.reply(value.encode() if isinstance(value, str) else json.dumps(value).encode(), status)

        def do_GET(self) -> None:
            known: dict[str, Any] = {
                "/metrics": engine.metrics(), "/version": {"version": "0.33.0"}, "/v1/models": {"data": [{"id": "fake"}]},
            }  # fmt: skip
            if sglang:
                known = {
                    "/metrics": engine.metrics(),
                    "/get_server_info": {"version": "0.5.23"},
                    "/v1/models": {"data": [{"id": "fake"}]},
                }
            self._answer(known.get(self.path, {}), 200 if self.path in known else 404)

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with engine.lock:
                engine.asked.append(asked)
            if engine.key and self.headers.get("Authorization") != f"Bearer {engine.key}":
                self._answer({"error": "no"}, 401)
            elif self.path == "/v1/completions" and not sglang:
                self._answer(completion(engine, asked))
            elif self.path == "/generate" and sglang:
                self._answer(generate(engine, asked))
            elif self.path == "/tokenize":
                self._answer(
                    {"tokens": tokenize(asked["prompt"] if "prompt" in asked else templated(asked["messages"]))}
                )
            elif self.path == "/detokenize":
                self._answer({"prompt": detokenize(asked["tokens"])})
            else:
                self._answer({}, 404)

    with served(Handler) as address:
        yield address
