"""Steps and probabilities that the record lacks, and whether that goes with what was decided there.

A statistic over many tokens is that of all tokens only if what is missing was like the rest. Four kinds of evidence: p and q
that are missing where tokens were rejected (or accepted); numbers of steps with gaps; tokens that stand in no step
(context_len, output_len); and an outcome that never occurs although the law makes it common.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from sdtrace.diagnosis.trial.draws import dependent
from sdtrace.results.numbers import per_step
from sdtrace.schema.arrays import Flags, Floats
from sdtrace.verify.laws.block import prefixes
from sdtrace.verify.positions import Positions
from sdtrace.verify.scope import Scope

#: Standard errors from which presence is taken to go with the decision; steps that must show either.
SURE, ENOUGH = 6.0, 20
#: Share of the steps that may be missing: whatever they held moves no statistic by what it calls an effect.
FEW = 0.001
#: Of the span of a trace, the last part: requests that go on there were cut by its end.
TAIL = 0.02
#: Standard errors that missing steps may differ from recorded ones; log of the chance under which an outcome is missed.
ALIKE, NEVER = 3.0, -20.0
_SUMS = ("target_sq", "target_entropy", "overlap", "draft_sq", "draft_entropy")


@dataclass(frozen=True)
class Losses:
    """What is missing. `depends`: it is shown to depend on the outcome; otherwise nothing shows that it does not."""

    depends: bool
    says: str


def losses(scope: Scope | None, steps: pl.DataFrame, requests: pl.DataFrame) -> Losses | None:
    """What a run's record lacks; None where it lacks nothing that matters.

    `steps`: the sample of derived steps, whole requests of them, of which `scope` are those under the law; `requests`: rows
    of the tally joined with their lines, one a request.
    """
    if scope is not None and (name := by_outcome(scope.pos)) is not None:
        return Losses(True, f"whether {name} is recorded depends on the decision")
    if scope is not None and (told := never(scope)) is not None:
        return Losses(True, told)
    missing, total = gaps(requests)
    if missing <= FEW * total:
        return hidden(requests)
    between = chained(steps)
    few = f"{missing:,} of {missing + total:,} steps are missing from the record"
    if between is None:
        return Losses(False, f"{few}, and nothing shows that they were like the others (context_len would)")
    alike, said = between
    return None if alike else Losses(True, f"{few}: {said}")


def of_requests(sums: pl.DataFrame, lines: pl.DataFrame, run: str) -> pl.DataFrame:
    """One row a request of a run, from its sums of the tally, with what its line says of its output."""
    names = ("steps", "appended", "known_appended", "idle")
    by = (
        sums.filter(pl.col("run_id") == run)
        .group_by("run_id", "request_id", maintain_order=True)
        .agg(pl.col(names).sum(), pl.col("min_step").min(), pl.col("max_step", "last_at").max())
    )
    asked = lines.select("run_id", "request_id", "output_len", "finish_reason")
    return by.join(asked, on=["run_id", "request_id"], how="left", maintain_order="left")


def by_outcome(pos: Positions) -> str | None:
    """The first column whose presence at tested positions goes with the decision; None where none does.

    Presence is taken from the mean of its request and acceptance from the mean of its position, so that what a recorder
    keeps of some requests or of first positions tells nothing; steps are the units.
    """
    if not len(pos.row):
        return None
    tested, accepted = pos.tested, pos.accepted.astype(np.float64)
    columns: dict[str, Floats] = {"p": pos.p, "q": pos.q}
    columns |= {
        name: pos.column(name).astype(np.float64) for name in _SUMS if pos.steps[name].null_count() < pos.steps.height
    }
    rows: pl.DataFrame | None = None
    for name, values in columns.items():
        there = np.isfinite(values[tested])
        if there.all() or not there.any():
            continue
        if rows is None:
            rows = pl.DataFrame(
                {"row": pos.row[tested], "position": pos.position[tested], "accepted": accepted[tested]}
            ).with_columns(request=pos.steps["hash"][pos.row[tested]])
        if _together(rows, there):
            return name
    return None


def _together(rows: pl.DataFrame, there: Flags) -> bool:
    product = (pl.col("there") - pl.col("there").mean().over("request")) * (
        pl.col("accepted") - pl.col("accepted").mean().over("position")
    )
    by = rows.with_columns(there=pl.Series(there.astype(np.float64))).with_columns(u=product)
    sums = by.group_by("row").agg(pl.col("u").sum())["u"].to_numpy()
    error = float(np.sqrt((sums**2).sum()))
    return error > 0 and abs(float(sums.sum())) > SURE * error


def never(scope: Scope) -> str | None:
    """An outcome of steps that no step has although the law makes it common: such steps are not written."""
    pos, expected, whole = scope.pos, scope.judged.expected, scope.law.decides == "block"
    n_a, count = pos.steps["n_a"].to_numpy(), pos.count
    known = (n_a >= 0) & (count > 0)
    if np.count_nonzero(known) < ENOUGH or not scope.law.lossless or scope.law.greedy or scope.raw:
        return None
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        chance = prefixes(pos) if whole else expected
    first = np.minimum(np.cumsum(count) - count, max(len(chance) - 1, 0))
    last = np.maximum(first + count - 1, 0)
    if not (known & (n_a == count)).any():
        reached = known if whole else known & (n_a == count - 1)
        if _unlikely(chance[last[reached]]):
            return "no step accepts its whole draft, which many should"
    if not whole and not (known & (n_a == 0)).any() and _unlikely(1.0 - chance[first[known]]):
        later = pos.tested & (pos.position > 0) & np.isfinite(expected)
        d, e = pos.accepted[later] - expected[later], expected[later]
        variance = float((e * (1 - e)).sum())
        if variance > 0 and abs(float(d.sum())) < 4 * np.sqrt(variance):
            return "no step rejects its first drafted token, which many should"
    return None


def _unlikely(chance: Floats) -> bool:
    """Whether none of events with these chances is next to impossible; chances of 1 are left to the proofs."""
    inside = chance[np.isfinite(chance) & (chance < 1.0 - 1e-6)]
    return len(inside) >= ENOUGH and float(np.log1p(-inside).sum()) < NEVER


def gaps(requests: pl.DataFrame) -> tuple[int, int]:
    """Steps that are missing between the first and the last one of each request, and steps that are there.

    Numbers may have gaps where nothing is missing: a request whose tokens add up to its output lacks no step.
    """
    whole = (pl.col("output_len") - pl.col("appended")).is_between(0, 1).fill_null(value=False)
    between = (pl.col("max_step") - pl.col("min_step") + 1 - pl.col("steps")).clip(0)
    row = requests.select(pl.when(~whole).then(between).otherwise(0).sum(), pl.col("steps").sum()).row(0)
    return int(row[0] or 0), int(row[1] or 0)


def chained(steps: pl.DataFrame) -> tuple[bool, str] | None:
    """Whether missing steps appended as recorded ones did, by context_len on both sides of them, and what tells otherwise.

    None where too few missing steps have a context on both sides.
    """
    if steps["context_len"].null_count() == steps.height:
        return None
    table = steps.select("hash", "step", "context_len", "appended", "tau")
    table = table.unique(["hash", "step"], keep="first").sort("hash", "step")
    after = table.select(pl.all().shift(-1).name.suffix("_n"))
    table = table.hstack(after).filter(
        (pl.col("hash") == pl.col("hash_n"))
        & (pl.col("tau") > 0)
        & (pl.col("tau_n") > 0)
        & (pl.col("context_len_n") >= pl.col("context_len"))  # smaller: preempted
    )
    rows = table.select(
        "appended",
        n=pl.col("step_n") - pl.col("step") - 1,
        tokens=pl.col("context_len_n") - pl.col("context_len") - pl.col("appended"),
    ).drop_nulls()
    lost, kept = rows.filter(pl.col("n") > 0), rows["appended"].to_numpy().astype(np.float64)
    n, tokens = (lost[name].to_numpy().astype(np.float64) for name in ("n", "tokens"))
    if n.sum() < ENOUGH:
        return None
    if not tokens.any():
        return True, "the numbers of steps have gaps and the contexts none"
    mean, spread = float(kept.mean()), float(kept.var())
    off = float((tokens - n * mean).sum()) / max(np.sqrt(spread * n.sum() * (1 + n.sum() / len(kept))), 1e-9)
    told = f"they appended {per_step(tokens.sum() / n.sum())} tokens a step, the recorded ones {per_step(mean)}"
    single = tokens[n == 1].astype(np.int64)
    table2 = np.stack([np.bincount(np.clip(x, 0, 63), minlength=64) for x in (single, kept.astype(np.int64))])
    alike = abs(off) < ALIKE and not (len(single) >= ENOUGH and dependent(table2.astype(np.float64)))
    return alike, told


def hidden(requests: pl.DataFrame) -> Losses | None:
    """Tokens that stand in no step, under numbers without gaps: steps are missing, and the others were numbered anew."""
    known = requests.filter(
        pl.col("output_len").is_not_null()
        & (pl.col("known_appended") + pl.col("idle") == pl.col("steps"))
        & (pl.col("min_step") == 0)
        & ~pl.col("finish_reason").is_in(["abort", "error"]).fill_null(value=False)
    )
    begin, end = (known["last_at"].min(), known["last_at"].max()) if known.height else (None, None)
    if isinstance(begin, float) and isinstance(end, float):
        known = known.filter(pl.col("last_at").is_null() | (pl.col("last_at") < end - TAIL * (end - begin)))
    fewer = known.filter(pl.col("output_len") > pl.col("appended") + 1)
    if fewer.height >= max(min(5, 0.5 * known.height), 0.05 * known.height, 1):
        total = int(fewer["output_len"].sum())
        lost = total - int(fewer["appended"].sum())
        told = f"{lost:,} of {total:,} tokens of {fewer.height:,} requests stand in no step"
        return Losses(False, f"{told}, and nothing shows that the missing steps were like the others")
    return None
