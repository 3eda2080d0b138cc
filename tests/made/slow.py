"""Engines and traffic with one planted reason to be slow, and ones with none. SYNTHETIC."""

from dataclasses import replace

import numpy as np

from tests.made.timing import Engine, Record, Traffic


def tagged(key: str, level: str, share: float, accept: float) -> Traffic:
    """Traffic in which a share of the requests carries a tag, and is accepted less."""

    def edit(record: Record, chance: float, rng: np.random.Generator) -> float:
        mine = rng.random() < share
        record["tags"][key] = level if mine else "other"
        return accept if mine else chance

    return replace(Traffic(), edit=edit)


def heated(record: Record, chance: float, rng: np.random.Generator) -> float:
    """Hot requests are accepted less."""
    record["temperature"] = float(rng.choice([0.3, 1.4]))
    return 0.3 if record["temperature"] > 1 else chance


def cached(record: Record, chance: float, rng: np.random.Generator) -> float:
    """Requests that hit the prefix cache are accepted less."""
    record["cached_tokens"] = int(rng.choice([0, 128]))
    return 0.25 if record["cached_tokens"] else chance


_LONG = Traffic(prompt=(100, 8000), requests=160)
_BUSY = Traffic(batch=(24, 40), requests=260)

#: name -> (cause that must be named first, engine, traffic)
SLOW: dict[str, tuple[str, Engine, Traffic]] = {
    "miswired": ("drafter-miswired", Engine(), Traffic(tasks={"chat": (0.5, 0.03), "code": (0.5, 0.05)}, spread=0.01)),
    "second-position": ("drafter-miswired", Engine(), Traffic(by_position=(1.0, 0.04, 0.04, 0.04))),
    "long-context": ("long-context-decay", Engine(), replace(_LONG, decay=0.13)),
    "low-everywhere": ("low-acceptance", Engine(tau=(2, 2)), Traffic(tasks={"chat": (1.0, 0.33)}, spread=0.05)),
    "low-adapter": ("low-acceptance", Engine(), tagged("adapter", "legal", 0.3, 0.25)),
    "low-language": ("low-acceptance", Engine(), tagged("language", "zh", 0.25, 0.3)),
    "low-grammar": ("low-acceptance", Engine(), tagged("grammar", "json", 0.2, 0.2)),
    "low-temperature": ("low-acceptance", Engine(), Traffic(edit=heated)),
    "low-cache-hits": ("low-acceptance", Engine(), Traffic(edit=cached)),
    "aging": ("low-acceptance", Engine(), Traffic(aging=0.5, output=(200, 400), prompt=(2000, 2600), requests=60)),
    "shift": (
        "traffic-shift",
        Engine(),
        Traffic(
            tasks={"chat": (0.15, 0.35), "code": (0.85, 0.85)},
            shift={"chat": 0.8, "code": 0.2},
            requests=240,
            spread=0.04,
        ),
    ),
    "draft": ("draft-too-slow", Engine(draft=(1.0, 6.0)), Traffic()),
    "draft-plain": ("draft-too-slow", Engine(draft=(1.0, 6.0), plain=0.03), Traffic()),
    "verify": ("verification-not-free", Engine(verify=(9.0, 0.05), knee=(48, 0.12), plain=0.04), _BUSY),
    "verify-varied": ("verification-not-free", Engine(verify=(9.0, 0.05), knee=(48, 0.12), tau=(1, 4)), _BUSY),
    "verify-one-tau": (
        "verification-not-free",
        Engine(verify=(9.0, 0.05), knee=(48, 0.12)),
        replace(_BUSY, batch=(8, 40)),
    ),
    "host": ("host-overhead", Engine(overhead=11.0), Traffic()),
    "tau-large": ("tau-too-large", Engine(tau=(8, 8), draft=(0.2, 1.2)), Traffic(tasks={"chat": (1.0, 0.55)})),
    "tau-small": ("tau-too-small", Engine(tau=(1, 1)), Traffic(tasks={"chat": (1.0, 0.93)}, spread=0.02)),
    "off": ("speculation-off", Engine(plain=1.0), Traffic(requests=40)),
    "off-later": ("speculation-off", Engine(off_after=0.2), Traffic()),
    "stalls": ("kv-pressure", Engine(), Traffic(preempt=(0.01, 0.8))),
    "prefill": ("prefill-heavy", Engine(), Traffic(wait=6.0, output=(20, 60))),
    "graphs": ("graph-missed", Engine(missed=0.15, eager=2.2), Traffic(requests=200, batch=(1, 4))),
    "ragged": ("stragglers", Engine(ragged=0.6, tau=(6, 6), draft=(0.5, 1.0)), Traffic(batch=(6, 10), requests=160)),
}
#: Nothing is slow here.
FAST: dict[str, tuple[Engine, Traffic]] = {
    "usual": (Engine(), Traffic()),
    "plain-steps": (Engine(plain=0.03), Traffic()),
    "varied": (Engine(tau=(2, 5)), Traffic()),
    "two-tasks": (Engine(), Traffic(tasks={"chat": (0.5, 0.65), "code": (0.5, 0.9)})),
    "long": (Engine(), _LONG),
    "stairs": (Engine(graphs=8), Traffic(batch=(1, 16))),
    "noisy": (Engine(noise=0.2), Traffic(spread=0.12)),
    "overlapped": (Engine(overlap=True), Traffic()),
    "stands-still": (Engine(), Traffic(stall=(0.04, 0.8))),
}
