"""One scope of one batch, added up: everything that checks and reports need, as sums."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.results.check import Check
from sdtrace.schema.arrays import Floats
from sdtrace.tally.affected import affected
from sdtrace.tally.digits import digits
from sdtrace.tally.evidence import evidence
from sdtrace.tally.group_sums import group_sums
from sdtrace.tally.margins import margins
from sdtrace.tally.repetition import degenerate, loops
from sdtrace.tally.step_columns import enriched
from sdtrace.tally.tally import STEPS, WITNESSES, Tally
from sdtrace.tally.uniforms import uniforms
from sdtrace.verify.scope import Scope

#: Log-likelihood of a decision that a law forbids: a slip of the record, not an impossibility.
_FORBIDDEN = float(np.log(1e-4))


def measure(scope: Scope, checks: Sequence[Check]) -> Tally:
    """The tally of one scope."""
    rows = enriched(scope)
    per_step = _per_step(scope, rows)
    tally = Tally()
    requests = _requests(scope, per_step)
    tally.sums["laws"] = _laws(scope, requests)
    tally.sums["positions"] = _positions(scope)
    tally.sums["requests"] = requests
    tally.sums["timeline"], tally.width = _timeline(scope, per_step)
    tally.sums["checks"] = _checks(scope, rows, checks, tally)
    tally.sums |= evidence(scope)
    fired = set(tally.sums["checks"].filter(pl.col("faults") > 0)["code"])
    if (far := margins(scope, rows, [check for check in checks if check.code in fired])) is not None:
        tally.sums["margins"] = far
        tally.sums["digits"] = digits(scope, rows, checks)
    tally.steps = _sample(scope, per_step["hash"])
    uniforms(scope, per_step["hash"], tally)
    return tally


def _sample(scope: Scope, hashes: pl.Series) -> pl.DataFrame:
    """Whole requests of lowest hash, as many as the tally keeps; the first one is cut rather than dropped."""
    steps = scope.steps
    if steps.height > STEPS:
        limit = hashes.bottom_k(STEPS + 1).max()
        kept = hashes < limit
        rows = kept.arg_true() if kept.any() else (hashes == limit).arg_true().head(STEPS)
        steps = steps[rows]
    return steps.with_columns(law=pl.lit(scope.law.name), path=pl.lit(scope.path))


def _per_step(scope: Scope, rows: pl.DataFrame) -> pl.DataFrame:
    """One row a step: what requests, laws and the timeline add up."""
    pos, judged = scope.pos, scope.judged
    n_a = scope.steps["n_a"].to_numpy()
    expected = pos.sums(scope.expected)
    accepted = np.maximum(n_a, 0).astype(np.float64)
    tested = _tested(scope)
    flagged = not scope.absent("accepted")
    counts = pl.col("n_a") >= 0  # the record tells how many tokens were accepted
    counted = {
        "tested": tested,
        # block verification decides about positions behind the kept prefix, and not about those inside it
        "judged": pos.counts(judged.tested) if scope.law.decides == "block" else tested,
        "accepted": accepted,
        "disagree": pos.counts(judged.decision == -1),
        "undecidable": pos.counts(judged.tested & (judged.decision == 0)),
        "expected": expected,
        "expected_n": tested if scope.whole else pos.counts(scope.known),
        "observed": accepted if scope.whole and not flagged else pos.counts(scope.known & pos.accepted),
        "variance": expected - pos.squares(scope.expected),  # sum of e (1 - e)
    }
    table = rows.select(
        "run_id",
        "request_id",
        "step",
        "line",
        "at",
        stop_step=pl.when(pl.col("stop_at").is_not_null()).then("step"),
        hash="hash",
        drafted="tau",
        verified="verified",
        drafting=(pl.col("tau") > 0).cast(pl.Int64),
        plain=(pl.col("tau") == 0).cast(pl.Int64),
        prefill=((pl.col("tau") == 0) & (pl.col("step") == 0)).cast(pl.Int64),
        appended=pl.col("appended").fill_null(0),
        known_appended=pl.col("appended").is_not_null().cast(pl.Int64) - pl.col("idle"),
        idle="idle",
        counted=counts.cast(pl.Int64),
        drafted_counted=counts * pl.col("tau"),
        drafting_counted=(counts & (pl.col("tau") > 0)).cast(pl.Int64),
    )
    return table.with_columns(**{name: pl.Series(values) for name, values in (counted | degenerate(scope)).items()})


def _tested(scope: Scope) -> Floats:
    counts: Floats = np.minimum(scope.steps["last_tested"].to_numpy() + 1, scope.pos.count).astype(np.float64)
    return counts


_SUMMED = (
    "drafted",
    "verified",
    "drafting",
    "plain",
    "prefill",
    "appended",
    "known_appended",
    "idle",
    "counted",
    "drafted_counted",
    "drafting_counted",
    "tested",
    "judged",
    "accepted",
    "disagree",
    "undecidable",
    "expected",
    "expected_n",
    "observed",
    "variance",
)


def _laws(scope: Scope, requests: pl.DataFrame) -> pl.DataFrame:
    return requests.select(
        run_id=pl.lit(str(scope.run.run_id or requests["run_id"][0] or "")),
        law=pl.lit(scope.law.name),
        source=pl.lit(scope.source),
        steps=pl.col("steps").sum(),
        loglik=pl.lit(_loglik(scope)),
        with_uniform=pl.lit(_recorded(scope.pos.r, scope.judged.tested)),
        with_target=pl.lit(_recorded(scope.pos.p, scope.judged.tested)),
        first_at=pl.col("first_at").min(),
        last_at=pl.col("last_at").max(),
        **{name: pl.col(name).sum() for name in _SUMMED},
    ).head(1)


def _recorded(values: Floats, tested: npt.NDArray[np.bool_]) -> int:
    """Tested positions that have a value."""
    if len(values) and not np.isnan(values.min()):
        return int(np.count_nonzero(tested))
    return int(np.count_nonzero(~np.isnan(values) & tested))


def _loglik(scope: Scope) -> float:
    """Log-likelihood of the recorded decisions under the law: exact where r decides, Bernoulli where it is absent.

    Only runs without a declared rule need it, so nobody else pays for it.
    """
    if scope.source != "candidate":
        return 0.0
    judged, pos = scope.judged, scope.pos
    drawn = ~np.isnan(pos.r) if scope.law.draws else np.zeros(len(pos.r), dtype=bool)
    settled = drawn | (scope.law.residual == "argmax")
    beta = np.clip(judged.expected, 1e-4, 1 - 1e-4)
    chance = np.where(pos.accepted, np.log(beta), np.log1p(-beta))
    exact = np.where(judged.decision == -1, _FORBIDDEN, 0.0)
    soft = np.where(np.isnan(chance), exact, chance + exact)
    return float(np.where(settled, exact, soft)[judged.tested].sum())


def _positions(scope: Scope) -> pl.DataFrame:
    pos, judged = scope.pos, scope.judged
    size = int(pos.count.max(initial=0))
    n_a = scope.steps["n_a"].to_numpy()

    def by_position(values: npt.NDArray[Any]) -> Floats:
        if values.dtype != np.float64 and not values.any():
            return np.zeros(size)
        if isinstance(pos.each, int):
            table = values.reshape(len(pos.count), size)
            return np.array([table[:, j].sum(dtype=np.float64) for j in range(size)])
        sums = np.bincount(pos.position, weights=values.astype(np.float64, copy=False), minlength=size)
        return sums.astype(np.float64, copy=False)

    def reached(counts: npt.NDArray[np.generic]) -> Floats:
        """How many steps count more than j, for j = 0 .. size - 1."""
        ends = np.bincount(counts.astype(np.int64), minlength=size + 1)[: size + 1]
        return (len(counts) - np.cumsum(ends))[:size].astype(np.float64)

    tested = reached(_tested(scope))
    return pl.DataFrame(
        {
            "run_id": pl.Series([str(scope.steps["run_id"][0])] * size, dtype=pl.String),
            "law": pl.Series([scope.law.name] * size, dtype=pl.String),
            "position": np.arange(size, dtype=np.int64),
            "verified": reached(pos.count),
            "tested": tested,
            "accepted": reached(np.maximum(n_a, 0)),
            "expected": by_position(scope.expected),
            "expected_n": tested if scope.whole else by_position(scope.known),
            "disagree": by_position(judged.decision == -1),
        }
    )


def _requests(scope: Scope, per_step: pl.DataFrame) -> pl.DataFrame:
    names = ("run_id", "request_id")
    table = group_sums(
        per_step,
        ["hash"],
        (*_SUMMED, "one_hot", "flat", "entropies", "uniform_p"),
        first=dict(zip(names, names, strict=True)) | {"first_line": "line"},
        least={"min_step": "step", "stop_step": "stop_step", "first_at": "at"},
        greatest={"max_step": "step", "last_at": "at", "most": "appended"},
    ).rename({"rows": "steps"})
    table = table.with_columns(law=pl.lit(scope.law.name), first_path=pl.lit(scope.path))
    return table.join(loops(scope), on="hash", how="left", maintain_order="left")


def _timeline(scope: Scope, per_step: pl.DataFrame) -> tuple[pl.DataFrame, float]:
    timed = per_step["at"].null_count() < per_step.height
    width = 1.0 if timed else 1024.0
    place = pl.col("at") if timed else pl.col("line").cast(pl.Float64)
    bucket = (place / width).floor().cast(pl.Int64, strict=False)
    sums = ("drafted", "drafting", "tested", "accepted", "appended", "expected", "disagree")
    table = group_sums(per_step.select(bucket.alias("bucket"), *sums), ["bucket"], sums).rename({"rows": "steps"})
    return table.drop_nulls("bucket").select(pl.lit(scope.law.name).alias("law"), pl.all()), width


def _checks(scope: Scope, rows: pl.DataFrame, checks: Sequence[Check], tally: Tally) -> pl.DataFrame:
    """Evaluate every step and position check that is valid for this law; keep a few witnesses of each that fires."""
    valid = [c for c in checks if c.table in ("steps", "positions") and (c.laws is None or scope.law.name in c.laws)]
    found: list[dict[str, Any]] = []
    hit: list[pl.DataFrame] = []
    for table in ("steps", "positions"):
        mine = [c for c in valid if c.table == table]
        missing = {c.code: [n for n in c.needs if scope.absent(n)] for c in mine}
        ready = [c for c in mine if not missing[c.code]]
        frame = rows if table == "steps" else scope.flat if ready else pl.DataFrame()
        total = rows.height if table == "steps" else int(scope.judged.tested.sum())
        sums = _count(frame, ready)
        for check in mine:
            judged, faults = sums.get(check.code, (0, 0))
            found.append(_row(scope, check, total, judged, faults, missing[check.code]))
            if faults:
                hit.append(affected(rows, frame, check, scope.law.name))
                tally.witnesses[(_run(scope), scope.law.name, check.code)] = _witnesses(scope, frame, rows, check)
    if hit:
        tally.sums["affected"] = pl.concat(hit)
    return pl.DataFrame(found, schema=_CHECK_ROW)


_CHECK_ROW = {
    "run_id": pl.String(),
    "law": pl.String(),
    "code": pl.String(),
    "total": pl.Int64(),
    "examined": pl.Int64(),
    "faults": pl.Int64(),
    "missing": pl.String(),
}


def _run(scope: Scope) -> str:
    return str(scope.steps["run_id"][0])


def _row(scope: Scope, check: Check, total: int, judged: int, faults: int, missing: list[str]) -> dict[str, Any]:
    values = (_run(scope), scope.law.name, check.code, total, judged, faults, ",".join(missing))
    return dict(zip(_CHECK_ROW, values, strict=True))


def _count(frame: pl.DataFrame, checks: Sequence[Check]) -> dict[str, tuple[int, int]]:
    if not checks or frame.is_empty():
        return {}
    judged = frame.select(c.judged.alias(f"j{c.code}") for c in checks)  # each is asked for twice
    sums = [pl.col(name).sum() for name in judged.columns]
    sums += [(pl.col(f"j{c.code}") & c.fault).sum().alias(f"f{c.code}") for c in checks]
    row = frame.hstack(judged).select(sums).row(0, named=True)
    return {c.code: (row[f"j{c.code}"], row[f"f{c.code}"]) for c in checks}


def _witnesses(scope: Scope, frame: pl.DataFrame, rows: pl.DataFrame, check: Check) -> list[dict[str, Any]]:
    faulty = frame.filter((check.judged & check.fault).fill_null(value=False)).head(WITNESSES)
    where = rows.select("run_id", "request_id", "step", "line")
    found = []
    for row in faulty.iter_rows(named=True):
        place = where.row(row["row"], named=True) if check.table == "positions" else row
        seen = {"path": scope.path, **{name: place[name] for name in ("line", "run_id", "request_id", "step")}}
        if check.table == "positions":
            seen |= {name: _plain(row[name]) for name in ("position", "token", "accepted", "p", "q", "r")}
        found.append(seen | {name: _plain(row.get(name)) for name in check.shows})
    return found


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value
