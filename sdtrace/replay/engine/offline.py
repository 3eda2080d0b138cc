"""vLLM inside this process as verifier (`--verifier vllm:MODEL`): no server, the same questions, the same answers.

It stands where a client of a server stands: what is asked over HTTP elsewhere is answered here by vLLM's own class.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdtrace.errors import MissingExtraError, UsageError
from sdtrace.readers.io.http import Unanswered
from sdtrace.replay.engine.client import Body, Client, Job

PREFIX = "vllm:"
#: Requests that vLLM is handed at a time.
_BATCH = 64
#: What vLLM reads from the environment, where nothing is said: quiet, its log not in the output of a command, no process of its own.
_QUIET = {
    "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_LOGGING_STREAM": "ext://sys.stderr", "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
}  # fmt: skip
_EXTRA = "install it where sdtrace runs (pip install vllm), or start a server and name its address"


@dataclass
class Offline(Client):
    """`url`: vllm:MODEL, a folder or a name of the hub. The model is loaded with the first text, as long as that needs."""

    dtype: str | None = None
    _llm: Any = field(default=None, repr=False)
    _words: Any = field(default=None, repr=False)

    @property
    def model(self) -> str:
        """The model's folder or name."""
        return self.url.removeprefix(PREFIX)

    def __post_init__(self) -> None:
        if not self.model:
            raise UsageError(f"{self.url}: which model?", "--verifier vllm:MODEL, a folder or a name of the hub")

    def get(self, path: str) -> bytes | None:
        """Which engine and model it is. Raises MissingExtraError where vLLM is not installed."""
        told = {"/version": {"version": self._vllm().__version__}, "/v1/models": {"data": [{"id": self.model}]}}
        return json.dumps(told[path]).encode() if path in told else None

    def ask(self, path: str, body: Body) -> Any:
        """A completion's prompt_logprobs, /tokenize or /detokenize. Raises Unanswered."""
        if path == "/detokenize":
            return {"prompt": self._tokenizer().decode(body["tokens"])}
        if path == "/tokenize":
            return {"tokens": self._tokenized(body)}
        return self._scored([body])[0]

    def all(
        self, jobs: Sequence[Job], progress: Callable[[int], None] = lambda n: None, until: float | None = None
    ) -> Iterator[Any]:
        """Answers in order, many at a time: what the server's own scheduler would batch."""
        longest = max((len(body["prompt"]) for _, body in jobs), default=0)
        n = 0
        if any("prompt_logprobs" not in body for _, body in jobs):
            yield from (Unanswered("it writes no tokens here", "start a server") for _ in jobs)
            return
        for part in _parts([body for _, body in jobs], _BATCH):
            for answer in self._scored(part, longest):
                n += 1
                progress(n)
                yield answer

    def _scored(self, bodies: Sequence[Body], longest: int = 0) -> list[Any]:
        vllm, k = self._vllm(), max(body["prompt_logprobs"] for body in bodies)
        llm = self._loaded(max(longest, *(len(body["prompt"]) for body in bodies)))
        asked = vllm.SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=k, detokenize=False)
        prompts = [{"prompt_token_ids": list(body["prompt"])} for body in bodies]
        try:
            found = llm.generate(prompts, asked, use_tqdm=False)
        except Exception as error:  # whatever vLLM raises of a text that it refuses
            return [Unanswered(f"vLLM refuses the text ({type(error).__name__})", "see its own message")] * len(bodies)
        return [{"choices": [{"prompt_logprobs": _plain(one.prompt_logprobs)}]} for one in found]

    def _loaded(self, longest: int) -> Any:
        """vLLM's class with the model, for texts of so many tokens."""
        if self._llm is None:
            more = {} if self.dtype is None else {"dtype": self.dtype}
            try:
                self._llm = self._vllm().LLM(model=self.model, max_model_len=longest + 8, enforce_eager=True, **more)
            except Exception as error:  # any of many: no such model, no memory, no device
                why = str(error).strip().splitlines()[:1]
                told = f"{type(error).__name__}: {why[0][:200]}" if why else type(error).__name__
                raise UsageError(
                    f"{self.shown}: vLLM cannot load it: {told}", "name a model that `vllm serve` loads"
                ) from None
        return self._llm

    def _tokenizer(self) -> Any:
        if self._words is None:
            self._vllm()
            from vllm.tokenizers import get_tokenizer

            self._words = get_tokenizer(self.model)
        return self._words

    def _tokenized(self, body: Body) -> list[int]:
        words = self._tokenizer()
        if "messages" not in body:
            return list(words.encode(body["prompt"], add_special_tokens=body["add_special_tokens"]))
        given = {"add_generation_prompt": True} | {k: v for k, v in body.items() if k not in ("model", "messages")}
        text = words.apply_chat_template(body["messages"], tokenize=False, **given)
        return list(words.encode(text, add_special_tokens=False))

    def _vllm(self) -> Any:
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        try:
            import vllm
        except ImportError as error:
            raise MissingExtraError(
                f"--verifier {self.shown}: vLLM cannot be imported ({error.name or error})"[:200], _EXTRA
            ) from None
        return vllm


def _parts(bodies: Sequence[Body], size: int) -> Iterator[Sequence[Body]]:
    for begin in range(0, len(bodies), size):
        yield bodies[begin : begin + size]


def _plain(value: Any) -> list[Any] | None:
    """As the server writes it: {id: {"logprob": ...}} of each position, null of the first."""
    if value is None:
        return None
    return [
        None if row is None else {str(t): {"logprob": float(one.logprob)} for t, one in row.items()} for row in value
    ]
