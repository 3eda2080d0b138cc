"""Prompts sent to a server, at temperature 0 and sampled, with seeds and logprobs: its answers as rows of RESPONSE, with their times."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from sdtrace.errors import NoInputError
from sdtrace.readers.io.http import Unanswered
from sdtrace.readers.responses import responses as parse
from sdtrace.replay.engine.client import Client, Engine, Job
from sdtrace.replay.engine.dialects import complete
from sdtrace.replay.engine.tokenize import tokenize
from sdtrace.schema.responses import from_rows

#: Each prompt is asked at these, so that a server tells itself what its logprobs are of, and batches hold greedy and sampled requests: an
#: engine can be right with either alone and wrong with both (vLLM 0.32 on CPUs).
TEMPERATURES = (0.0, 1.0, 0.5)
#: Seeds begin here, one a request: one that was drawn with another one's stream can be told.
SEED = 20_261_130
#: Where those of a server begin that another one is compared with: with the same draws their sampled answers would be the same.
OTHER_SEED = SEED + 1_000_000


@dataclass(frozen=True)
class Plan:
    """What is asked: requests, tokens an answer, and the most that may be spent on it all."""

    prompts: tuple[str, ...]
    requests: int = 30
    tokens: int = 64
    budget_tokens: int | None = None
    budget_s: float | None = None
    temperatures: tuple[float, ...] = TEMPERATURES
    seed: int = SEED


@dataclass
class Answers:
    """`rows`: of RESPONSE, one an answer; `seconds` and `number` (which request) beside each; `left_out` by reason."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    number: list[int] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    wall_s: float = 0.0

    @property
    def tokens(self) -> int:
        """All that were emitted."""
        return sum(len(row["token_ids"]) for row in self.rows)

    def speed(self) -> float | None:
        """Median of tokens per second of a request, at this load."""
        known = sorted(len(r["token_ids"]) / s for r, s in zip(self.rows, self.seconds, strict=True) if s > 0)
        return known[len(known) // 2] if known else None

    def table(self, url: str) -> pl.DataFrame:
        """The answers as the audit reads them."""
        return from_rows(url, self.rows)


def asked(plan: Plan) -> list[dict[str, Any]]:
    """Parameters of every request, with the number of its prompt."""
    n = plan.requests
    if plan.budget_tokens is not None:
        n = max(1, min(n, plan.budget_tokens // plan.tokens))
    made = []
    for i in range(n):
        prompt, at = divmod(i, len(plan.temperatures))
        t = plan.temperatures[at]
        given = {"prompt": prompt % len(plan.prompts), "temperature": t, "max_tokens": plan.tokens}
        made.append(given | {"seed": plan.seed + i if t else None})
    return made


def ask(
    client: Client, engine: Engine, plan: Plan, progress: Callable[[int, int], None] = lambda done, total: None
) -> Answers:
    """Send the plan. What a server refuses, or answers without logprobs, is left out and counted."""
    given = asked(plan)
    ids = _ids(client, engine, plan, {one["prompt"] for one in given})
    jobs = [complete(engine, ids.get(one["prompt"]) or plan.prompts[one["prompt"]], one) for one in given]
    found, began = Answers(), time.monotonic()

    def one(job: Job) -> tuple[Any, float]:
        start = time.monotonic()
        if plan.budget_s is not None and start - began > plan.budget_s:
            return Unanswered("not asked any more: the time is over", ""), 0.0
        try:
            return client.ask(*job), time.monotonic() - start
        except Unanswered as error:
            return error, 0.0

    for i, (answer, seconds) in enumerate(client.together(one, jobs)):
        progress(i + 1, len(jobs))
        rows = [] if isinstance(answer, Unanswered) else list(parse({"request": jobs[i][1], "response": answer}))
        if len(rows) != 1 or not rows[0]["token_ids"]:
            found.left_out[str(answer) if isinstance(answer, Unanswered) else "the answer has no logprobs"] += 1
            continue
        how = {} if engine.drafter is None else {"drafter": engine.drafter}
        found.rows.append(rows[0] | {"line": i + 1, "request_id": f"request {i + 1}", "engine": engine.name} | how)
        found.seconds.append(seconds)
        found.number.append(i)
    found.wall_s = time.monotonic() - began
    return found


def _ids(client: Client, engine: Engine, plan: Plan, used: set[int]) -> dict[int, list[int]]:
    """Ids of prompts, by number, for engines whose answers do not tell them. Raises NoInputError where llama.cpp, which is asked with ids
    only, has no /tokenize."""
    if engine.name == "vllm":
        return {}
    found = {n: tokenize(client, engine, plan.prompts[n]) for n in sorted(used)}
    if engine.name == "llama.cpp" and any(ids is None for ids in found.values()):
        raise NoInputError(f"{client.shown}: no ids of the prompts from /tokenize", "give the engine's own address")
    return {n: ids for n, ids in found.items() if ids is not None}


def by_number(answers: Answers) -> dict[int, dict[str, Any]]:
    """Answers by the number of their request."""
    return dict(zip(answers.number, answers.rows, strict=True))


def sampled(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those above temperature 0."""
    return [row for row in rows if row["temperature"]]
