"""llama.cpp's server in small: the model of `fake_engine` behind /completion, drawn as build 11434 draws, right or wrong in five ways.

One draw of std::mt19937 a token, best candidates first, top-k before the temperature; drafts are verified by match, so that they change
nothing but what is told: tokens of a step that drafted come with logprob 0 and no list.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

import numpy as np

from sdtrace.verify.streams import mersenne
from tests.made.fake_engine import FAULTS, Engine, detokenize, templated, tokenize
from tests.made.served import Quiet, served

__all__ = ["FAULTS", "LlamaCpp", "serving"]


@dataclass
class LlamaCpp(Engine):
    """`types`: of speculation, as the server echoes it; with one, two of three come without logprobs. `rejection`: sampled drafts."""

    types: str = "draft-simple"
    rejection: bool = False
    busy: int = 0  #: steps between two looks at /metrics, which another engine's gateway adds; 0: there is none
    looks: int = 0

    def metrics(self) -> str:
        """Three drafted a step, 1.8 of them accepted."""
        self.looks += 1
        counts = {"drafts": 1, "draft_tokens": 3, "accepted_tokens": 1.8}
        return "".join(f"vllm:spec_decode_num_{n}_total {self.looks * self.busy * v}\n" for n, v in counts.items())

    def row(self, tokens: list[int], given: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Candidates best first, and their probabilities."""
        log = self.raw(tokens)
        order = np.argsort(-log, kind="stable")[: given.get("top_k") or None]
        t = 1.0 if self.fault == "temperature" else given["temperature"]
        p = np.exp((log[order] - log[order[0]]) / t) if t else (np.arange(len(order)) == 0).astype(float)
        return order, p / p.sum()

    def generate(self, prompt: list[int], given: dict[str, Any]) -> list[int]:
        """Tokens as the server appends them."""
        n, seed = given["n_predict"], given.get("seed", 7) + (self.fault == "stream")
        u, rng, tokens = mersenne.doubles(seed, n), np.random.default_rng(seed), list(prompt)
        for t in range(n):
            stale = self.fault == "stale" and t % 3 and len(tokens) > 1
            order, p = self.row(tokens[:-1] if stale else tokens, given)
            at = int(np.searchsorted(np.cumsum(p), u[t] * (1 - 1e-12)))
            if (self.fault == "forced" and rng.random() < 0.05) or (self.rejection and rng.random() < 0.5):
                at = 1 if self.fault else int(rng.choice(len(p), p=p))
            tokens.append(int(order[min(at, len(order) - 1)]))
        made = tokens[len(prompt) :]
        if self.fault == "swapped":
            for i in range(0, n - 1, 5):
                made[i], made[i + 1] = made[i + 1], made[i]
        return made

    def completion(self, asked: dict[str, Any]) -> dict[str, Any]:
        """/completion."""
        given = {"temperature": 0.8, "top_k": 40, "n_predict": 16} | asked
        ids = given["prompt"]
        made = self.generate(ids, given)
        if given.get("post_sampling_probs"):
            return self._answer(given, made, [self._after(ids, made, i, given) for i in range(len(made))])
        told = []
        for i, token in enumerate(made):
            log = self.raw([*ids, *made[:i]])
            order = np.argsort(-log, kind="stable")[: given.get("n_probs", 0)]
            drafted = self.types != "none" and i % 3
            top = (
                []
                if drafted
                else [{"id": int(j), "token": f" w{j}", "bytes": [], "logprob": float(log[j])} for j in order]
            )
            told.append(
                {
                    "id": token,
                    "token": f" w{token}",
                    "bytes": [],
                    "logprob": 0.0 if drafted else float(log[token]),
                    "top_logprobs": top,
                }
            )
        return self._answer(given, made, told)

    def _after(self, ids: list[int], made: list[int], i: int, given: dict[str, Any]) -> dict[str, Any]:
        """A token with the probabilities that the chain leaves."""
        order, p = self.row([*ids, *made[:i]], given)
        top = [{"id": int(t), "token": f" w{t}", "bytes": [], "prob": float(x)} for t, x in zip(order, p, strict=True)]
        mine = {one["id"]: one["prob"] for one in top}
        token = {"id": made[i], "token": f" w{made[i]}", "bytes": [], "prob": mine[made[i]]}
        return token | {"top_probs": top[: given.get("n_probs", 0)]}

    def _answer(self, given: dict[str, Any], made: list[int], told: list[dict[str, Any]]) -> dict[str, Any]:
        echoed: dict[str, Any] = {
            k: given[k] for k in ("temperature", "top_k", "top_p", "min_p", "n_predict", "n_probs") if k in given
        }
        echoed |= {
            "seed": given.get("seed", 0xFFFFFFFF),
            "repeat_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
        }
        echoed |= {
            "samplers": ["penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"]
        }
        return {
            "index": 0, "content": "", "tokens": made, "id_slot": 0, "stop": True, "model": "fake.gguf", "tokens_predicted": len(made),
            "tokens_evaluated": len(given["prompt"]), "stop_type": "limit", "completion_probabilities": told,
            "generation_settings": echoed | {"speculative.types": self.types, "backend_sampling": False},
        }  # fmt: skip


@contextmanager
def serving(engine: LlamaCpp) -> Iterator[str]:
    """The address of the server while the block runs."""

    class Handler(Quiet, BaseHTTPRequestHandler):
        def _answer(self, value: Any, status: int = 200) -> None:
            self.reply(json.dumps(value).encode(), status)

        def do_GET(self) -> None:
            known = {"/props": {"build_info": "b11434-made"}, "/v1/models": {"data": [{"id": "fake.gguf"}]}}
            if self.path == "/metrics" and engine.busy:
                self.reply(engine.metrics().encode())
                return
            self._answer(known.get(self.path, {}), 200 if self.path in known else 404)

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/completion":
                self._answer(engine.completion(asked))
            elif self.path == "/tokenize":
                self._answer({"tokens": tokenize(asked["content"])})
            elif self.path == "/detokenize":
                self._answer({"content": detokenize(asked["tokens"])})
            elif self.path == "/apply-template":
                self._answer({"prompt": templated(asked["messages"])})
            else:
                self._answer({}, 404)

    with served(Handler) as address:
        yield address
