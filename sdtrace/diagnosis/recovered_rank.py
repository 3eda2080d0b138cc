"""Where in its residual a recovered token stands, in the order of ids: for steps whose top rows were logged.

Given that y is one of the tokens S that stand in both top rows, it follows (p - q)+ on S, normalised. The share of that
weight below y, counting half of its own, has mean 1/2 whatever the rows are; a uniform of the acceptance test that is
used again to pick y (vllm-ascend#16920) is known to be large, and pushes it up. In the order of q / p instead of ids it sees
the noise of the draft used again (vllm#47386): tokens that the draft likes have lost with it already.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

#: Columns that are needed, entry by entry at the first rejection.
ROWS = ("target_top_ids", "target_top_probs", "draft_top_ids", "draft_top_probs")


def order(sample: pl.DataFrame | None, used: pl.Expr) -> list[dict[str, Any]]:
    """One row of evidence a run and law (`code` SD205 by id, SD205:ratio by q / p): n, d = sum of 2 U - 1, v = sum of its squares."""
    if sample is None or sample.is_empty():
        return []
    known = pl.all_horizontal(pl.col(name).is_not_null() for name in (*ROWS, "y"))
    inside = (pl.col("n_a") >= 0) & (pl.col("n_a") < pl.col("verified")) & (pl.col("last_kind") == "recovered")
    steps = sample.filter(used & known & inside & (pl.col("law") == "ratio"))
    steps = steps.select("run_id", "law", "y", *(pl.col(n).list.get(pl.col("n_a"), null_on_oob=True) for n in ROWS))
    found: dict[tuple[str, str, str], list[float]] = {}
    for row in steps.drop_nulls().iter_rows(named=True):
        for code, place in _places(row).items():
            found.setdefault((row["run_id"], row["law"], code), []).append(2 * place - 1)
    return [_sums(run, law, code, np.array(values)) for (run, law, code), values in found.items()]


def _places(row: Mapping[str, Any]) -> dict[str, float]:
    """The place of y by id (SD205) and by q / p (SD205:ratio); {} where the rows do not tell."""
    q = dict(zip(row["draft_top_ids"], row["draft_top_probs"], strict=False))
    both = {
        int(token): (max(p - q[token], 0.0), q[token] / p)
        for token, p in zip(row["target_top_ids"], row["target_top_probs"], strict=False)
        if p and q.get(token) is not None
    }
    y, total = int(row["y"]), sum(weight for weight, _ in both.values())
    if y not in both or both[y][0] <= 0.0 or sum(weight > 0 for weight, _ in both.values()) < 2:
        return {}
    by_id = sum(weight for token, (weight, _) in both.items() if token < y)
    by_ratio = sum(weight for weight, ratio in both.values() if ratio < both[y][1])
    return {"SD205": (by_id + both[y][0] / 2) / total, "SD205:ratio": (by_ratio + both[y][0] / 2) / total}


def _sums(run: str, law: str, code: str, value: np.ndarray[tuple[int], np.dtype[np.float64]]) -> dict[str, Any]:
    head = {"n": float(len(value)), "d": float(value.sum()), "v": float((value**2).sum()), "k": float((value**3).sum())}
    return {"run_id": run, "law": law, "code": code, "exact": False, "s": 0.0, "inflation": 1.0} | head
