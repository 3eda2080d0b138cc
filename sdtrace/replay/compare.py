"""Recorded p against the model's: distances, decisions again, the emitted tokens under p, greedy divergences.

Nothing is held against an engine that lies inside the band: how far p moves when the same model runs the same tokens in
passes of another shape, measured before anything is compared (theory: the band for re-scored p cannot come from ulps).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.replay.bands import LEAST, Band, band_of
from sdtrace.replay.conversation import Conversation
from sdtrace.schema.arrays import Floats
from sdtrace.schema.json_values import Json
from sdtrace.schema.keys import keyed
from sdtrace.schema.sampling import ticket
from sdtrace.schema.trace import conform
from sdtrace.verify.band import Rounding
from sdtrace.verify.law import Bands
from sdtrace.verify.precision import band as precision
from sdtrace.verify.scope import REQUEST_COLUMNS, Scope, scopes

KEYS = ["run_id", "request_id", "step", "position"]
#: Share of positions outside the band, and how many of them, before anything is said against an engine.
SHARE, COUNT = 0.02, 5
_UNTESTED = np.int8(2)


def band(one: pl.DataFrame, other: pl.DataFrame) -> Band:
    """From facts of the same positions, run in passes of two shapes: four times the 99th percentile."""
    both = one.join(other, on=KEYS, suffix="_other")
    moved = np.concatenate(
        [np.abs(_log(both[name]) - _log(both[f"{name}_other"])) for name in ("log_p", "log_p_emitted")]
    )
    return band_of(moved)


def _log(column: pl.Series) -> Floats:
    """Log probabilities, floored; NaN where absent."""
    return np.asarray(np.maximum(column.cast(pl.Float64).to_numpy().astype(np.float64), math.log(LEAST)))


def recorded(conversations: Sequence[Conversation]) -> pl.DataFrame:
    """Every recorded probability of the target: KEYS, `what` (drafted or last), p, tested, path, line."""
    rows = []
    for one in conversations:
        for s, step in enumerate(one.steps):
            row = step.row
            here = {"run_id": one.key[0], "request_id": one.key[1], "step": s, "path": row["path"], "line": row["line"]}
            for j, p in enumerate((row["target_probs"] or [])[: len(step.draft)]):
                rows.append(here | {"position": j, "what": "drafted", "p": p, "tested": j <= step.n_a})
            if row["last_target_prob"] is not None and len(step.output) == step.n_a + 1:
                rows.append(here | {"position": step.n_a, "what": "last", "p": row["last_target_prob"], "tested": True})
    schema = {
        "run_id": pl.String, "request_id": pl.String, "step": pl.Int64, "position": pl.Int64, "what": pl.String,
        "p": pl.Float64, "tested": pl.Boolean, "path": pl.String, "line": pl.Int64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def distances(records: pl.DataFrame, facts: pl.DataFrame, dtype: str | None) -> pl.DataFrame:
    """`records` with `replayed` (log p of the same token) and `d` = recorded minus replayed log p.

    `d` is 0 where rounding to the recorded precision explains the difference, and null where there is nothing to compare.
    """
    joined = records.join(facts.select(*KEYS, "log_p", "log_p_emitted"), on=KEYS, how="left", maintain_order="left")
    joined = joined.with_columns(
        replayed=pl.when(pl.col("what") == "drafted").then("log_p").otherwise("log_p_emitted")
    ).drop("log_p", "log_p_emitted")
    p = joined["p"].fill_null(math.nan).to_numpy().astype(np.float64)
    rounding = precision(p[np.isfinite(p)], dtype)
    valid = np.isfinite(p) & (p >= 0) & (p <= 1.001)
    q = np.where(valid, p, 0.5)
    low, high = np.log(np.maximum(rounding.low(q), LEAST)), np.log(np.maximum(rounding.high(q), LEAST))
    model = _log(joined["replayed"])
    d = np.where(model < low, low - model, np.where(model > high, high - model, 0.0))
    d = np.where(valid & np.isfinite(model), d, np.nan)
    return joined.with_columns(d=pl.Series(d).fill_nan(None))


def outside(table: pl.DataFrame, width: float) -> bool:
    """Whether recorded p is not the model's: more than a stray position lies outside the band."""
    far = int((table["d"].abs() > width).sum())
    return far >= COUNT and far > SHARE * (table.height - table["d"].null_count())


def slope(table: pl.DataFrame) -> float | None:
    """Slope of the recorded logit of p on the replayed one: 1 when they agree, 1/T when a temperature T is missing."""
    both = table.filter(pl.col("d").is_not_null() & pl.col("p").is_between(1e-6, 1 - 1e-6))
    x = np.exp(both["replayed"].to_numpy())
    inside = (x > 1e-6) & (x < 1 - 1e-6)
    if inside.sum() < 20:
        return None
    x, y = x[inside], both["p"].to_numpy()[inside]
    x, y = np.log(x / (1 - x)), np.log(y / (1 - y))
    spread = float(np.var(x, ddof=1))
    return float(np.cov(x, y)[0, 1] / spread) if spread > 0 else None


@dataclass(frozen=True)
class Decisions:
    """Every decision again with the model's p and the recorded r."""

    agree: int
    disagree: int
    undecidable: int
    witnesses: tuple[Json, ...]


def decisions(conversations: Sequence[Conversation], facts: pl.DataFrame, width: float) -> Decisions:
    """Recompute under the law of each run, with the band as the rounding of p."""
    runs = {one.key[0]: one.run for one in conversations}
    replaced = _replaced(conversations, facts)
    requests = pl.DataFrame(
        [{k: one.request[k] for k in ("run_id", "request_id", *REQUEST_COLUMNS)} for one in conversations],
        schema_overrides={"stop_token_ids": pl.List(pl.Int64), "tags": pl.String, "finish_reason": pl.String},
        infer_schema_length=None,
    )
    requests = requests.with_columns(pl.col(n).cast(pl.Float64) for n in ("temperature", "top_p", "min_p"))
    by_run: dict[tuple[str, bool], list[tuple[int, Scope, npt.NDArray[np.int8]]]] = {}
    for scope in scopes("", keyed(replaced), keyed(requests), runs):
        bands = Bands(Rounding(min(math.expm1(width), 0.9), 0.0), scope.bands.q)
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            judged = scope.law.judge(scope.pos, scope.params, bands)
        decision = np.where(judged.tested, judged.decision, _UNTESTED)
        key = scope.steps["run_id"][0], scope.law.greedy and scope.source == "declared"
        by_run.setdefault(key, []).append((int((decision == -1).sum()), scope, decision))
    agree = disagree = undecidable = 0
    witnesses: list[Json] = []
    for several in by_run.values():  # a run without a rule is held to the law that fits it best
        _, scope, decision = min(several, key=lambda entry: entry[0])
        agree += int((decision == 1).sum())
        disagree += int((decision == -1).sum())
        undecidable += int((decision == 0).sum())
        for m in np.flatnonzero(decision == -1)[: 8 - len(witnesses)]:
            row = scope.steps.row(int(scope.pos.row[m]), named=True)
            witnesses.append({
                "path": row["path"], "line": row["line"], "run_id": row["run_id"], "request_id": row["request_id"],
                "step": row["step"], "position": int(scope.pos.position[m]),
                "decision": "accepted" if scope.pos.accepted[m] else "rejected",
                "replayed": float(scope.pos.p[m]), "draft": _plain(scope.pos.q[m]), "r": _plain(scope.pos.r[m]),
            })  # fmt: skip
    return Decisions(agree, disagree, undecidable, tuple(witnesses))


def _plain(value: Any) -> float | None:
    return None if not np.isfinite(value) else float(value)


def _replaced(conversations: Sequence[Conversation], facts: pl.DataFrame) -> pl.DataFrame:
    """The steps with the model's p, argmax and gap in place of the recorded ones, at the drafted positions."""
    lists = (
        facts.filter(pl.col("drafted").is_not_null())
        .sort(KEYS)
        .group_by("run_id", "request_id", "step", maintain_order=True)
        .agg(target_probs=pl.col("log_p").exp(), target_argmax_ids=pl.col("best"), target_top2_gap=pl.col("gap"))
    )
    rows = [step.row for one in conversations for step in one.steps]
    columns = pl.DataFrame(rows, infer_schema_length=None)
    steps = conform(columns, "step", extra=("path", "line"))
    order = ["run_id", "request_id", "step"]
    return steps.drop("target_probs", "target_argmax_ids", "target_top2_gap").join(
        lists, on=order, how="left", maintain_order="left"
    )


@dataclass(frozen=True)
class Uniformity:
    """Kolmogorov's test of the emitted tokens' place in the model's cumulative distribution."""

    n: int
    statistic: float
    p_value: float


def emitted_under_p(facts: pl.DataFrame, greedy: set[tuple[str, str]]) -> Uniformity | None:
    """The randomised probability integral transform below + V p(y) is uniform where y ~ p, whatever the drafter did.

    V is drawn by hash of the place, so that the figure is the same in every run. None under 100 tokens.
    """
    rows = facts.filter(pl.col("emitted").is_not_null() & pl.col("below").is_not_null())
    points = [
        below + ticket(f"{request}/{step}/{position}") * math.exp(log_p)
        for run, request, step, position, below, log_p in rows.select(*KEYS, "below", "log_p_emitted").iter_rows()
        if (run, request) not in greedy
    ]
    return uniformity(points, 100)


def uniformity(points: Sequence[float], least: int) -> Uniformity | None:
    """Kolmogorov's test that the points are uniform on [0, 1]; None for fewer than `least`."""
    if len(points) < least:
        return None
    u, n = np.sort(np.array(points)), len(points)
    steps = np.arange(1, n + 1) / n
    statistic = float(max((steps - u).max(), (u - steps + 1 / n).max()))
    return Uniformity(n, statistic, kolmogorov(statistic * (math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n))))


def kolmogorov(t: float) -> float:
    """P(K > t) of Kolmogorov's distribution (Marsaglia, Tsang & Wang 2003 give the series)."""
    if t < 0.2:
        return 1.0
    total = sum((1.0 if k % 2 else -1.0) * math.exp(-2.0 * k * k * t * t) for k in range(1, 101))
    return min(max(2.0 * total, 0.0), 1.0)


@dataclass(frozen=True)
class Greedy:
    """Tokens kept at temperature 0 that are not the model's argmax: within the tie, and beyond it."""

    tokens: int
    near_ties: int
    wrong: int
    tie: float
    witnesses: tuple[Json, ...]


def greedy_divergences(
    facts: pl.DataFrame, conversations: Sequence[Conversation], greedy: set[tuple[str, str]], tie: float
) -> Greedy | None:
    """A divergence is a bug only where the logit of the best token is more than `tie` above the kept one's."""
    place = {(*one.key, s): step.row for one in conversations if one.key in greedy for s, step in enumerate(one.steps)}
    rows = facts.filter(pl.col("emitted").is_not_null())
    tokens = ties = 0
    wrong: list[Json] = []
    for run, request, step, position, token, best, margin in rows.select(
        *KEYS, "emitted", "best", "margin"
    ).iter_rows():
        if (run, request) not in greedy:
            continue
        tokens += 1
        if token == best:
            continue
        if margin <= tie:
            ties += 1
            continue
        row = place[run, request, step]
        wrong.append({
            "path": row["path"], "line": row["line"], "run_id": run, "request_id": request, "step": step,
            "position": position, "token": token, "best": best, "margin": margin,
        })  # fmt: skip
    return Greedy(tokens, ties, len(wrong), tie, tuple(wrong[:8])) if tokens else None
