"""The core of a replay (packing, passes, the band) on a model of random weights: torch and numpy are enough, nothing is installed.

    PYTHONPATH=. python tests/replay/gpu.py [--device cuda] [--dtype bfloat16] [--size 1b] [--requests 16] [--tokens 128] [--compile]

Carry `sdtrace/` and this file. Requests are random tokens at tau 4, of which three of five drafted ones are accepted. Prints one JSON
object: how far log p moves between one packed pass, step after step over a cache, and a plain causal pass over the kept text (the
spread); which of the ways to be wrong are outside that band and are told from each other; and how long each takes, ratios of one run.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from sdtrace.replay import passes
from sdtrace.replay.bands import LEAST, band_of
from sdtrace.replay.contexts import first_twice, not_rolled_back, shifted, stale_entries, without_first
from sdtrace.replay.conversation import Conversation, Step
from sdtrace.replay.model import Verifier
from sdtrace.replay.packing import batches, pack
from sdtrace.replay.parameters import Parameters
from sdtrace.schema.run import Run

#: Layers, hidden size, heads, key and value heads, size of the middle of a layer, vocabulary.
SIZES = {"tiny": (4, 128, 8, 4, 256, 512), "small": (8, 512, 8, 4, 1536, 8192), "1b": (16, 2048, 32, 8, 8192, 128_256)}
WAYS: dict[str, Any] = {
    "rejected tokens stay in the context": not_rolled_back,
    "rejected tokens stay visible": stale_entries,
    "positions one ahead": shifted(lambda one, s: 1 if s else 0),
    "positions one behind": shifted(lambda one, s: -1 if s else 0),
    "first token dropped": without_first,
    "first token twice": first_twice,
}


class Cache:
    """Keys and values of every layer."""

    def __init__(self) -> None:
        self.held: dict[int, tuple[Any, Any]] = {}

    def put(self, layer: int, k: Any, v: Any) -> tuple[Any, Any]:
        if layer in self.held:
            k, v = torch.cat([self.held[layer][0], k], dim=2), torch.cat([self.held[layer][1], v], dim=2)
        self.held[layer] = k, v
        return k, v

    def crop(self, tokens: int) -> None:
        """`tokens` is negative: so many are forgotten."""
        self.held = {layer: (k[:, :, :tokens], v[:, :, :tokens]) for layer, (k, v) in self.held.items()}


class Layer(torch.nn.Module):
    """Attention with rotary positions and grouped heads, then a gated middle (as Llama has it)."""

    def __init__(self, number: int, hidden: int, heads: int, shared: int, middle: int) -> None:
        super().__init__()
        self.number, self.heads, self.shared, self.size = number, heads, shared, hidden // heads
        self.qkv = torch.nn.Linear(hidden, (heads + 2 * shared) * self.size, bias=False)
        self.out = torch.nn.Linear(hidden, hidden, bias=False)
        self.up = torch.nn.Linear(hidden, 2 * middle, bias=False)
        self.down = torch.nn.Linear(middle, hidden, bias=False)
        self.before, self.between = torch.nn.RMSNorm(hidden, 1e-5), torch.nn.RMSNorm(hidden, 1e-5)

    def forward(self, x: Any, turn: tuple[Any, Any], mask: Any, cache: Cache | None) -> Any:
        b, n, _ = x.shape
        parts = self.qkv(self.before(x)).view(b, n, -1, self.size).transpose(1, 2)
        q, k, v = parts.split([self.heads, self.shared, self.shared], dim=1)
        q, k = _turned(q, turn), _turned(k, turn)
        if cache is not None:
            k, v = cache.put(self.number, k, v)
        k, v = (one.repeat_interleave(self.heads // self.shared, dim=1) for one in (k, v))
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        x = x + self.out(seen.transpose(1, 2).reshape(b, n, -1))
        gate, value = self.up(self.between(x)).chunk(2, dim=-1)
        return x + self.down(functional.silu(gate) * value)


def _turned(x: Any, turn: tuple[Any, Any]) -> Any:
    one, other = x.float().chunk(2, dim=-1)
    cos, sin = turn
    return torch.cat([one * cos - other * sin, other * cos + one * sin], dim=-1).to(x.dtype)


class Body(torch.nn.Module):
    """Tokens to hidden states, called as Transformers calls its models."""

    def __init__(self, layers: int, hidden: int, heads: int, shared: int, middle: int, vocabulary: int) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(vocabulary, hidden)
        self.layers = torch.nn.ModuleList(Layer(i, hidden, heads, shared, middle) for i in range(layers))
        self.norm = torch.nn.RMSNorm(hidden, 1e-5)
        self.half = hidden // heads // 2

    def forward(
        self,
        input_ids: Any,
        position_ids: Any = None,
        attention_mask: Any = None,
        use_cache: bool = False,
        cache: Any = None,
    ) -> tuple[Any]:
        at = torch.arange(input_ids.shape[1], device=input_ids.device)[None] if position_ids is None else position_ids
        rate = 500_000.0 ** -(torch.arange(self.half, device=input_ids.device) / self.half)
        angle = at[:, None, :, None].float() * rate
        x = self.embed(input_ids)
        for layer in self.layers:
            x = layer(x, (angle.cos(), angle.sin()), attention_mask, cache)
        return (self.norm(x),)


class Model(torch.nn.Module):
    """A body and its head, random weights that make p neither flat nor sharp."""

    def __init__(self, size: str, device: str, dtype: torch.dtype) -> None:
        super().__init__()
        layers, hidden, heads, shared, middle, vocabulary = SIZES[size]
        torch.manual_seed(1)
        self.base_model = Body(layers, hidden, heads, shared, middle, vocabulary)
        self.head = torch.nn.Linear(hidden, vocabulary, bias=False)
        torch.nn.init.normal_(self.head.weight, std=3.0 / hidden**0.5)
        self.to(device=device, dtype=dtype)
        self.device, self.dtype = torch.device(device), dtype

    def get_output_embeddings(self) -> Any:
        return self.head

    def forward(self, input_ids: Any, cache: Any = None, **given: Any) -> Any:
        return SimpleNamespace(logits=self.head(self.base_model(input_ids, cache=cache, **given)[0]))


class Core(Verifier):
    """The verifier of a replay over a model that needs no Transformers."""

    def cache(self) -> Any:
        return Cache()


def conversation(number: int, vocabulary: int, tokens: int, tau: int) -> Conversation:
    draw = random.Random(number)
    prompt = [draw.randrange(vocabulary) for _ in range(16)]
    text, steps = list(prompt), list[Step]()
    while len(text) - len(prompt) < tokens:
        draft = [draw.randrange(vocabulary) for _ in range(tau)]
        n_a = next((j for j in range(tau) if draw.random() > 0.6), tau)
        output = [*draft[:n_a], draw.randrange(vocabulary)]
        steps.append(Step({}, len(text), draft, output, n_a))
        text += output
    return Conversation(Run(), {"run_id": "", "request_id": f"r{number}"}, prompt, steps, text)


Told = dict[
    tuple[int, int, int], tuple[float, float]
]  #: log p of the drafted and the emitted token, by request, step, position


def taken(ones: list[Conversation], go: Callable[[passes.Rows], object]) -> Told:
    """What `go` hands over."""
    shapes = dict.fromkeys(range(len(ones)), Parameters(temperature=0.8))
    found: Told = {}

    def take(places: list[passes.Place], logits: Any) -> None:
        told = passes.numbers(places, passes.shape_rows(places, logits, ones, shapes))
        for k, place in enumerate(places):
            drafted = float("nan") if place.drafted is None else float(told["log_p"][k])
            emitted = float("nan") if place.emitted is None else float(told["log_p_emitted"][k])
            found[place.one, place.step, place.position] = drafted, emitted

    go(take)
    return found


def moved(one: Told, other: Told) -> Any:
    """|d log p| of the positions that both have."""
    both = [key for key in one if key in other]
    values = (np.maximum(np.array([told[key] for key in both]).ravel(), np.log(LEAST)) for told in (one, other))
    a, b = values
    return np.abs(a - b)


def plain(verifier: Core, ones: list[Conversation], take: passes.Rows) -> None:
    """Every request's kept text in one causal pass of its own, without a mask: rows of accepted positions alone."""
    for i, one in enumerate(ones):
        ids = torch.tensor([one.tokens], device=verifier.device)
        with torch.inference_mode():
            hidden = verifier.model.base_model(ids)[0]
        wanted = [
            (passes.Place(i, s, j, step.draft[j] if j < len(step.draft) else None, step.output[j]), step.begin + j - 1)
            for s, step in enumerate(one.steps)
            for j in range(len(step.output))
        ]
        rows = torch.tensor([row for _, row in wanted], device=verifier.device)
        take([place for place, _ in wanted], verifier.logits(hidden[0, rows]))


def timed(work: Callable[[], Any], device: str) -> float:
    """Seconds; on a CPU those of the process, since a shared machine has no steady clock."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    begin = clock()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - begin


def _viewed(verifier: Core, ones: list[Conversation], view: Any, take: passes.Rows) -> None:
    for _ in passes.run(verifier, ones, view, take):
        pass


def named(verifier: Core, ones: list[Conversation], width: float) -> dict[str, Any]:
    """For each way to be wrong: the share of its p outside the band, and the way that explains it best."""
    views = {"none": pack} | WAYS
    told = {name: taken(ones, partial(_viewed, verifier, ones, view)) for name, view in views.items()}
    found = {}
    for name in WAYS:
        far = {other: float(np.nanmean(moved(told[name], told[other]) > width)) for other in views}
        mid = {other: float(np.nanmean(moved(told[name], told[other]))) for other in views if other != name}
        nearest = min(mid, key=lambda other: mid[other])
        found[name] = {"outside_the_band": far["none"], "told_from_every_other": far[nearest] > 0.02}
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--size", choices=SIZES)
    parser.add_argument("--requests", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--tau", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="torch.compile of the body")
    given = parser.parse_args()
    gpu = given.device != "cpu"
    dtype = getattr(torch, given.dtype or "bfloat16")
    verifier = Core(Model(given.size or ("1b" if gpu else "tiny"), given.device, dtype), "random")
    if given.compile:
        verifier.model.base_model = torch.compile(verifier.model.base_model, dynamic=True)
    ones = [conversation(i, verifier.vocab_size, given.tokens, given.tau) for i in range(given.requests)]
    go: dict[str, Callable[[passes.Rows], object]] = {
        "one_pass": partial(_viewed, verifier, ones, pack),
        "step_by_step": partial(passes.stepwise, verifier, ones),
        "plain": partial(plain, verifier, ones),
    }
    told = {name: taken(ones, work) for name, work in go.items()}
    bands = {name: band_of(moved(told["one_pass"], told[name])) for name in ("step_by_step", "plain")}
    width = max(band.width for band in bands.values())
    packed = [pack(one) for one in ones]
    tokens = sum(map(len, packed))

    def bare() -> None:
        """As many tokens as the packed pass has, causal, in the same batches, with the same rows: what the mask costs."""
        for batch in batches(packed, passes.TOKENS["cuda" if gpu else "cpu"]):
            longest = max(len(packed[i]) for i in batch)
            ids = torch.from_numpy(np.stack([np.resize(packed[i].tokens, longest) for i in batch])).to(given.device)
            with torch.inference_mode():
                verifier.logits(verifier.model.base_model(ids)[0][:, : longest // 2])

    def skip(places: list[passes.Place], logits: Any) -> None:
        """Rows are made, and nothing is read of them."""

    pieces: dict[str, Callable[[], Any]] = {name: partial(go[name], skip) for name in ("one_pass", "step_by_step")}
    pieces["bare"] = bare
    times: dict[str, list[float]] = {name: [] for name in pieces}
    for turn in range(given.repeat + 1):
        for name, work in pieces.items():
            spent = timed(work, given.device)
            if turn:  # the first one warms
                times[name].append(spent)
    ratio = {
        name: statistics.median(a / b for a, b in zip(times[name], times["one_pass"], strict=True)) for name in pieces
    }
    print(json.dumps({
        "device": torch.cuda.get_device_name() if gpu else "cpu", "dtype": str(dtype).removeprefix("torch."),
        "parameters": sum(p.numel() for p in verifier.model.parameters()), "requests": len(ones), "tau": given.tau,
        "steps": sum(len(one.steps) for one in ones), "packed_tokens": tokens, "compiled": given.compile,
        "moved": {name: {"median": b.median, "p99": b.p99, "most": b.most, "positions": b.positions} for name, b in bands.items()},
        "band": width, "faults": named(verifier, ones, width),
        "step_by_step_over_one_pass": ratio["step_by_step"], "plain_over_one_pass": ratio["bare"],
        "tokens_per_s": tokens / statistics.median(times["one_pass"]),
    }, indent=1))  # fmt: skip


if __name__ == "__main__":
    main()
