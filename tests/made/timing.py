"""Made traces with a clock: requests come and go in a batch, a draft and a verifying pass cost what a formula says. SYNTHETIC.

    drive(Engine(tau=4), Traffic(), seed=1).write(folder)        # Parquet, trace format 1

Nothing is decided here: acceptance is a coin per position, so the truth about speed is known in closed form.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

Record = dict[str, Any]


@dataclass(frozen=True)
class Engine:
    """Times in ms. A step drafts the longest draft of its batch, verifies N = B + sum of drafts padded to `graphs`.

    `tau`: drafted tokens, inclusive range; `plain`: chance that an engine step drafts nothing; `noise`: sigma of the log of
    a step's time; `missed`: chance of running eager, which takes `eager` times as long to verify.
    """

    tau: tuple[int, int] = (4, 4)
    plain: float = 0.0
    draft: tuple[float, float] = (0.2, 0.5)
    verify: tuple[float, float] = (12.0, 0.03)
    knee: tuple[float, float] = (1e9, 0.0)
    per_context: float = 0.0
    sample: float = 0.4
    overhead: float = 0.8
    graphs: int = 1
    missed: float = 0.0
    eager: float = 1.8
    noise: float = 0.03
    ragged: float = 0.0
    off_after: float = 2.0
    overlap: bool = False
    parts: bool = True

    def verifying(self, tokens: float, context: float = 0.0) -> float:
        """ms of the target's pass over that many tokens."""
        padded = np.ceil(tokens / self.graphs) * self.graphs
        bent = max(padded - self.knee[0], 0.0) * self.knee[1]
        return float(self.verify[0] + self.verify[1] * padded + bent + self.per_context * context)

    def step(self, batch: int, k: int, tokens: float | None = None, context: float = 0.0) -> float:
        """ms of a whole step of `batch` requests that draft k tokens each."""
        drafting = self.draft[0] + self.draft[1] * k if k else 0.0
        n = batch * (1 + k) if tokens is None else tokens
        return drafting + self.verifying(n, context) + self.sample + self.overhead


@dataclass(frozen=True)
class Traffic:
    """`tasks`: name -> (share, mean acceptance by position). `spread`: how much requests differ (beta distribution).

    `batch`: concurrency, inclusive range, wandering; `decay`: acceptance lost per doubling of context beyond 512;
    `aging`: acceptance lost over 100 steps of a request; `shift`: shares in the second half; `edit` changes the request
    record and its acceptance. `stall`: chance that the whole server stands still behind a step, and for how many seconds;
    `preempt`: the same of a request that has no room while others go on.
    """

    requests: int = 120
    output: tuple[int, int] = (60, 140)
    prompt: tuple[int, int] = (100, 400)
    batch: tuple[int, int] = (1, 8)
    tasks: dict[str, tuple[float, float]] = field(default_factory=lambda: {"chat": (0.6, 0.75), "code": (0.4, 0.85)})
    shift: dict[str, float] | None = None
    by_position: tuple[float, ...] = ()
    spread: float = 0.08
    decay: float = 0.0
    aging: float = 0.0
    wait: float = 0.02
    stall: tuple[float, float] = (0.0, 0.0)
    preempt: tuple[float, float] = (0.0, 0.0)
    edit: Callable[[Record, float, np.random.Generator], float] | None = None


@dataclass(frozen=True)
class Driven:
    """The three tables."""

    run: Record
    requests: list[Record]
    steps: pl.DataFrame

    def write(self, folder: Path) -> Path:
        """A Parquet folder."""
        folder.mkdir(parents=True, exist_ok=True)
        pl.DataFrame([self.run]).write_parquet(folder / "runs.parquet")
        pl.DataFrame(self.requests, infer_schema_length=None).write_parquet(folder / "requests.parquet")
        self.steps.write_parquet(folder / "steps.parquet")
        return folder


def drive(engine: Engine, traffic: Traffic, seed: int = 0, run_id: str = "r", same: bool = False) -> Driven:
    """Run the traffic through the engine. `same`: request ids and lengths do not depend on the seed (paired prompts)."""
    rng = np.random.default_rng([seed, 7])
    requests, chance = _requests(traffic, np.random.default_rng([0 if same else seed, 11]), run_id)
    rows: list[tuple[Any, ...]] = []
    clock, waiting = 1.7e9, list(range(len(requests)))
    active: list[int] = []
    made = np.zeros(len(requests), dtype=int)
    parked: dict[int, float] = {}
    steps = np.zeros(len(requests), dtype=int)
    size, engine_step = (traffic.batch[0] + traffic.batch[1]) // 2, 0
    while waiting or active:
        size = int(np.clip(size + rng.integers(-1, 2), *traffic.batch))
        while waiting and len(active) < size:
            one = waiting.pop(0)
            requests[one]["arrived_at"] = clock - traffic.wait
            requests[one]["first_token_at"] = clock
            active.append(one)
        parked = {one: until for one, until in parked.items() if until > clock and len(active) > 1}
        mine = [one for one in active if one not in parked][:size] or active[:1]
        clock = _step(engine, traffic, rng, (mine, requests, chance, made, steps, rows, clock, engine_step))
        engine_step += 1
        parked |= {
            one: clock + traffic.preempt[1] for one in mine if traffic.preempt[0] and rng.random() < traffic.preempt[0]
        }
        for one in [a for a in mine if made[a] >= requests[a]["output_len"]]:
            requests[one] |= {"finished_at": clock, "output_len": int(made[one])}
            active.remove(one)
        active = active[1:] + active[:1] if len(active) > size else active
    names: tuple[str, ...] = (
        "request_id",
        "step",
        "at",
        "tau",
        "num_accepted",
        "appended",
        "draft_ms",
        "verify_ms",
        "sample_ms",
        "step_ms",
    )
    names += ("batch_size", "batch_tokens", "context_len", "graph", "engine_step")
    table = pl.DataFrame(rows, schema=list(names), orient="row", infer_schema_length=None)
    # ids that never repeat in a row; the token after the accepted ones is not the one that was drafted there
    start = (pl.int_range(pl.len()) * 97) % 40_000 + 10
    table = table.with_columns(
        draft_token_ids=pl.int_ranges(start, start + pl.col("tau")),
        output_token_ids=pl.concat_list(pl.int_ranges(start, start + pl.col("num_accepted")), start + 50_000),
        run_id=pl.lit(run_id),
    ).drop("tau", "appended")
    if not engine.parts:
        table = table.drop("draft_ms", "verify_ms", "sample_ms")
    run = {
        "run_id": run_id,
        "engine": "simulated",
        "rule": "ratio",
        "method": "eagle",
        "num_draft_tokens": engine.tau[1],
    }
    return Driven(run, requests, table)


def _requests(traffic: Traffic, rng: np.random.Generator, run_id: str) -> tuple[list[Record], np.ndarray]:
    names = list(traffic.tasks)
    made: list[Record] = []
    chance = []
    for i in range(traffic.requests):
        shares = [traffic.tasks[name][0] for name in names]
        if traffic.shift and i >= traffic.requests / 2:
            shares = [traffic.shift[name] for name in names]
        task = names[rng.choice(len(names), p=shares)]
        mean, spread = traffic.tasks[task][1], max(traffic.spread, 1e-6)
        size = mean * (1 - mean) / spread**2 - 1
        made.append(
            {
                "run_id": run_id,
                "request_id": f"q{i}",
                "prompt_len": int(rng.integers(traffic.prompt[0], traffic.prompt[1] + 1)),
                "output_len": int(rng.integers(traffic.output[0], traffic.output[1] + 1)),
                "temperature": 0.7,
                "tags": {"task": task},
            }
        )
        accept = float(rng.beta(mean * size, (1 - mean) * size))
        chance.append(traffic.edit(made[-1], accept, rng) if traffic.edit else accept)
    for record in made:
        record["tags"] = "{" + ",".join(f'"{k}":"{v}"' for k, v in record["tags"].items()) + "}"
    return made, np.array(chance)


def _step(engine: Engine, traffic: Traffic, rng: np.random.Generator, state: tuple[Any, ...]) -> float:
    """One engine step: what everybody drafts and accepts, how long it takes."""
    mine, requests, chance, made, steps, rows, clock, number = state
    none = rng.random() < engine.plain
    if engine.off_after < 1.0:
        none = none or made.sum() / sum(r["output_len"] for r in requests) > engine.off_after
    tau = int(rng.integers(engine.tau[0], engine.tau[1] + 1))
    drafts = [0 if none else (1 if rng.random() < engine.ragged else tau) for _ in mine]
    n = len(mine) + sum(drafts)
    contexts = [requests[a]["prompt_len"] + made[a] for a in mine]
    longest = max(drafts)
    noise = np.exp(rng.normal(0, engine.noise, 2))
    missed = rng.random() < engine.missed
    drafting = (engine.draft[0] + engine.draft[1] * longest if longest else 0.0) * noise[0]
    verifying = engine.verifying(n, sum(contexts)) * noise[1] * (engine.eager if missed else 1.0)
    whole = (max(drafting, verifying) if engine.overlap else drafting + verifying) + engine.sample + engine.overhead
    for a, k, context in zip(mine, drafts, contexts, strict=True):
        accept = chance[a] - traffic.decay * max(np.log2(context / 512), 0) - traffic.aging * steps[a] / 100
        by = traffic.by_position[:k] + (1.0,) * (k - len(traffic.by_position))
        coins = rng.random(k).tolist()
        n_a = next((j for j, coin in enumerate(coins) if coin >= accept * by[j]), k)
        row = (drafting, verifying, engine.sample, whole, len(mine), n, context, "eager" if missed else "full", number)
        rows.append((f"q{a}", int(steps[a]), clock, k, n_a, n_a + 1, *row))
        made[a] += n_a + 1
        steps[a] += 1
    stall = traffic.stall[1] if rng.random() < traffic.stall[0] else 0.0
    return float(clock + whole / 1000 + stall)
