"""Traffic whose truth is known in closed form: requests that differ, sessions that are alike, a server whose steps have weather.

Four requests run side by side. A token of request i is right with chance a_i = 1 / (1 + exp(-(MEAN + SPREAD z_i))), z_i normal, most
of it its session's; a step takes TIME ms times exp(weather), AR(.98) with a standard deviation of `weather`, and noise.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from sdtrace.schema.arrays import Floats
from sdtrace.schema.trace import Batch, conform, no_tables
from tests.power.judge import Made

LANES, DRAFT = 4, 4
#: Of the logit of a_i; share of its variance that belongs to the session.
MEAN, SPREAD, SHARED = 1.2, 0.5, 0.7
#: ms of a step, its parts, the noise of its logarithm; ms of a step without a draft.
TIME, PARTS, NOISE, PLAIN = 20.0, {"draft_ms": 0.2, "verify_ms": 0.7}, 0.03, 15.0
#: Of the weather from one engine step to the next.
STAYS = 0.98


@dataclass(frozen=True)
class World:
    """`session`: requests in one; `weather`: its standard deviation; `plain`: share of engine steps without a draft; `mean` and
    `time` move what the candidate of a comparison does."""

    session: int = 1
    weather: float = 0.0
    requests: int = 120
    plain: float = 0.0
    mean: float = MEAN
    time: float = 1.0

    def of(self, function: Callable[[Floats], Floats]) -> float:
        """The mean of a function of a over requests: Gauss-Hermite."""
        z, weight = np.polynomial.hermite_e.hermegauss(60)
        a = 1 / (1 + np.exp(-(self.mean + SPREAD * z)))
        return float(np.sum(weight * function(a)) / weight.sum())

    @property
    def step_ms(self) -> float:
        """Of a step with a draft."""
        return self.time * TIME * float(np.exp((self.weather**2 + NOISE**2) / 2))

    @property
    def truth(self) -> dict[str, float]:
        """The figures of acceptance, and of speed where every step drafts."""
        tokens = self.of(lambda a: length(a, DRAFT))
        tested = self.of(lambda a: length(a, DRAFT - 1))
        return {
            "tokens_per_step": tokens,
            "rate_of_drafted": (tokens - 1) / DRAFT,
            "rate_of_tested": (tokens - 1) / tested,
            "accepted_at_first": self.of(lambda a: a),
            "step_ms": self.step_ms,
            "tokens_per_second": 1000 * tokens / self.step_ms,
        }

    def at(self, tau: int) -> float:
        """Tokens per step of the same texts at another draft length."""
        return self.of(lambda a: length(a, DRAFT)) / self.of(lambda a: length(a, DRAFT) / length(a, tau))


def length(a: Floats, tau: int) -> Floats:
    """1 + a + .. + a^tau."""
    return np.asarray(sum(a**j for j in range(tau + 1)))


def made(world: World, seed: int) -> Made:
    """A trace of that world: a run, its requests with sessions and tasks as tags, its steps."""
    rng = np.random.default_rng([seed, 31])
    n = world.requests
    own, shared = rng.standard_normal(n), rng.standard_normal(n)[np.arange(n) // world.session]
    z = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own if world.session > 1 else own
    chance = 1 / (1 + np.exp(-(world.mean + SPREAD * z)))
    steps = rng.integers(20, 41, n)
    who = np.repeat(np.arange(n), steps)
    step = np.arange(len(who)) - np.repeat(np.cumsum(steps) - steps, steps)
    engine = np.zeros(len(who), dtype=np.int64)
    for lane in range(LANES):
        mine = who % LANES == lane
        engine[mine] = np.arange(np.count_nonzero(mine))
    count = int(engine.max()) + 1
    none = rng.random(count) < world.plain
    level = (
        np.where(none, PLAIN, TIME)
        * world.time
        * np.exp(world.weather * weather(rng, count) + rng.normal(0, NOISE, count))
    )
    at = 1.7e9 + (np.cumsum(level) - level) / 1000
    coins = rng.random((len(who), DRAFT)) < chance[who, None]
    tau = np.where(none[engine], 0, DRAFT)
    n_a = np.minimum(np.argmin(np.concatenate([coins, np.zeros((len(who), 1), bool)], axis=1), axis=1), tau)
    batch = np.bincount(engine, minlength=count)[engine]
    start = (np.arange(len(who)) * 97) % 40_000 + 10
    frame = pl.DataFrame(
        {"run_id": ["r"] * len(who), "request_id": [f"q{i}" for i in who], "step": step, "at": at[engine], "engine_step": engine,
         "num_accepted": n_a, "batch_size": batch, "step_ms": level[engine], "tau": tau, "start": start, "last": start + 50_000,
         "line": np.arange(1, len(who) + 1), **{name: share * level[engine] for name, share in PARTS.items()}}
    ).with_columns(
        draft_token_ids=pl.int_ranges("start", pl.col("start") + pl.col("tau")),
        output_token_ids=pl.concat_list(pl.int_ranges("start", pl.col("start") + pl.col("num_accepted")), "last"),
    )  # fmt: skip
    tags = [f'{{"session":"s{i // world.session}","task":"{"ab"[i % 2]}"}}' for i in range(n)]
    asked = pl.DataFrame(
        {"run_id": ["r"] * n, "request_id": [f"q{i}" for i in range(n)], "prompt_len": [200] * n, "temperature": [1.0] * n, "tags": tags}
    )  # fmt: skip
    run = pl.DataFrame(
        [{"run_id": "r", "engine": "made", "rule": "ratio", "method": "draft_model", "num_draft_tokens": DRAFT}]
    )
    held = Batch(
        "made", frame.height + n + 1, conform(run, "run"), conform(asked, "request"),
        conform(frame.drop("tau", "start", "last"), "step", extra=("line",)),
    )  # fmt: skip
    return Made((held,)) if n else Made((Batch("made", 0, *no_tables()),))


def weather(rng: np.random.Generator, count: int) -> Floats:
    """AR(STAYS) with standard deviation 1, from its stationary law on."""
    noise = rng.standard_normal(count)
    found = np.empty(count)
    last = rng.standard_normal()
    for i in range(count):
        last = found[i] = STAYS * last + np.sqrt(1 - STAYS**2) * noise[i]
    return found
