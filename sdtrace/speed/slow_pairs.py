"""A run with drafts that is slower than the plain run beside it: benchmarks that people paste as a pair."""

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.counters.speed import Speed, speeds
from sdtrace.results.numbers import per_step, times
from sdtrace.schema.counters import PLAIN
from sdtrace.speed.finding import Finding

#: Speed of the drafting run over the plain one's below which it is told; how far apart their loads may be.
SLOWER, LOADS = 0.95, 0.2


def paired_runs(audit: Audit) -> list[Finding]:
    """One finding for every pair whose drafting run is slower. Two runs can differ in more than that, so it is a suspicion."""
    runs = {(s.engine, s.surface): s for s in speeds(audit.windows.filter(pl.col("basis") == "run")) if s.kind == "run"}
    pairs = [(s, runs.get((engine, f"{surface}{PLAIN}"))) for (engine, surface), s in runs.items() if s.drafting]
    made = (_slower(drafting, plain) for drafting, plain in pairs if plain is not None)
    return [one for one in made if one is not None]


def _slower(drafting: Speed, plain: Speed) -> Finding | None:
    mine, base = drafting.engine_tps, plain.engine_tps
    if not mine or not base or mine > SLOWER * base or not _alike(drafting.running, plain.running):
        return None
    length = "" if drafting.length is None else f" at {per_step(drafting.length)} tokens per step"
    says = (
        f"the run with drafts gives {mine:,.1f} tokens/s{length}, the one without in the same input {base:,.1f} "
        f"({times(mine / base)} times): a step costs more than its drafts gain"
    )
    evidence = [
        {"path": s.rows["path"][0], "surface": f"{s.engine} {s.surface}", "tokens_per_second": s.engine_tps}
        for s in (drafting, plain)
    ]
    return Finding("verification-not-free", "suspected", says, base / mine - 1, evidence)


def _alike(one: float | None, other: float | None) -> bool:
    return one is None or other is None or abs(one - other) <= LOADS * max(one, other)
