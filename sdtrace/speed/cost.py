"""What an engine step costs by its shape: means by (batch, verified tokens), the staircase through them, the draft's line.

`rest` is a step without its exposed draft time: verification, sampling and everything else that the tokens wait for.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from sdtrace.stats.isotonic import isotonic

#: Engine steps that a mean needs before anything is concluded from it.
ENOUGH = 20.0


def shapes(cost: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Means over rows of the tally's frame `cost` that share `by` (columns of the frame, such as b, n, k, graph).

    Columns: `by`, steps (engine steps), batch, tokens (means), step_ms, draft_ms (exposed), rest_ms, verify_ms (null
    where not recorded), spread_ms (standard deviation of a step), plain (share of steps without any draft), first_path,
    first_line.
    """
    table = cost.group_by(*by, maintain_order=True).agg(
        pl.col("w", "timed", "timed_tokens", "wt", "wd", "wv", "wh", "wn", "has_v", "wt2", "wp").sum(),
        pl.col("first_path", "first_line").first(),
    )
    w = pl.col("w")
    mean = pl.col("wt") / w
    draft = (pl.col("wd") - pl.col("wh")).clip(0) / w
    return (
        table.filter(w > 0)
        .select(
            *by,
            steps="w",
            batch=pl.col("timed") / w,
            tokens=pl.col("wn") / w,
            gained=pl.col("timed_tokens") / pl.col("timed"),
            step_ms=mean,
            draft_ms=draft,
            rest_ms=mean - draft,
            verify_ms=pl.when(pl.col("has_v") > 0).then(pl.col("wv") / pl.col("has_v")),
            spread_ms=(pl.col("wt2") / w - mean**2).clip(0).sqrt(),
            plain=pl.col("wp") / w,
            first_path="first_path",
            first_line="first_line",
        )
        .sort(*by, nulls_last=True)
    )


@dataclass(frozen=True)
class StepCost:
    """Step time as a function of batch and draft length, where the trace can say it.

    `table` has a row a (b, n): see `shapes`. `draft_fixed` and `draft_token` in ms; `draft_known` is False where no
    draft time was recorded, `draft_varied` where every step drafted as many tokens, so that fixed cost counts as zero.
    """

    table: pl.DataFrame
    draft_fixed: float
    draft_token: float
    draft_known: bool
    draft_varied: bool

    def draft(self, k: float) -> float:
        """ms to draft k tokens."""
        return 0.0 if k <= 0 else self.draft_fixed + self.draft_token * k

    def rest(self, batch: float, tokens: float) -> float | None:
        """ms of everything else at `tokens` verified tokens: the staircase, None outside of what was observed."""
        stairs = self.stairs()
        if stairs.is_empty() or not stairs["tokens"][0] - 0.5 <= tokens <= stairs["tokens"][-1] + 0.5:
            return None
        return float(np.interp(tokens, stairs["tokens"].to_numpy(), stairs["fitted_ms"].to_numpy()))

    def step(self, batch: float, k: float) -> float | None:
        """ms of a step in which each of `batch` requests verifies k drafted tokens; None where not observed."""
        rest = self.rest(batch, batch * (1 + k))
        return None if rest is None else self.draft(k) + rest

    def stairs(self) -> pl.DataFrame:
        """Rest by verified tokens: tokens, steps, rest_ms (mean), fitted_ms (non-decreasing), rising in tokens."""
        rows = (
            self.table.group_by("n", maintain_order=True)
            .agg(
                tokens=(pl.col("tokens") * pl.col("steps")).sum() / pl.col("steps").sum(),
                rest_ms=(pl.col("rest_ms") * pl.col("steps")).sum() / pl.col("steps").sum(),
                steps=pl.col("steps").sum(),
            )
            .sort("tokens")
        )
        fitted = isotonic(rows["rest_ms"].to_numpy(), rows["steps"].to_numpy())
        return rows.select("tokens", "steps", "rest_ms").with_columns(fitted_ms=pl.Series(fitted, dtype=pl.Float64))

    def marginal(self) -> float | None:
        """ms of one more verified token at equal batch: weighted least squares within batch sizes, None where the tokens of
        a batch never varied (one draft length) or the slope is within four of its standard errors of nothing."""
        rows = self.table.filter(pl.col("rest_ms").is_finite())
        centred = rows.with_columns(
            x=pl.col("tokens") - ((pl.col("tokens") * pl.col("steps")).sum() / pl.col("steps").sum()).over("b"),
            y=pl.col("rest_ms") - ((pl.col("rest_ms") * pl.col("steps")).sum() / pl.col("steps").sum()).over("b"),
        )
        x, y, w, n = (centred[name].to_numpy().astype(np.float64) for name in ("x", "y", "steps", "tokens"))
        square = float((w * x**2).sum())
        if not len(x) or np.sqrt(square / w.sum()) < 0.02 * np.average(n, weights=w):
            return None
        slope = float((w * x * y).sum()) / square
        noise = np.average(centred["spread_ms"].to_numpy() ** 2, weights=w) / square
        error = np.sqrt(noise + float((w**2 * x**2 * (y - slope * x) ** 2).sum()) / square**2)
        return slope if slope > 4 * error else None

    def drafted_tokens_ms(self) -> float | None:
        """Mean ms of a step that its verified tokens beyond the fewest per request cost; None without a slope."""
        slope = self.marginal()
        if slope is None:
            return None
        batch, tokens, steps = (self.table[name].to_numpy().astype(np.float64) for name in ("batch", "tokens", "steps"))
        return slope * float(np.average(tokens - (tokens / batch).min() * batch, weights=steps))


def step_cost(cost: pl.DataFrame) -> StepCost:
    """The cost of decoding steps from rows of the tally's frame `cost` (prefill rows are left out here)."""
    decode = cost.filter(pl.col("prefill") == 0)
    known = bool(decode["has_d"].sum() > 0) if decode.height else False
    fixed, token, varied = _draft_line(decode) if known else (0.0, 0.0, False)
    return StepCost(shapes(decode, "b", "n"), fixed, token, known, varied)


def _draft_line(cost: pl.DataFrame) -> tuple[float, float, bool]:
    """Weighted least squares of exposed draft ms over the drafted tokens of a step that drafted."""
    rows = shapes(cost.filter((pl.col("k") > 0) & (pl.col("has_d") > 0)), "k").filter(pl.col("steps") >= ENOUGH)
    if rows.is_empty():
        return 0.0, 0.0, False
    k, ms, w = (rows[name].to_numpy().astype(np.float64) for name in ("k", "draft_ms", "steps"))
    mean_k, mean_ms = np.average(k, weights=w), np.average(ms, weights=w)
    spread = np.average((k - mean_k) ** 2, weights=w)
    if len(k) < 2 or spread <= 0:
        return 0.0, float(mean_ms / mean_k), False
    slope = max(float(np.average((k - mean_k) * (ms - mean_ms), weights=w) / spread), 0.0)
    fixed = float(mean_ms - slope * mean_k)
    return (fixed, slope, True) if fixed >= 0 else (0.0, float(mean_ms / mean_k), True)
