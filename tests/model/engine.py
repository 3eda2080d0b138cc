"""A small speculative engine that can really be wrong: cache, positions, parameters and weights of its verifier.

It shares no code with the replay: parameters are applied by Transformers' own logits processors, the context is a
key/value cache that is fed step by step, and what it decides follows the p that it computed.
"""

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gguf
import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM
from transformers.generation import logits_process as processes

from sdtrace.record import TraceWriter

VOCABULARY = 500


def tiny(seed: int = 0, **changes: Any) -> Any:
    """A random Llama with distributions of two or three nats."""
    torch.manual_seed(seed)
    shape = {
        "vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.12, "max_position_embeddings": 4096,
    } | changes  # fmt: skip
    return LlamaForCausalLM(LlamaConfig(**shape)).eval()


def drafter_of(target: Any, layers: int = 3) -> Any:
    """The target without its last layers."""
    small = copy.deepcopy(target)
    small.model.layers = small.model.layers[:layers]
    small.config.num_hidden_layers = layers
    return small


@dataclass(frozen=True)
class Asked:
    """Sampling parameters of a request."""

    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None
    repetition: float = 1.0

    def processors(self) -> Any:
        """Transformers' own, in its order."""
        chain = processes.LogitsProcessorList()
        if self.repetition != 1.0:
            chain.append(processes.RepetitionPenaltyLogitsProcessor(self.repetition))
        if self.temperature not in (0.0, 1.0):
            chain.append(processes.TemperatureLogitsWarper(self.temperature))
        if self.top_k is not None:
            chain.append(processes.TopKLogitsWarper(self.top_k))
        if self.top_p is not None:
            chain.append(processes.TopPLogitsWarper(self.top_p))
        return chain


#: fault -> the parameters that the broken verifier uses
PARAMETERS = {
    "temperature-ignored": lambda a: replace(a, temperature=1.0),
    "temperature-twice": lambda a: replace(a, temperature=a.temperature**2),
    "top-k-ignored": lambda a: replace(a, top_k=None),
    "top-p-ignored": lambda a: replace(a, top_p=None),
    "penalties-ignored": lambda a: replace(a, repetition=1.0),
    "penalties-twice": lambda a: replace(a, repetition=a.repetition**2),
}
CACHES = {"not-rolled-back", "stale-entries"}
POSITIONS = {"positions-ahead", "positions-behind", "positions-drift-on-rejection"}
PROMPTS = {"first-token-dropped", "template-dropped"}
WEIGHTS = {"precision-bfloat16", "quantised-Q4_0"}
#: The sampler divides by a temperature that it lost: every row is NaN, nothing drafted is accepted, any token follows.
LOST = "temperature-lost"
FAULTS = [*PARAMETERS, *CACHES, *POSITIONS, "row-before", *PROMPTS, *WEIGHTS]


def broken(model: Any, fault: str) -> Any:
    """The model as the broken engine loaded it."""
    if fault not in WEIGHTS:
        return model
    model = copy.deepcopy(model)
    if fault == "precision-bfloat16":
        return model.bfloat16()
    if fault == "quantised-Q4_0":
        form = gguf.GGMLQuantizationType.Q4_0
        for value in model.parameters():
            if value.dim() == 2:
                packed = gguf.quants.quantize(value.detach().numpy(), form)
                value.data = torch.from_numpy(gguf.quants.dequantize(packed, form).reshape(value.shape))
    return model


class Verifier:
    """The target's side of an engine: a cache, and every way to keep it wrong."""

    def __init__(self, model: Any, prompt: list[int], fault: str, special: frozenset[int] = frozenset()) -> None:
        """`model` is what `broken` made of the target; `special` are the tokens of the prompt's template."""
        self.model, self.fault = model, fault
        self.cache, self.rejections, self.prompt = DynamicCache(config=model.config), 0, len(prompt)
        self.held = 0  #: tokens in the cache
        self.true = 0  #: tokens of the text that it should hold
        first = prompt[1:-1] if fault == "first-token-dropped" else prompt[:-1]
        fed = self._feed([t for t in first if t not in special] if fault == "template-dropped" else first)
        self.before = fed[-1:]  #: logits (1, vocabulary) of the row before those of the next step

    def _feed(self, tokens: list[int]) -> Any:
        shift = {"positions-ahead": 1, "positions-behind": -1}.get(self.fault, 0) if self.true >= self.prompt - 1 else 0
        if self.fault == "positions-drift-on-rejection":
            shift = self.rejections
        base = self.held if self.fault == "not-rolled-back" else self.true
        at = torch.arange(base, base + len(tokens))[None]
        if shift:  # the prompt's last token is fed with the first draft, and stands right
            at = at + shift * (at >= self.prompt)
        kv = self.held + len(tokens)
        seen = torch.arange(kv)[None, :] <= torch.arange(self.held, kv)[:, None]
        mask = torch.where(seen, 0.0, torch.finfo(self.model.dtype).min).to(self.model.dtype)[None, None]
        with torch.inference_mode():
            out = self.model(
                input_ids=torch.tensor([tokens]), position_ids=at, attention_mask=mask, cache=self.cache, use_cache=True
            )
        self.held, self.true = kv, self.true + len(tokens)
        return out.logits[0].float()

    def rows(self, last: int, draft: list[int]) -> Any:
        """Logits at the len(draft) + 1 positions of a step."""
        return self._feed([last, *draft])

    def keep(self, accepted: int, drafted: int) -> None:
        """After the decision: rejected tokens leave the cache, in a sound engine."""
        gone = drafted - accepted
        self.true -= gone
        self.rejections += gone > 0
        if gone and self.fault not in CACHES:
            self.cache.crop(-gone)
            self.held -= gone


class Drafter:
    """The drafter's side, always sound."""

    def __init__(self, model: Any) -> None:
        self.model, self.cache, self.held = model, DynamicCache(config=model.config), list[int]()

    def row(self, text: list[int]) -> Any:
        """Logits (1, vocabulary) of the token behind `text`."""
        same = next((i for i, (a, b) in enumerate(zip(self.held, text[:-1], strict=False)) if a != b), None)
        same = min(len(self.held), len(text) - 1) if same is None else same
        if same < len(self.held):
            self.cache.crop(same - len(self.held))
        self.held = list(text)
        with torch.inference_mode():
            return self.model(input_ids=torch.tensor([text[same:]]), cache=self.cache, use_cache=True).logits[0, -1:]


def _probabilities(logits: Any, asked: Asked, seen: list[int], draft: list[int]) -> Any:
    chain = asked.processors()
    rows = [chain(torch.tensor([seen + draft[:j]]), row[None]) for j, row in enumerate(logits)]
    return torch.cat(rows).softmax(-1)


def generate(
    verifier: Verifier, drafter: Drafter, prompt: list[int], asked: Asked, fault: str, tokens: int, tau: int = 4
) -> list[dict[str, Any]]:
    """Steps of trace format 1 of one request."""
    text, steps = list(prompt), list[dict[str, Any]]()
    theirs = PARAMETERS.get(fault, lambda a: a)(asked)
    while len(text) - len(prompt) < tokens:
        drafted: list[int] = []
        q = []
        for _ in range(tau):
            q.append(_probabilities(drafter.row(text + drafted), asked, text + drafted, [])[0])
            drafted.append(int(q[-1].argmax() if asked.temperature == 0 else torch.multinomial(q[-1], 1)))
        logits = computed = verifier.rows(text[-1], drafted)
        if fault == "row-before":
            logits = torch.cat([verifier.before, computed[:-1]])
        p = (logits / 0.0).softmax(-1) if fault == LOST else _probabilities(logits, theirs, text, drafted)
        greedy = asked.temperature == 0
        r = torch.rand(tau)
        best = p.argmax(-1).tolist()
        n_a = tau
        for j, x in enumerate(drafted):
            if (x != best[j]) if greedy else not bool(p[j, x] / q[j][x] >= r[j]):
                n_a = j
                break
        if greedy:
            y = best[n_a]
        else:
            left = p[n_a] if n_a == tau else (p[n_a] - q[n_a]).clamp(min=0)
            y = int(left.argmax() if fault == LOST else torch.multinomial(left, 1))
        verifier.keep(n_a, tau)
        verifier.before = computed[n_a : n_a + 1]
        top = logits.topk(2, dim=-1).values
        row = {
            "draft_token_ids": drafted, "target_probs": p[range(tau), drafted].numpy(), "num_accepted": n_a,
            "output_token_ids": [*drafted[:n_a], y], "last_target_prob": float(p[n_a, y]), "context_len": len(text),
            "last_kind": "bonus" if n_a == tau else "recovered", "target_argmax_ids": best,
            "target_top2_gap": (top[:, 0] - top[:, 1]).numpy(),
        }  # fmt: skip
        if not greedy:
            row["draft_probs"] = torch.stack(q)[range(tau), drafted].numpy()
            row["uniforms"] = r.numpy()
            row["last_draft_prob"] = float(q[n_a][y]) if n_a < tau else None
        steps.append(row)
        text += row["output_token_ids"]
    return steps


def record(
    folder: Path,
    target: Any,
    draft: Any,
    asked: Asked,
    fault: str = "healthy",
    requests: int = 4,
    tokens: int = 40,
    prompts: list[list[int]] | None = None,
    special: frozenset[int] = frozenset(),
    began: float | None = None,
) -> Path:
    """A trace of several requests, as the engine (broken in this way, or not at all) wrote it; random prompts by default.

    `began`: the time of the first step of each request, in Unix seconds, where steps have one; the next is a second later.
    """
    run = {
        "run_id": fault, "engine": "transformers", "method": "draft_model", "rule": "ratio", "prob_basis": "processed",
        "prob_dtype": "float32", "vocab_size": target.config.vocab_size, "config": {"dtype": "float32"},
    }  # fmt: skip
    torch.manual_seed(5)
    model = broken(target, fault)
    with TraceWriter(folder, run) as writer:
        for i in range(requests if prompts is None else len(prompts)):
            prompt = torch.randint(3, VOCABULARY, (6 + 3 * i,)).tolist() if prompts is None else prompts[i]
            writer.request(
                f"r{i}", prompt_len=len(prompt), prompt_token_ids=prompt, temperature=asked.temperature,
                top_k=asked.top_k, top_p=asked.top_p, repetition_penalty=asked.repetition,
            )  # fmt: skip
            verifier = Verifier(model, prompt, fault, special)
            for n, row in enumerate(generate(verifier, Drafter(draft), prompt, asked, fault, tokens)):
                writer.step(f"r{i}", n, **row, **({} if began is None else {"at": began + n}))
    return folder
