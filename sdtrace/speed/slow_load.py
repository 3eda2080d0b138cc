"""Slow because of what surrounds the steps: speculation that is off, a full cache, prompts that outweigh their answers."""

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.results.numbers import times
from sdtrace.speed.finding import ENOUGH, Finding, looks_up, total, worst
from sdtrace.speed.timing import Timing

#: Share of decoding steps without a draft, of decode time spent waiting, of request time before the first token.
OFF, WAITING, PREFILL = 0.5, 0.15, 0.6
#: A cache this full has no room for another request.
FULL = 0.95


def load_findings(timing: Timing) -> list[Finding]:
    """Every finding that is about neither acceptance nor the inside of a step."""
    found = [_off(timing), _gaps(timing), _prefill(timing)]
    return [one for one in found if one is not None]


def _off(timing: Timing) -> Finding | None:
    """Configured, and most decoding steps draft nothing; drafters that look tokens up may find nothing."""
    lines, drafting = total(timing.places, "lines"), total(timing.places, "drafting")
    run = timing.run
    meant = bool(run.num_draft_tokens or run.draft_model or run.method or drafting)
    if lines < ENOUGH or not meant or looks_up(run.method) or drafting >= (1 - OFF) * lines:
        return None
    idle = timing.places.filter(pl.col("drafting") == 0)
    gained = total(timing.places, "tokens") / lines
    drafted = timing.places.filter(pl.col("drafting") == pl.col("lines"))
    full = total(drafted, "tokens") / total(drafted, "lines") if drafted.height else gained + 1
    share = 1 - drafting / lines
    says = f"{share:.0%} of {lines:,.0f} decoding steps drafted nothing{_when(timing.places)}"
    proved = drafting == 0
    return Finding(
        "speculation-off",
        "proved" if proved else "statistical",
        says,
        full / gained - 1,
        worst(idle, pl.col("first_at")),
    )


def _when(places: pl.DataFrame) -> str:
    """At which batch sizes, where that decides it."""
    by = (
        places.group_by("batch", maintain_order=True)
        .agg(pl.col("lines", "drafting").sum())
        .drop_nulls("batch")
        .sort("batch")
    )
    on = by.filter(pl.col("drafting") > 0.8 * pl.col("lines"))
    off = by.filter((pl.col("drafting") < 0.2 * pl.col("lines")) & (pl.col("lines") > 0.2 * pl.col("lines").sum()))
    if on.is_empty() or off.is_empty() or int(on["batch"].to_numpy().max()) >= int(off["batch"].to_numpy().min()):
        return ""
    return f", all at batch sizes from {2 ** int(off['batch'].to_numpy().min())} on: a limit by load turns it off"


def _gaps(timing: Timing) -> Finding | None:
    """Requests that stand still between two of their steps: preempted, or waiting for blocks of the cache."""
    rows = timing.places.filter((pl.col("gaps") > 0) & (pl.col("w") > 0))
    busy = float((rows["wt"] / rows["w"] * rows["lines"]).sum())
    still, other = float(rows["long_gap"].sum()), float(rows["gap"].sum())
    waiting = rows.filter(pl.col("long_gap") > 0)
    if busy <= 0 or still < WAITING * (busy + other) or waiting["request_id"].n_unique() < 5:
        return None
    share = still / (busy + other)
    says = f"{waiting['request_id'].n_unique():,} requests stand still between their steps, for {share:.0%} of their decoding time"
    return Finding(
        "kv-pressure", "statistical", says, still / (busy + other - still), worst(waiting, -pl.col("long_gap"))
    )


def _prefill(timing: Timing) -> Finding | None:
    known = timing.requests.filter(
        pl.col("arrived_at").is_not_null()
        & (pl.col("first_token_at") >= pl.col("arrived_at"))
        & (pl.col("finished_at") > pl.col("first_token_at"))
    )
    if known.height < 10:
        return None
    first = float((known["first_token_at"] - known["arrived_at"]).sum())
    whole = float((known["finished_at"] - known["arrived_at"]).sum())
    if whole <= 0 or first < PREFILL * whole:
        return None
    says = (
        f"{first / whole:.0%} of the requests' time passes before their first token; however fast decoding gets, they end at "
        f"most {times(whole / first)} times sooner (Amdahl)"
    )
    heavy = timing.places.join(
        known.with_columns(before=pl.col("first_token_at") - pl.col("arrived_at")).select(
            "run_id", "request_id", "before"
        ),
        on=["run_id", "request_id"],
    )
    return Finding("prefill-heavy", "statistical", says, whole / first - 1, worst(heavy, -pl.col("before")))


def counted_load(audit: Audit) -> list[Finding]:
    """What gauges of an engine say: a full cache with requests waiting."""
    rows = audit.windows.filter(pl.col("kv_usage").is_not_null() & pl.col("waiting").is_not_null())
    full = rows.filter((pl.col("kv_usage") >= FULL) & (pl.col("waiting") > 0))
    if full.height < 3 or full.height < 0.1 * rows.height:
        return []
    says = f"in {full.height:,} of {rows.height:,} records the cache is at least {FULL:.0%} full while requests wait"
    evidence = [
        {
            "path": r["path"],
            "line": r["line"],
            "surface": r["surface"],
            "kv_usage": r["kv_usage"],
            "waiting": r["waiting"],
        }
        for r in full.head(3).iter_rows(named=True)
    ]
    return [Finding("kv-pressure", "statistical", says, 0.0, evidence)]
