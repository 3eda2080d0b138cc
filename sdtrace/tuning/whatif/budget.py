"""A fixed number of verified tokens shared over a batch: which requests should get them, and how many are worth it.

With survival S_ij of request i falling in j, the sum of the M largest S_ij is the most that M slots can bring: a slot is
never larger than its prefix, so the M largest are a feasible allocation, and no M slots have a larger sum.
"""

from collections.abc import Sequence

import numpy as np

from sdtrace.schema.arrays import Flags, Floats, Ints
from sdtrace.schema.json_values import Json
from sdtrace.tuning.curve import REPLAYABLE
from sdtrace.tuning.path.token_path import Text
from sdtrace.tuning.run import Tuned

#: Weight of the traffic's own hazards against a request's, in tests at a position.
SHRINK = 6.0
#: Batches that are made up of the recorded requests.
BATCHES = 200


def allocate(alive: Floats, budget: int, least: int = 0) -> Ints:
    """Slots of each request (B) for survival (B, K) that does not rise along K; everyone gets `least` first.

    Ties go to the smaller position, so a slot is never taken before its prefix.
    """
    b, width = alive.shape
    least = min(least, width)
    free = min(budget, b * width) - b * least
    if free < 0:
        raise ValueError(f"{b} requests with {least} tokens each need more than a budget of {budget}")
    position = np.broadcast_to(np.arange(width), alive.shape)[:, least:]
    order = np.lexsort((position.ravel(), -alive[:, least:].ravel()))[:free]
    counts = np.bincount(order // max(width - least, 1), minlength=b)[:b] if width > least else np.zeros(b, np.int64)
    return np.asarray(least + counts, dtype=np.int64)


def equal(b: int, width: int, budget: int) -> Ints:
    """The budget split evenly, the remainder to the first."""
    share, more = divmod(min(budget, b * width), b)
    return np.asarray(share + (np.arange(b) < more), dtype=np.int64)


def gained(alive: Floats, counts: Ints) -> float:
    """Accepted tokens that an allocation can expect."""
    return float((alive * (np.arange(alive.shape[1]) < counts[:, None])).sum())


def budgets(run: Tuned) -> tuple[list[Json], str | None]:
    """What budgets bring at the usual batch size: shared by survival, and shared equally. And why nothing is said."""
    text = run.traffic.text
    if not run.curve.current or any(law not in REPLAYABLE for law in run.traffic.laws):
        return [], "budget: nothing was drafted, or the law does not decide token by token"
    size = int(np.median(text.batch[text.verified > 0]))
    if size < 2:
        return [], "budget: batches of one request, or batch_size is not recorded; the tau curve is the answer there"
    guess, truth = _survivals(text, run.curve.current)
    if len(guess) < size:
        return [], f"budget: {len(guess)} requests are fewer than the usual batch of {size}"
    rng = np.random.default_rng(0)
    batches = [rng.choice(len(guess), size, replace=False) for _ in range(BATCHES)]
    width = guess.shape[1]
    grid = sorted({round(size * share) for share in np.linspace(0, width, 2 * width + 1)})
    return [_budget(run, budget, size, guess, truth, batches) for budget in grid], None


def _budget(run: Tuned, budget: int, size: int, guess: Floats, truth: Floats, batches: Sequence[Ints]) -> Json:
    width = guess.shape[1]
    shared = even = kept = 0.0
    given = np.zeros(width + 1)
    for who in batches:
        counts = allocate(guess[who], budget)
        given += np.bincount(counts, minlength=width + 1)
        shared += gained(truth[who], counts)
        even += gained(truth[who], equal(size, width, budget))
        kept += gained(truth[who], allocate(guess[who], budget, least=1)) if budget >= size else 0.0
    total = size * len(batches)
    cost = _cost(run, size, budget / size)
    tokens = 1.0 + shared / total
    return {
        "budget": budget,
        "batch_size": size,
        "tokens_per_step": tokens,
        "tokens_per_step_equal": 1.0 + even / total,
        "tokens_per_step_least_one": 1.0 + kept / total if budget >= size else None,
        "step_ms": cost if run.price.unit == "ms" else None,
        "cost_per_token": cost / tokens if cost is not None else None,
        "allocation": {str(k): float(n / total) for k, n in enumerate(given) if n},
        "basis": "model",
    }


def _cost(run: Tuned, size: int, mean: float) -> float | None:
    """Cost of a step that verifies `mean` drafted tokens a request, between the prices of whole numbers."""
    bucket = int(np.log2(size) + 1e-9)
    if bucket >= run.price.cost.shape[1]:
        return None
    column = run.price.cost[:, bucket]
    known = np.isfinite(column)
    taus = np.array(run.price.taus)[known]
    return float(np.interp(mean, taus, column[known])) if known.any() and mean <= taus.max() else None


def _survivals(text: Text, width: int) -> tuple[Floats, Floats]:
    """Survival by request (R, K): guessed from the first half of its steps, and seen in the second half.

    An allocation must be judged on steps that it was not made from; otherwise it wins by chance.
    """
    who = text.request_of_step
    order = np.arange(len(who)) - np.searchsorted(who, who)
    half = (np.bincount(who)[who] + 1) // 2
    full = (text.verified >= width) & (text.n_a >= 0)
    first, second = full & (order < half), full & (order >= half)
    j = np.arange(width)
    reached = _count(text, first, text.n_a[:, None] >= j)
    passed = _count(text, first, text.n_a[:, None] > j)
    pooled = passed.sum(axis=0) / np.maximum(reached.sum(axis=0), 1)
    guess = np.cumprod((passed + SHRINK * pooled) / (reached + SHRINK), axis=1)
    steps = _count(text, second, np.ones((len(who), 1), dtype=bool))
    seen = _count(text, second, text.n_a[:, None] > j) / np.maximum(steps, 1)
    used = (steps[:, 0] > 0) & (_count(text, first, np.ones((len(who), 1), dtype=bool))[:, 0] > 0)
    return np.asarray(guess[used]), np.asarray(seen[used])


def _count(text: Text, chosen: Flags, flags: Flags) -> Floats:
    """Sum of flags (S, K) over the chosen steps of each request, (R, K)."""
    rows = [np.bincount(text.request_of_step, chosen & column, text.requests) for column in flags.T]
    return np.stack(rows, axis=1).astype(np.float64)
