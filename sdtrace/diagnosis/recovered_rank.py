"""Where in its residual a recovered token stands, in the order of ids: for steps whose top rows or uniforms were logged.

Given that y is one of the tokens S that stand in both top rows, it follows (p - q)+ on S, normalised. The share of that
weight below y, counting half of its own, has mean 1/2 whatever the rows are; a uniform of the acceptance test that is
used again to pick y (vllm-ascend#16920) is known to be large, and pushes it up. In the order of q / p instead of ids it sees
the noise of the draft used again (vllm#47386): tokens that the draft likes have lost with it already.

Where the uniform is logged no rows are needed: given the rejection it is uniform above p / q, whatever was recovered then, so that
its place there does not go with the place of y among the ids that were recovered.
"""

from collections.abc import Mapping, Set
from typing import Any

import numpy as np
import polars as pl

#: Columns that are needed, entry by entry at the first rejection.
ROWS = ("target_top_ids", "target_top_probs", "draft_top_ids", "draft_top_probs")


def order(sample: pl.DataFrame | None, used: pl.Expr) -> list[dict[str, Any]]:
    """One row of evidence a run and law (`code` SD205 by id, SD205:ratio by q / p, SD205:draw by id against the uniform): n, d = sum of
    2 U - 1 (of its product with the uniform's), v = sum of its squares. Without top rows SD205 is what SD205:draw is."""
    if sample is None or sample.is_empty():
        return []
    there = {name for name in (*ROWS, "uniforms") if sample[name].null_count() < sample.height}
    if not there:
        return []
    inside = (pl.col("n_a") >= 0) & (pl.col("n_a") < pl.col("verified")) & (pl.col("last_kind") == "recovered")
    steps = sample.filter(used & inside & pl.col("y").is_not_null() & (pl.col("law") == "ratio"))
    found: dict[tuple[str, str, str], list[float]] = {}
    if there.issuperset(ROWS):
        rows = steps.select("run_id", "law", "y", *(_at_rejection(name) for name in ROWS))
        for row in rows.drop_nulls().iter_rows(named=True):
            for code, place in _places(row).items():
                found.setdefault((row["run_id"], row["law"], code), []).append(2 * place - 1)
    sums = [_sums(run, law, code, np.array(values)) for (run, law, code), values in found.items()]
    return sums + (_drawn(steps, {s["run_id"] for s in sums}) if "uniforms" in there else [])


def _at_rejection(name: str) -> pl.Expr:
    return pl.col(name).list.get(pl.col("n_a"), null_on_oob=True)


def _drawn(steps: pl.DataFrame, beside: Set[str]) -> list[dict[str, Any]]:
    """The place of r above p / q times the place of y among the recovered ids, both from -1 to 1, around their means. `beside`: runs
    that have rows of SD205 already."""
    lists = {"r": "uniforms", "p": "target_probs", "q": "draft_probs"}
    rows = steps.select(
        "run_id", "y", *(_at_rejection(name).alias(short) for short, name in lists.items())
    ).drop_nulls()
    least = pl.col("p") / pl.col("q")
    rows = rows.with_columns(s=(pl.col("r") - least) / (1.0 - least)).filter(pl.col("s").is_between(0.0, 1.0))
    made = []
    for (run,), part in rows.group_by("run_id", maintain_order=True):
        place, s = part["y"].rank().to_numpy(), part["s"].to_numpy()
        product = 4.0 * (place - place.mean()) / len(place) * (s - s.mean())
        made.append(_sums(str(run), "ratio", "SD205:draw" if run in beside else "SD205", product))
    return made


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
