"""One packed pass against step after step, and against a plain forward pass over as many tokens; ratios of one run.

    python tests/model/bench.py [--verifier MODEL] [--requests 8] [--tokens 96] [--tau 4] [--repeat 3] [--device cpu]

Without a model a random Llama of `--hidden` and `--layers` runs. Requests are random tokens with three of five drafted ones
accepted on average; what the tokens say does not matter for the time. The pieces are timed in turn, ratios are medians.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sdtrace.replay import passes
from sdtrace.replay.conversation import Conversation, Step
from sdtrace.replay.facts import facts
from sdtrace.replay.model import Verifier, load
from sdtrace.replay.packing import batches, pack
from sdtrace.replay.parameters import Parameters
from sdtrace.schema.run import Run
from tests.model.engine import tiny


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


def timed(work: Callable[[], Any], device: str) -> float:
    """Seconds; on a CPU those of the process on one thread, since a shared machine has no steady clock."""
    if device == "cpu":
        begin = time.process_time()
        work()
        return time.process_time() - begin
    begin = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--verifier")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--requests", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--tau", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.verifier:
        verifier = load(given.verifier, dtype=given.dtype, device=given.device)
    else:
        shape = {"hidden_size": given.hidden, "intermediate_size": 4 * given.hidden, "num_hidden_layers": given.layers}
        model = tiny(vocab_size=32_000, num_attention_heads=8, num_key_value_heads=8, **shape)
        verifier = Verifier(model.to(getattr(torch, given.dtype)).to(given.device), "random")
    ones = [conversation(i, verifier.vocab_size, given.tokens, given.tau) for i in range(given.requests)]
    packed = [pack(one) for one in ones]
    shapes = dict.fromkeys(range(len(ones)), Parameters(temperature=0.8))
    count = sum(map(len, packed))

    def take(places: Any, logits: Any) -> None:
        facts(places, passes.shape_rows(places, logits, ones, shapes), ones)

    def plain() -> None:
        """As many tokens in the same batches, causal, with logits of every token."""
        budget = passes.TOKENS[verifier.device.split(":")[0]]
        for batch in batches(packed, budget):
            longest = max(len(packed[i]) for i in batch)
            ids = torch.from_numpy(np.stack([np.resize(packed[i].tokens, longest) for i in batch]))
            with torch.inference_mode():
                verifier.model(input_ids=ids.to(verifier.device), use_cache=False)

    pieces = {
        "one pass": lambda: list(passes.run(verifier, ones, pack, take)),
        "step by step": lambda: passes.stepwise(verifier, ones, take),
        "plain": plain,
    }
    for work in pieces.values():
        work()  # warm
    times: dict[str, list[float]] = {name: [] for name in pieces}
    for _ in range(given.repeat):
        for name, work in pieces.items():
            times[name].append(timed(work, verifier.device))
    ratio = {
        name: statistics.median(a / b for a, b in zip(times[name], times["one pass"], strict=True)) for name in pieces
    }
    steps = sum(len(one.steps) for one in ones)
    print(
        f"{len(ones)} requests, {steps} steps at tau {given.tau}, {count} packed tokens, {verifier.device} {verifier.dtype}"
    )
    print(f"step by step / one pass: {ratio['step by step']:.1f}")
    print(f"tokens per second of one pass / of a plain forward pass: {ratio['plain']:.2f}")


if __name__ == "__main__":
    main()
