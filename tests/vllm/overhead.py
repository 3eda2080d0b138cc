"""What the plugin costs: the same requests with and without it, in turn, in one engine; every step against its twin.

    python tests/vllm/overhead.py MODEL DRAFT_MODEL FOLDER [--method ngram|draft_model] [--temperature 0] [--pairs 12]

In the environment of `run.py`. A pair is two rounds of the same seeded requests, one recorded and one in which the
functions of vLLM are its own again; which comes first alternates, so that a busy machine meets both. Both rounds run the
same steps (checked), so that a ratio is taken step by step; intervals are bootstrapped over pairs. What a busy machine
cannot blur is processor time: that of the engine's thread inside the recorder, against that of its whole steps, and that
of the other threads (the writer's). Exits 1 where either is more than 3%, beyond the interval.
"""

import argparse
import functools
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from run import PROMPTS, asks, close, engine

LIMIT = 0.03
METHODS = ["begin", "sampling", "uniforms", "verify", "sampled", "drafting", "drafted", "end"]


@dataclass
class Round:
    """Seconds of every step: on the clock, of the engine's thread, of it inside the recorder; and of other threads in all."""

    wall: list[float] = field(default_factory=list)
    thread: list[float] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)
    others: float = 0.0
    tokens: list[list[int]] = field(default_factory=list)


class Stopwatch:
    """Processor time of the engine's thread inside the recorder, so far."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, method: Callable[..., None]) -> Callable[..., None]:
        """The method, timed."""

        @functools.wraps(method)
        def timed(*args: Any, **kwargs: Any) -> None:
            begin = time.thread_time()
            try:
                method(*args, **kwargs)
            finally:
                self.seconds += time.thread_time() - begin

        return timed


def watched() -> list[tuple[Any, str, Any]]:
    """Owner, name and function of everything that the plugin has put in vLLM's place."""
    from vllm.v1.sample import rejection_sampler
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner

    return [
        (owner, name, found)
        for owner in (GPUModelRunner, rejection_sampler)
        for name, found in list(vars(owner).items())
        if getattr(getattr(found, "__code__", None), "co_filename", "").endswith("sdtrace/record/vllm.py")
    ]


def served(llm: Any, given: argparse.Namespace, number: int, watch: Stopwatch) -> Round:
    """One round of requests, step by step."""
    from vllm import SamplingParams

    core, found = llm.llm_engine, Round()
    last: dict[str, Any] = {}
    for i, text in enumerate(PROMPTS[: given.prompts]):
        asked = SamplingParams(temperature=given.temperature, max_tokens=given.tokens, ignore_eos=True, seed=i)
        core.add_request(f"{number}-{i}", text, asked)
    begin = time.process_time()
    while core.has_unfinished_requests():
        wall, thread, inside = time.perf_counter(), time.thread_time(), watch.seconds
        outputs = core.step()
        found.thread.append(time.thread_time() - thread)
        found.wall.append(time.perf_counter() - wall)
        found.inside.append(watch.seconds - inside)
        last |= {one.request_id: list(one.outputs[0].token_ids) for one in outputs}
    found.others = time.process_time() - begin - sum(found.thread)
    found.tokens = [last[key] for key in sorted(last)]
    return found


def interval(pairs: list[Any], figure: Callable[[list[Any]], float]) -> tuple[float, float, float]:
    """The figure of all pairs, and its 95% interval over resampled pairs."""
    draw = random.Random(1)
    drawn = sorted(figure(draw.choices(pairs, k=len(pairs))) for _ in range(1000))
    return figure(pairs), drawn[25], drawn[974]


def main() -> int:
    parser = asks(__doc__)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--pairs", type=int, default=12)
    given = parser.parse_args()
    from sdtrace.record.vllm_steps import Steps

    watch = Stopwatch()
    for name in METHODS:
        setattr(Steps, name, watch.around(getattr(Steps, name)))
    llm = engine(given)
    hooks = watched()
    pairs = []
    served(llm, given, 0, watch)  # warm
    for pair in range(given.pairs):
        rounds = {}
        for recorded in (True, False) if pair % 2 else (False, True):
            for owner, name, hook in hooks:
                setattr(owner, name, hook if recorded else hook.__wrapped__)
            rounds[recorded] = served(llm, given, 1 + 2 * pair + recorded, watch)
        pairs.append((rounds[True], rounds[False]))
    close()
    if any(on.tokens != off.tokens for on, off in pairs):
        raise SystemExit("the engine does not repeat itself with the same seeds: there are no twins to compare")
    assert all(sum(off.inside) == 0.0 for _, off in pairs)
    count = sum(len(on.wall) for on, _ in pairs)
    print(f"{given.pairs} pairs of rounds, {count} pairs of steps, {given.method}, temperature {given.temperature}")

    def ratio(name: str) -> Callable[[list[Any]], float]:
        return lambda some: statistics.median(
            a / b for on, off in some for a, b in zip(getattr(on, name), getattr(off, name), strict=True)
        )

    for name in ("wall", "thread"):
        on, off = (1e3 * statistics.median(x for pair in pairs for x in getattr(pair[way], name)) for way in (0, 1))
        print(
            f"{name} time of a step: {on:.1f} ms recorded, {off:.1f} ms not; ratio "
            + "{:.3f} ({:.3f} to {:.3f})".format(*interval(pairs, ratio(name)))
        )
    inside = interval(pairs, lambda some: _share(on.inside for on, _ in some) / _share(on.thread for on, _ in some))
    print("inside the recorder, of the engine thread's processor time: " + _percent(*inside))
    others = interval(
        pairs, lambda some: sum(on.others - off.others for on, off in some) / _share(on.thread for on, _ in some)
    )
    print("other threads, more than without the recorder, of the same: " + _percent(*others))
    return int(inside[1] > LIMIT or others[1] > LIMIT)


def _share(several: Any) -> float:
    return sum(map(sum, several))


def _percent(value: float, low: float, high: float) -> str:
    return f"{value:.2%} ({low:.2%} to {high:.2%})"


if __name__ == "__main__":
    raise SystemExit(main())
