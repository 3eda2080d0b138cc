"""From arrays to the tables of format 1, at a precision and a log level."""

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.simulate.engine import FLY, Outcome
from sdtrace.simulate.settings import Settings
from sdtrace.simulate.world import POINT, World, at

Numbers = npt.NDArray[np.floating[Any]]

#: Entries of a top row.
TOP = 20
_RUN = "simulated"


#: A chain, where a law knows trees.
_CONFIG = {"tree-coin": '{"eagle_topk":1}', "multi-draft": '{"num_drafts":1}'}


def rounded(values: Numbers, dtype: str) -> npt.NDArray[np.float64]:
    """Values as a log of that precision shows them, to nearest."""
    if dtype.startswith("decimals:"):
        return np.asarray(np.round(values.astype(np.float64), int(dtype.removeprefix("decimals:"))))
    if dtype == "bfloat16":
        bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
        even = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
        return ((bits + even) & np.uint32(0xFFFF0000)).view(np.float32).astype(np.float64)
    return np.asarray(values, dtype=np.dtype(dtype)).astype(np.float64)


def run_line(settings: Settings, law: str) -> dict[str, Any]:
    """The run."""
    return {
        "run_id": _RUN,
        "engine": "sdtrace simulate",
        "method": "draft_model",
        "rule": law if settings.declared else None,
        "draft_sampling": "argmax" if law in POINT else "sampled",
        "num_draft_tokens": settings.tau,
        "prob_basis": "processed",
        "prob_dtype": settings.dtype if settings.declared else None,
        "vocab_size": settings.vocab,
        "draft_vocab_size": settings.vocab,
        "rule_params": json.dumps(FLY) if law == "fly" else None,
        "config": _CONFIG.get(law),
    }


def requests(settings: Settings, law: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The requests of some steps; the token of prefill is counted in output_len and stands in no step."""
    length = pl.col("output_token_ids").list.len().sum().cast(pl.Int64) + 1
    table = frame.group_by("run_id", "request_id", maintain_order=True).agg(output_len=length)
    return table.with_columns(
        prompt_len=pl.lit(40),
        max_tokens=pl.col("output_len"),
        finish_reason=pl.lit("length"),
        temperature=pl.lit(0.0 if law == "greedy" else 1.0),
        top_p=pl.lit(1.0),
        stop_token_ids=pl.lit([settings.vocab], dtype=pl.List(pl.Int64)),
        tags=pl.when(pl.int_range(pl.len()) % 2 == 0)
        .then(pl.lit('{"task":"code"}'))
        .otherwise(pl.lit('{"task":"prose"}')),
    )


def steps(settings: Settings, law: str, world: World, outcome: Outcome) -> pl.DataFrame:
    """One row a step; lists have an entry for every verified position, or for every drafted one where none is trimmed."""
    n, k = world.x.shape
    every, n_a = np.arange(n), outcome.n_a
    output = np.concatenate((world.x, np.zeros((n, 1), np.int64)), axis=1)
    output[every, n_a] = outcome.y
    p_y = rounded(world.p[every, n_a, outcome.y], settings.dtype)
    q_y = rounded(world.q[every, np.minimum(n_a, k - 1), outcome.y], settings.dtype)
    frame = pl.DataFrame(
        {
            "run_id": pl.Series([_RUN]).new_from_index(0, n),
            "request_id": pl.Series(world.request).cast(pl.String),
            "step": world.step,
            "at": 1.8e9 + 0.03 * (world.request * 64 + world.step),
            "num_accepted": n_a,
            "verified_len": world.verified,
            "output_token_ids": lists(output),
            "draft_token_ids": lists(world.x),
            "last_target_prob": p_y,
            "last_draft_prob": q_y,
            "recovered": outcome.recovered,
            **(_top_rows(settings, law, world) if settings.logs("rows") else {}),
            **{name: lists(values) for name, values in _columns(settings, law, world).items()},
        }
    )
    sampled = law not in POINT
    return frame.with_columns(
        request_id="r" + pl.col("request_id"),
        output_token_ids=pl.col("output_token_ids").list.head(pl.col("num_accepted") + 1),
        last_kind=pl.when("recovered").then(pl.lit("recovered")).otherwise(pl.lit("bonus")),
        last_draft_prob=pl.when("recovered").then("last_draft_prob") if sampled else pl.lit(None, pl.Float64),
    ).drop("recovered")


def lists(values: npt.NDArray[np.generic]) -> pl.Series:
    """(n, k) as a list column."""
    inner = pl.Int64 if values.dtype.kind == "i" else pl.Float64
    return pl.Series(np.ascontiguousarray(values)).cast(pl.List(inner))


def _columns(settings: Settings, law: str, world: World) -> dict[str, npt.NDArray[np.generic]]:
    dtype = settings.dtype
    found: dict[str, npt.NDArray[np.generic]] = {"target_probs": rounded(at(world.p[:, :-1], world.x), dtype)}
    if law not in POINT:
        found["draft_probs"] = rounded(at(world.q, world.x), dtype)
    if law == "greedy" or settings.logs("sums"):
        best = np.sort(world.p, axis=-1)[..., -2:]
        found["target_argmax_ids"] = np.argmax(world.p, axis=-1)
        found["target_top2_gap"] = np.minimum(np.log(best[..., 1] / np.maximum(best[..., 0], 1e-30)), 50.0)
    if settings.logs("sums"):
        found["target_sq"] = rounded((world.p.astype(np.float64) ** 2).sum(axis=-1), dtype)
        found["target_entropy"] = entropy(world.p)
        if law not in POINT:
            found["overlap"] = rounded(np.minimum(world.p[:, :-1], world.q).astype(np.float64).sum(axis=-1), dtype)
            found["draft_sq"] = rounded((world.q.astype(np.float64) ** 2).sum(axis=-1), dtype)
            found["draft_entropy"] = entropy(world.q)
    if settings.logs("draws") and law not in ("match", "greedy"):
        found["uniforms"] = world.r.astype(np.float64)
    return found


def _top_rows(settings: Settings, law: str, world: World) -> dict[str, pl.Series]:
    found = {}
    for name, rows in (("target", world.p[:, :-1]), ("draft", world.q)):
        if name == "draft" and law in POINT:
            continue
        ids = np.argsort(-rows, axis=-1, kind="stable")[..., :TOP]
        best = rounded(np.take_along_axis(rows, ids, axis=-1), settings.dtype)
        found[f"{name}_top_ids"] = pl.Series(ids.tolist(), dtype=pl.List(pl.List(pl.Int64)))
        found[f"{name}_top_probs"] = pl.Series(best.tolist(), dtype=pl.List(pl.List(pl.Float64)))
    return found


def entropy(rows: Numbers) -> npt.NDArray[np.float64]:
    """Of rows over the vocabulary, in nats."""
    wide = rows.astype(np.float64)
    return np.asarray(-(wide * np.log(np.where(wide > 0, wide, 1.0))).sum(axis=-1))
