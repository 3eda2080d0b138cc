"""A server with some engines under traffic, window by window: what each of them drafted and accepted."""

from dataclasses import dataclass, field

import numpy as np

#: Acceptance of a first token by kind of request: mean, and how much requests differ.
TASKS = {"chat": (0.62, 0.08), "code": (0.82, 0.06), "translation": (0.52, 0.09), "maths": (0.74, 0.07)}
#: Seconds of a window, steps a second of a request.
SECONDS, RATE = 10.0, 25.0
#: When the first window is.
WINDOW = 1.79e9
TRAFFIC = ("steady", "bursty", "idle-hours", "mixed", "restarts", "adaptive", "lookup")


@dataclass(frozen=True)
class World:
    """`traffic` is one of TRAFFIC; `half`: the engine that accepts half of what its siblings do, if one does;
    `falls`: the window from which on a quarter of the first tokens are accepted that were before."""

    traffic: str
    engines: int
    windows: int
    seed: int
    k: int = 3
    half: int | None = None
    falls: int | None = None


@dataclass
class Window:
    """One engine's window: steps that drafted, steps by position that accepted it, requests in flight, the process it was."""

    at: float
    engine: int
    k: int
    process: int
    running: int
    steps: int = 0
    drafted: int = 0
    positions: list[int] = field(default_factory=list)
    finished: list["Request"] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        return sum(self.positions)


@dataclass
class Request:
    """A request: the share of first tokens accepted, how that falls by position, steps to go, and what it came to."""

    share: float
    fall: float
    left: int
    number: int
    prompt: int
    steps: int = 0
    drafted: int = 0
    accepted: int = 0


def windows(world: World) -> list[Window]:
    """Windows of all engines in order of time."""
    rng = np.random.default_rng(world.seed)
    active: list[list[Request]] = [[] for _ in range(world.engines)]
    process, made, number = [0] * world.engines, [], 0
    load = rng.uniform(1.0, 8.0)
    for w in range(world.windows):
        for engine in range(world.engines):
            if world.traffic == "restarts" and rng.random() < 0.04:
                process[engine] += 1
                active[engine] = []
                continue
            for _ in range(rng.poisson(_arrivals(world, load, w, rng))):
                active[engine].append(_request(world, engine, number, rng))
                number += 1
            made.append(_window(world, w, engine, process[engine], active[engine], rng))
    return made


def _arrivals(world: World, load: float, w: int, rng: np.random.Generator) -> float:
    """Requests that begin in a window, on average."""
    if world.traffic == "bursty":
        return load * (6.0 if rng.random() < 0.15 else 0.2)
    if world.traffic == "idle-hours":
        return load if (w // 12) % 2 == 0 else 0.0
    return load


def _request(world: World, engine: int, number: int, rng: np.random.Generator) -> Request:
    names = list(TASKS) if world.traffic == "mixed" else list(TASKS)[world.seed % len(TASKS) :][:1]
    mean, spread = TASKS[names[rng.integers(len(names))]]
    if world.traffic == "lookup":
        mean, spread = 0.5, 0.18
    share = float(np.clip(rng.normal(mean, spread), 0.05, 0.97))
    if world.half == engine:
        share = halved(share, world.k)
    steps = int(np.clip(rng.lognormal(5.0, 0.8), 8, 3000))
    return Request(share, 0.95, steps, number, int(rng.lognormal(6.0, 1.0)) + 1)


def halved(share: float, k: int, fall: float = 0.95) -> float:
    """The share of first tokens with which half as many drafted tokens are accepted."""

    def whole(s: float) -> float:
        return float(sum(np.cumprod([s * fall**j for j in range(k)])))

    low, high = 0.0, share
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if whole(middle) < whole(share) / 2 else (low, middle)
    return high


def _window(world: World, w: int, engine: int, process: int, active: list[Request], rng: np.random.Generator) -> Window:
    k = world.k
    if world.traffic == "adaptive":
        k = 1 if len(active) > 12 else 2 if len(active) > 6 else world.k
    made = Window(WINDOW + SECONDS * w, engine, k, process, len(active), positions=[0] * k)
    fallen = 0.25 if world.falls is not None and w >= world.falls else 1.0
    for request in list(active):
        steps = min(request.left, int(SECONDS * RATE * rng.uniform(0.7, 1.0)))
        request.left -= steps
        drafting = int(rng.binomial(steps, 0.45)) if world.traffic == "lookup" else steps
        left = drafting
        for j in range(k):
            left = int(rng.binomial(left, fallen * request.share * request.fall**j))
            made.positions[j] += left
            request.accepted += left
        made.steps += drafting
        made.drafted += k * drafting
        request.steps += drafting
        request.drafted += k * drafting
        if request.left <= 0:
            active.remove(request)
            made.finished.append(request)
    return made
