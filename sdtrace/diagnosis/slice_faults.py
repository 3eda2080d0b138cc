"""The part of the traffic that steps with a proved fault are confined to: bonus tokens, greedy choices; from the sample of steps."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.checks.sd206_acceptance_by_slice import words
from sdtrace.diagnosis.slice_rules import places, smallest
from sdtrace.results.cause import Cause
from sdtrace.results.check import Check
from sdtrace.schema.run import Run
from sdtrace.tally.step_columns import enriched
from sdtrace.verify.positions import positions
from sdtrace.verify.scope import of_sample

#: Causes whose first check looks at steps or positions, and whose rule has no parameter to fit.
_PLACED = ("bonus-missing", "bonus-duplicated", "greedy-mismatch")


def placed(row: Cause, audit: Audit, steps: pl.DataFrame | None, checks: Sequence[Check]) -> Cause:
    """The cause with the smallest part of the traffic that holds its faulty ones among the sampled `steps`; as it is where they stand
    everywhere."""
    check = next((c for c in checks if c.code == row.checks[0]), None) if row.checks else None
    if row.cause not in _PLACED or row.certainty != "proved" or steps is None or check is None:
        return row
    looked = [_looked(audit, part, check) for _, part in steps.group_by("run_id", "law", maintain_order=True)]
    rows = [one for one in looked if one is not None]
    if not rows:
        return row
    table = pl.concat(rows, how="diagonal_relaxed")
    if (best := smallest(table.drop("faulty"), table["faulty"].to_numpy())) is None:
        return row
    share, by, value, _ = best
    where = {by: value}
    says = f"{row.label}, only where {words(where)} ({share:.0%} of those that were sampled): {row.found}"
    return replace(row, says=says, evidence=(*row.evidence, {"where": where, "share": share}))


def _looked(audit: Audit, part: pl.DataFrame, check: Check) -> pl.DataFrame | None:
    """What the check can judge of some steps of one run and law: what is known of it before the draw, and whether it is `faulty`."""
    run_id, law = part["run_id"][0], part["law"][0]
    if check.laws is not None and law not in check.laws:
        return None
    scope = of_sample(positions(part), audit.runs.get(run_id, Run()), law)
    known = places(audit, part)
    if check.table == "positions":
        frame = scope.flat
        known = known[frame["row"]].with_columns(position=frame["position"])
    else:
        frame = enriched(scope)
    told = frame.select(judged=check.judged.fill_null(value=False), faulty=check.fault.fill_null(value=False))
    return known.hstack(told).filter("judged").drop("judged")
