"""Seeded tokens: how many a planted fault needs to be contradicted once, how many of a sound engine are, at a band.

    python -m tests.bench.seeds sound       # a million tokens of a sound engine: contradictions at both bands
    python -m tests.bench.seeds [TOKENS]    # vocabulary 512, one-hot drafts, tau 4, noise 0.03 in log p, top 50 listed
    python -m tests.bench.seeds steps [ANSWERS]    # SGLang's coins: chains of 3, vocabulary 200, top 20 listed, 80 tokens an answer

The verifier's rows are the engine's with noise, as a replay or another batch shape has them; responses list the engine's own rows.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from sdtrace.readers.responses import responses
from sdtrace.responses.seeded import seeded
from sdtrace.schema.responses import RESPONSE, Response
from sdtrace.verify.streams import murmur, philox
from sdtrace.verify.streams.laws import Known, gumbel_argmax
from tests.made import sglang_steps

V, TAU, K = 512, 4, 50
Rows = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass
class World:
    """n rows: `log_p`, the `draft` of each (position 4 of 5 has none), `u` and `noise` of the request's stream."""

    log_p: Rows
    draft: npt.NDArray[np.int64]
    u: Rows
    noise: Rows
    rng: np.random.Generator


def world(n: int, seed: int) -> World:
    """Rows peaked as a language model's."""
    rng = np.random.default_rng(seed)
    logits = rng.uniform(0.8, 3.0, (n, 1)) * rng.standard_exponential((n, V))
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    draft = np.argmax(log_p + 0.8 * rng.standard_normal((n, V)), axis=1)
    row = np.arange(n)
    return World(
        log_p,
        draft,
        philox.uniform(seed, row).astype(float),
        murmur.gumbel(seed, row[:, None], np.arange(V)[None]),
        rng,
    )


def tempered(log_p: Rows, t: float) -> Rows:
    z = log_p / t
    shaped: Rows = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return shaped


def emitted(
    w: World, accept: Callable[[World, Rows], Flags] | None = None, log_p: Rows | None = None, stream: int | None = None
) -> npt.NDArray[np.int64]:
    """Tokens of one-hot verification; `accept` replaces the test, `log_p` the rows that decide, `stream` the seed."""
    n = len(w.draft)
    at, rows = np.arange(n), w.log_p if log_p is None else log_p
    u, noise = w.u, w.noise
    if stream is not None:
        u, noise = philox.uniform(stream, at).astype(float), murmur.gumbel(stream, at[:, None], np.arange(V)[None])
    p = np.exp(rows[at, w.draft])
    taken = (u < p) if accept is None else accept(w, p)
    without = rows + noise
    plain = without.argmax(axis=1)
    without[at, w.draft] = -np.inf
    return np.where(at % (TAU + 1) == TAU, plain, np.where(taken, w.draft, without.argmax(axis=1)))


FAULTS: dict[str, Callable[[World], npt.NDArray[np.int64]]] = {
    "sound": emitted,
    "forced acceptance 1%": lambda w: emitted(w, lambda w, p: (w.u < p) | (w.rng.random(len(p)) < 0.01)),
    "forced acceptance 5%": lambda w: emitted(w, lambda w, p: (w.u < p) | (w.rng.random(len(p)) < 0.05)),
    "acceptance threshold 0.3": lambda w: emitted(w, lambda w, p: (w.u < p) | (p > 0.3)),
    "target at temperature 0.7 in the decision": lambda w: emitted(w, log_p=tempered(w.log_p, 0.7)),
    "synthetic acceptance": lambda w: emitted(w, lambda w, p: w.rng.random(len(p)) < 0.6),
    "stale p": lambda w: emitted(w, log_p=np.roll(w.log_p, 1, axis=0)),
    "another request's stream": lambda w: emitted(w, stream=4711),
    "lenience 0.9": lambda w: emitted(w, lambda w, p: w.u * 0.9 < p),
}


def contradicted(w: World, y: npt.NDArray[np.int64], noise: float, band: float, seed: int) -> int:
    """Tokens that the law contradicts, with rows that are off by `noise`."""
    log_p = w.log_p + noise * w.rng.standard_normal(w.log_p.shape)
    log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    order = np.argpartition(-log_p, K, axis=1)[:, :K]
    order = np.take_along_axis(order, np.argsort(-np.take_along_axis(log_p, order, axis=1), axis=1), axis=1)
    top = np.take_along_axis(log_p, order, axis=1)
    at = order == y[:, None]
    place = np.where(at.any(axis=1), at.argmax(axis=1), K)
    known = Known(order, top, np.exp(top), np.exp(top), np.ones(top.shape, bool), place, y, log_p[np.arange(len(y)), y])
    return int((gumbel_argmax(known, seed, np.arange(len(y)), band).answer == -1).sum())


def main(tokens: int) -> None:
    """A row a fault."""
    print("| fault | tokens per contradiction, noise 0.03, band 0.15 | own rows, band 0.02 |\n|---|---|---|")
    for name, fault in FAULTS.items():
        counts, seen, want = [0, 0], 0, tokens if name == "sound" else min(tokens, 40_000)
        seed = 1
        while seen < want:
            n = min(5000, want - seen)
            w = world(n, seed)
            y = fault(w)
            for i, (noise, band) in enumerate(((0.03, 0.15), (0.0, 0.02))):
                counts[i] += contradicted(w, y, noise, band, seed)
            seen, seed = seen + n, seed + 1
        told = [f"{seen / c:,.0f}" if c else f"none in {seen:,}" for c in counts]
        print(f"| {name} | {told[0]} | {told[1]} |", flush=True)


def sound() -> None:
    """Contradictions of a sound engine, which should be none."""
    counts = [0, 0]
    for seed in range(1000, 1200):
        w = world(5000, seed)
        y = emitted(w)
        for i, (noise, band) in enumerate(((0.03, 0.15), (0.0, 0.02))):
            counts[i] += contradicted(w, y, noise, band, seed)
    print(
        f"1,000,000 tokens: {counts[0]} contradicted at noise 0.03 and band 0.15, {counts[1]} of its own rows at 0.02"
    )


def steps(answers: int) -> None:
    """Contradictions of SGLang's speculation in small, a row a fault, and of a sound one read as longer or shorter steps."""
    for fault, drafted in (("", 3), ("forced", 3), ("stale", 3), ("stream", 3), ("", 2), ("", 4)):
        told = wrong = 0
        for seed in range(1000, 1000 + answers):
            row = next(responses(sglang_steps.answer(seed, 3, fault))) | {"basis": "raw", "drafter": "chain"}
            whole = dict.fromkeys(RESPONSE) | row
            found = next(
                (one for one in seeded(cast("Response", whole)) if one.stream == f"sglang-coins, {drafted} drafted"),
                None,
            )
            told += 0 if found is None else found.explained + found.contradicted
            wrong += 0 if found is None else found.contradicted
        print(f"| {fault or 'sound'}, chain of {drafted} | {wrong:,} of {told:,} contradicted |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["sound"]:
        sound()
        sys.exit()
    if sys.argv[1:2] == ["steps"]:
        steps(int(sys.argv[2]) if len(sys.argv) > 2 else 500)
        sys.exit()
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60_000)
