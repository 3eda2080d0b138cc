"""The time of a plain step, t1(B): from steps that drafted nothing, from regression where it is identified, or bounds.

A trace at one draft length cannot tell it: the verified tokens N = (k + 1) B rise with the batch and with nothing else,
least squares is singular there, and software that prints an interval anyway is wrong every time. It is refused, and
bounds that need no model are given instead: verification takes no less time for more tokens, so t1(B) is at most what a
step at batch B takes without its draft.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from sdtrace.schema.arrays import Floats
from sdtrace.speed.cost import ENOUGH, shapes
from sdtrace.stats.isotonic import isotonic
from sdtrace.stats.ratio import student

Curve = Callable[[Floats], Floats]

#: Condition of the regression beyond which it is refused, and what a misfit of its knots may add to the error.
CONDITION, MISFIT = 1e3, 0.01
#: Plain engine steps that a baseline needs.
PLAIN = 10
#: Share of the time at batch sizes for which a baseline must be known.
COVERED = 0.9


@dataclass(frozen=True)
class Baseline:
    """`plain` maps batch sizes to ms; None where only bounds are known. `error` is its relative standard error, `margin`
    a relative misfit on top. `low` and `high` bound it; `why` says what was refused, `ask` what to record."""

    basis: str
    plain: Curve | None
    error: float
    margin: float
    low: Curve | None
    high: Curve
    why: str | None = None
    ask: str | None = None
    own: float = 1.0  #: share of the plain steps that stand in the trace itself


def baseline(
    cost: pl.DataFrame, elsewhere: pl.DataFrame, given: float | None = None, weather: float = 0.0
) -> Baseline | None:
    """The best baseline for the decoding steps of `cost`; None without a timed step.

    `elsewhere`: rows of runs of the same target that may hold plain steps (a trace without speculation); `given` ms;
    `weather`: half of the 95% interval of ln(mean step), which bounds allow for.
    """
    rows = cost.filter((pl.col("prefill") == 0) & (pl.col("w") > 0))
    if rows.is_empty():
        return None
    table = shapes(rows, "b", "n", "k")
    high = _upper(table, weather)
    if given is not None:
        fixed = float(given)
        return Baseline("given", lambda b: np.full(np.shape(b), fixed), 0.0, 0.0, None, high)
    plain = pl.concat([rows, elsewhere.filter((pl.col("prefill") == 0) & (pl.col("w") > 0))])
    found = _from_plain(table, shapes(plain.filter((pl.col("k") == 0) & (pl.col("wp") >= 0.999 * pl.col("w"))), "b"))
    if isinstance(found, tuple):
        mine, every = (float(one.filter(pl.col("k") == 0)["wp"].sum()) for one in (rows, plain))
        return Baseline("plain-steps", *found, 0.0, None, high, own=mine / max(every, 1.0))
    fitted = _from_regression(table)
    if isinstance(fitted, tuple):
        return Baseline("regression", *fitted, MISFIT, None, high, found)
    return Baseline("bounds", None, 0.0, 0.0, _lower(table, weather), high, f"{found}; {fitted}", _ask(table))


def _arrays(table: pl.DataFrame, *names: str) -> list[Floats]:
    return [table[name].to_numpy().astype(np.float64) for name in names]


def _from_plain(table: pl.DataFrame, plain: pl.DataFrame) -> tuple[Curve, float] | str:
    """Means of plain steps by batch, made monotone and interpolated; or why not."""
    if plain.is_empty() or plain["steps"].sum() < PLAIN:
        return "too few steps drafted nothing"
    b, ms, w, spread = _arrays(plain, "batch", "step_ms", "steps", "spread_ms")
    order = np.argsort(b)
    b, ms, w, spread = b[order], isotonic(ms[order], w[order]), w[order], spread[order]
    wanted, time = _arrays(table, "batch", "steps")
    inside = (wanted >= 0.8 * b[0]) & (wanted <= 1.25 * b[-1])
    if time[inside].sum() < COVERED * time.sum():
        return f"steps without a draft were seen at batch sizes {b[0]:.0f} to {b[-1]:.0f} only"
    near = np.argmin(np.abs(wanted[:, None] - b[None, :]), axis=1)
    share = np.bincount(near, weights=time, minlength=len(b)) / time.sum()
    mean = float((share * ms).sum())
    # a mean of few steps borrows its neighbours' spread: one step alone has none
    pooled = float((w * spread**2).sum() / w.sum())
    error = float(np.sqrt((share**2 * np.maximum(spread**2, pooled) / np.maximum(w, 1.0)).sum())) / mean
    return (lambda x: np.interp(x, b, ms)), error


def _from_regression(table: pl.DataFrame) -> tuple[Curve, float] | str:
    """Rest over batch and verified tokens, with knots, predicted at N = B (relative weights, HC1 errors); or why not."""
    rows = table.filter((pl.col("steps") >= 3) & (pl.col("rest_ms") > 0))
    b, n, ms, w = _arrays(rows, "batch", "tokens", "rest_ms", "steps")
    if len(b) < 3:
        return "regression refused: too few shapes of step"
    weight = w / ms**2
    design = _design(b, n, [], varied=b.std() > 0.02 * b.mean())
    condition = _condition(design, weight)
    if condition > CONDITION:
        return (
            "regression refused: verified tokens rise with the batch and nothing else (one draft length), "
            f"condition {min(condition, 1e16):.0e}"
        )
    if w[b >= n.min() * 0.999].sum() < COVERED * w.sum():
        return f"regression refused: no step verified fewer than {n.min():.0f} tokens, a plain one would"
    varied = design.shape[1] == 3
    knots = _knots(b, n, ms, weight, varied=varied)
    spare = len(ms) - design.shape[1] - len(knots)
    if spare < 3:
        return "regression refused: too few shapes of step"
    beta, cov = _fit(_design(b, n, knots, varied=varied), ms, weight)
    at = np.average(_design(b, b, knots, varied=varied), axis=0, weights=w)
    mean = float(at @ beta)
    if mean <= 0:
        return "regression refused: it predicts no positive time"

    def plain(x: Floats) -> Floats:
        x = np.asarray(x, dtype=np.float64)
        return np.asarray(_design(x.ravel(), x.ravel(), knots, varied=varied) @ beta).reshape(x.shape)

    # Student's t for the few shapes that remain; callers take 1.96 errors
    wider = student(0.975, spare) / 1.96
    return plain, wider * float(np.sqrt(max(float(at @ cov @ at), 0.0))) / mean


def _design(b: Floats, n: Floats, knots: list[float], *, varied: bool) -> Floats:
    columns = [np.ones_like(n), n, *([b] if varied else []), *(np.clip(n - knot, 0, None) for knot in knots)]
    return np.stack(columns, axis=1)


def _condition(design: Floats, weight: Floats) -> float:
    """Ratio of singular values with columns scaled to length 1, centred but for the constant."""
    centred = design[:, 1:] - np.average(design[:, 1:], axis=0, weights=weight)
    scaled = centred * np.sqrt(weight)[:, None]
    length = np.sqrt((scaled**2).sum(axis=0))
    mean = np.sqrt((design[:, 1:] ** 2 * weight[:, None]).sum(axis=0))
    if np.any(length <= 1e-9 * mean):
        return np.inf
    values = np.linalg.svd(scaled / length, compute_uv=False)
    spread = mean / length  # a column that hardly varies against its size is nearly the constant
    return float(values[0] / max(values[-1], 1e-16) * max(spread.max(), 1.0))


def _fit(design: Floats, ms: Floats, weight: Floats) -> tuple[Floats, Floats]:
    root = np.sqrt(weight)[:, None]
    beta = np.asarray(np.linalg.lstsq(design * root, ms * root[:, 0], rcond=None)[0], dtype=np.float64)
    bread = np.asarray(np.linalg.pinv((design * weight[:, None]).T @ design), dtype=np.float64)
    scores = design * (weight * (ms - design @ beta))[:, None]
    spare = max(len(ms) - design.shape[1], 1)
    return beta, bread @ (scores.T @ scores) @ bread * (len(ms) / spare)


def _knots(b: Floats, n: Floats, ms: Floats, weight: Floats, *, varied: bool) -> list[float]:
    """Knots at powers of two inside the range of n, taken one by one while BIC falls by more than 6, three at most."""
    inside = [float(2**e) for e in range(1, 16) if n.min() * 1.2 < 2**e < n.max() / 1.2]
    chosen: list[float] = []

    def score(knots: list[float]) -> float:
        design = _design(b, n, knots, varied=varied)
        if design.shape[0] <= design.shape[1] + 2:
            return np.inf
        beta, _ = _fit(design, ms, weight)
        loss = float((weight * (ms - design @ beta) ** 2).sum())
        return float(len(ms) * np.log(max(loss, 1e-30)) + design.shape[1] * np.log(len(ms)))

    best = score([])
    while inside and len(chosen) < 3:
        tried = {knot: score(sorted([*chosen, knot])) for knot in inside if knot not in chosen}
        knot = min(tried, key=lambda one: tried[one], default=None)
        if knot is None or tried[knot] > best - 6:
            break
        chosen, best = sorted([*chosen, knot]), tried[knot]
    return chosen


def _sampled(table: pl.DataFrame, weather: float) -> Floats:
    """By how much the mean of each shape may be off, relative to itself (95%): its steps' own spread, and the weather, of which a
    shape that a short stretch holds alone has more than the whole."""
    steps, ms, spread = _arrays(table, "steps", "step_ms", "spread_ms")
    every = steps.sum() / np.maximum(steps, 1.0)
    pooled = np.sqrt((steps * spread**2).sum() / steps.sum()) / ms
    wide = np.minimum(weather * np.sqrt(every), 1.96 * pooled)
    return np.asarray(np.hypot(1.96 * spread / ms / np.sqrt(np.maximum(steps, 1.0)), wide))


def _upper(table: pl.DataFrame, weather: float) -> Curve:
    """t1(B) <= the least rest of any shape with at least B requests: time does not fall with more work."""
    most = float(table["steps"].to_numpy().max())
    rows = table.filter(pl.col("steps") >= min(ENOUGH, most)).sort("batch")
    b, ms = _arrays(rows, "batch", "rest_ms")
    ms = ms * (1.0 + _sampled(rows, weather))
    least = np.asarray(np.minimum.accumulate(ms[::-1])[::-1], dtype=np.float64)

    def high(x: Floats) -> Floats:
        return least[np.clip(np.searchsorted(b, np.asarray(x) * 0.999), 0, len(b) - 1)]

    return high


def _lower(table: pl.DataFrame, weather: float) -> Curve | None:
    """t1(B) >= the verification of any shape with at most B requests and at most B tokens, where it was timed."""
    rows = table.filter((pl.col("steps") >= ENOUGH) & pl.col("verify_ms").is_not_null()).sort("tokens")
    if rows.is_empty():
        return None
    n, ms = _arrays(rows, "tokens", "verify_ms")
    most = np.asarray(np.maximum.accumulate(ms * np.maximum(1.0 - _sampled(rows, weather), 0.0)), dtype=np.float64)

    def low(x: Floats) -> Floats:
        # no shape has fewer verified tokens than requests, so the tokens alone decide
        at = np.clip(np.searchsorted(n, np.asarray(x) * 1.001) - 1, 0, None)
        return np.where(np.asarray(x) < n[0], 0.0, most[at])

    return low


def _ask(table: pl.DataFrame) -> str:
    """Which 1% of steps would settle it."""
    time = pl.col("steps") * pl.col("step_ms")
    by = table.sort("batch").with_columns(share=time.cum_sum() / time.sum())
    low, high = (by.filter(pl.col("share") >= share)["batch"][0] for share in (0.1, 0.9))
    alone = round(low) == round(high)
    sizes = f"batch size {low:.0f}" if alone else f"batch sizes {low:.0f} to {high:.0f} (80% of the time)"
    return (
        f"let 1% of engine steps, drawn at random at {sizes}, verify without a draft (k = 0 for every request in them); "
        f"{PLAIN} such steps identify the baseline, so a trace of {100 * PLAIN:,} engine steps or more"
    )
