"""Sampling parameters as arithmetic on rows of logits, in the order in which the recording engine applies them.

vLLM: bias, penalties, temperature, min-p, top-k, top-p. Transformers: bias, repetition penalty, temperature, top-k,
top-p, min-p. Presence and frequency penalties count generated tokens, the repetition penalty prompt and generated ones
(Keskar et al. 2019), drafted tokens before the position included. Temperature 0 leaves the logits as they are.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from sdtrace.schema.json_values import json_object

Tensor = Any


@dataclass(frozen=True)
class Parameters:
    """What a request asked for; None or the neutral value changes nothing."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition: float = 1.0
    presence: float = 0.0
    frequency: float = 0.0
    bias: Mapping[int, float] = field(default_factory=dict)
    engine: str = "vllm"
    top_p_again: bool = False  #: top-p a second time over what the first left, as a broken engine does

    @property
    def penalised(self) -> bool:
        """Whether logits depend on which tokens stood before."""
        return self.repetition != 1.0 or self.presence != 0.0 or self.frequency != 0.0

    @property
    def neutral(self) -> "Parameters":
        """Nothing applied."""
        return Parameters(temperature=0.0 if self.temperature == 0 else 1.0, engine=self.engine)


def of_request(request: Mapping[str, Any], engine: str | None) -> Parameters:
    """The recorded parameters; absent ones are neutral. A logit bias is read from `tags.logit_bias`, where vLLM's
    recorder writes it."""

    def given(name: str, neutral: float) -> float:
        value = request[name]
        return neutral if value is None else float(value)

    bias = json_object(request["tags"]).get("logit_bias")
    return Parameters(
        temperature=given("temperature", 1.0),
        top_k=request["top_k"] if request["top_k"] and request["top_k"] > 0 else None,
        top_p=request["top_p"] if request["top_p"] is not None and request["top_p"] < 1.0 else None,
        min_p=request["min_p"] if request["min_p"] else None,
        repetition=given("repetition_penalty", 1.0),
        presence=given("presence_penalty", 0.0),
        frequency=given("frequency_penalty", 0.0),
        bias={} if bias is None else {int(k): float(v) for k, v in ast.literal_eval(bias).items()},
        engine="transformers" if engine == "transformers" else "vllm",
    )


def shaped(logits: Tensor, given: Parameters, before: Callable[[int], tuple[Sequence[int], Sequence[int]]]) -> Tensor:
    """Rows of logits (m, vocabulary), float32, after the parameters; `before(i)` are row i's prompt and generated tokens."""
    if given.bias:
        logits = logits.clone()
        ids = torch.tensor(list(given.bias), device=logits.device)
        logits[:, ids] += torch.tensor(list(given.bias.values()), device=logits.device)
    if given.penalised:
        logits = torch.stack([_penalised(row, given, *before(i)) for i, row in enumerate(logits)])
    if given.temperature == 0.0:
        return logits
    logits = logits / given.temperature
    steps = [_top_k, _top_p, _min_p] if given.engine == "transformers" else [_min_p, _top_k, _top_p]
    for step in steps:
        logits = step(logits, given)
    return _top_p(logits, given) if given.top_p_again else logits


def _penalised(row: Tensor, given: Parameters, prompt: Sequence[int], generated: Sequence[int]) -> Tensor:
    row = row.clone()
    if given.repetition != 1.0:
        ids = torch.tensor(sorted({*prompt, *generated}), device=row.device)
        values = row[ids]
        row[ids] = torch.where(values > 0, values / given.repetition, values * given.repetition)
    if generated and (given.frequency or given.presence):
        counts = torch.bincount(torch.tensor(list(generated), device=row.device), minlength=len(row)).to(row.dtype)
        row -= given.frequency * counts + given.presence * (counts > 0)
    return row


def _top_k(logits: Tensor, given: Parameters) -> Tensor:
    if given.top_k is None or given.top_k >= logits.shape[-1]:
        return logits
    least = logits.topk(given.top_k, dim=-1).values[:, -1:]
    return logits.masked_fill(logits < least, float("-inf"))


def _top_p(logits: Tensor, given: Parameters) -> Tensor:
    if given.top_p is None:
        return logits
    ordered, index = logits.sort(dim=-1)
    drop = ordered.softmax(-1).cumsum(-1) <= 1.0 - given.top_p
    drop[:, -1] = False
    return logits.masked_fill(torch.zeros_like(drop).scatter(-1, index, drop), float("-inf"))


def _min_p(logits: Tensor, given: Parameters) -> Tensor:
    if given.min_p is None:
        return logits
    p = logits.softmax(-1)
    return logits.masked_fill(p < given.min_p * p.max(-1, keepdim=True).values, float("-inf"))
