"""Time and traffic of one batch, added up: engine steps by their shape, requests by place, stretches of time.

A line is one request's view of an engine step. Its weight is 1 / (requests in the step), so that the lines of one engine
step add up to one step whether or not a recorder kept all of them, and whatever order a file holds them in.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import polars as pl

from sdtrace.schema.keys import request_hash
from sdtrace.tally.frames import DEPTH, FRAMES
from sdtrace.tally.gaps import gap, waits
from sdtrace.tally.group_sums import group_sums
from sdtrace.tally.tally import FINE, Tally
from sdtrace.verify.scope import Scope

#: Different graph names of a batch that are kept apart.
GRAPHS = 64

#: ms that a step can last (eleven days): a longer one is damage, and would drown every sum.
LONGEST = 1e9

_TIMES = ("draft_ms", "verify_ms", "sample_ms", "step_ms")
_TAKEN = (
    *("run_id", "request_id", "hash", "step", "line", "at", *_TIMES, "batch_size", "batch_tokens", "context_len"),
    *("graph", "rank", "engine_step", "tau", "verified", "n_a", "appended", "last_tested"),
)


def timings(scopes: Iterable[Scope]) -> Tally:
    """The tally of a batch: frames `cost`, `places` and `blocks` (see the functions below for their keys and sums)."""
    parts = {id(scope.pos): scope for scope in scopes}  # a run without a law is in several scopes
    tally = Tally()
    if not parts:
        return tally
    first = next(iter(parts.values()))
    frames = [scope.steps.select(_TAKEN) for scope in parts.values()]
    lines = _lines(pl.concat(frames) if len(frames) > 1 else frames[0], first.path)
    timed = lines["t"].null_count() < lines.height
    tally.sums["cost"] = _cost(lines) if timed else _no_cost(tuple(lines.schema.items()))
    decode = lines.filter(~pl.col("prefill")) if lines["prefill"].any() else lines
    tally.sums["places"] = _places(decode, timed)
    tally.sums["blocks"], tally.width = _blocks(lines, decode, timed)
    return tally


def _clean(name: str) -> pl.Expr:
    """A duration that can be one: not negative and not longer than LONGEST; null otherwise."""
    return pl.when(pl.col(name).is_between(0, LONGEST)).then(name).alias(name)


def _lines(steps: pl.DataFrame, path: str) -> pl.DataFrame:
    """One row a line: what it was part of, what it cost and what it brought.

    `b` requests and `n` verified tokens of the engine step; `w` its weight; `t` wall time in ms (the sum of the parts
    where only those are recorded); `hidden` what parts overlap; `plain`: an engine step in which nobody drafted;
    `prefill`: the step of a request that made its first token.
    """
    graphs = steps["graph"].n_unique() > GRAPHS
    steps = steps.with_columns(
        *(_clean(name) for name in _TIMES),
        path=pl.lit(path),
        graph=pl.lit("many") if graphs else pl.col("graph").str.slice(0, 24),
        accepted=pl.col("n_a").clip(0),
        tested=pl.min_horizontal(pl.col("last_tested") + 1, pl.col("verified")).clip(0),
    )
    steps = steps.with_columns(**_shared(steps)).with_columns(
        b=pl.max_horizontal(pl.col("batch_size"), pl.col("seen")).cast(pl.Float64),
    )
    whole = pl.col("seen") == pl.col("b")
    parts = pl.sum_horizontal("draft_ms", "verify_ms", "sample_ms")  # nulls count as 0
    added = pl.when(pl.col("verify_ms").is_not_null()).then(parts)
    steps = steps.with_columns(
        n=pl.coalesce(
            pl.col("batch_tokens").cast(pl.Float64),
            pl.when(whole).then(pl.col("seen_tokens").cast(pl.Float64)),
            pl.col("b") * (1 + pl.col("verified")),
        ),
        t=pl.coalesce("step_ms", added),
        w=1 / pl.col("b"),
        prefill=(pl.col("tau") == 0) & (pl.col("step") == 0),
    )
    if steps["t"].null_count() == steps.height:
        unknown = {"hidden": pl.Float64, "plain": pl.Boolean, "mixed": pl.Boolean, "gap": pl.Float64}
        return steps.with_columns(**{name: pl.lit(None, dtype) for name, dtype in unknown.items()})
    told = whole | pl.col("batch_tokens").is_not_null()
    return steps.with_columns(
        hidden=(parts - pl.col("t")).clip(0),
        plain=told & (pl.col("n") == pl.col("b")) & (pl.col("tau") == 0),
        mixed=pl.col("n") > pl.col("b") * (1 + pl.col("longest")) + 8,
        gap=gap(LONGEST),
    )


def _shared(steps: pl.DataFrame) -> dict[str, pl.Expr]:
    """Of the lines of one engine step in this batch: how many, their verified tokens, their longest draft."""
    alone = {"seen": pl.lit(1, pl.Int64), "seen_tokens": 1 + pl.col("verified"), "longest": pl.col("verified")}
    unknown = steps.select("engine_step", "at").null_count().row(0)
    if unknown == (steps.height, steps.height):
        return alone
    clocks = steps.select(pl.coalesce(pl.col("engine_step").cast(pl.Float64), "at")).to_series()
    if clocks.null_count() == steps.height or clocks.n_unique() == steps.height:
        return alone
    clock = pl.coalesce(pl.col("engine_step").cast(pl.Float64), "at")
    over = ["run_id", "rank", clock.alias("clock")]
    together = {
        "seen": pl.len().cast(pl.Int64).over(over),
        "seen_tokens": (1 + pl.col("verified")).sum().over(over),
        "longest": pl.col("verified").max().over(over),
    }
    return {name: pl.when(clock.is_null()).then(alone[name]).otherwise(value) for name, value in together.items()}


def _octave(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Float64).clip(1).log(2).floor().cast(pl.Int64)


def _fine(column: str, exact: int) -> pl.Expr:
    """A bucket: the number itself up to `exact`, then eight steps an octave."""
    value = pl.col(column).clip(1)
    return pl.when(value <= exact).then(value.round()).otherwise(2.0 ** ((8 * value.log(2)).round() / 8)).round(3)


_SUMS = ("w", "timed", "timed_tokens", "wt", "wd", "wv", "ws", "wh", "wn", "has_d", "has_v", "has_s")


def _terms(timed: bool) -> dict[str, pl.Expr]:
    """What every line with a wall time adds to weighted sums: they are sums over engine steps. `wt` = sum of w t, and so
    on. Nothing where no line is `timed`: `_added` fills in zeros."""
    if not timed:
        return {}
    w = pl.when(pl.col("t").is_not_null()).then(pl.col("w"))
    return {
        "w": w,
        "timed": w.is_not_null(),
        "timed_tokens": pl.col("appended").fill_null(pl.col("accepted") + 1) * w / w,
        "wt": w * pl.col("t"),
        "wd": w * pl.col("draft_ms"),
        "wv": w * pl.col("verify_ms"),
        "ws": w * pl.col("sample_ms"),
        "wh": w * pl.col("hidden"),
        "wn": w * pl.col("n"),
        "has_d": pl.when(pl.col("draft_ms").is_not_null()).then(w),
        "has_v": pl.when(pl.col("verify_ms").is_not_null()).then(w),
        "has_s": pl.when(pl.col("sample_ms").is_not_null()).then(w),
    }


def _cost(lines: pl.DataFrame) -> pl.DataFrame:
    """Engine steps by run, graph, requests `b`, verified tokens `n`, drafted `k` of the line, prefill or not.

    Sums of `_terms`, `wt2` (squares), `wc` (context), `wp` (plain steps), `wm` (time of steps with prefill tokens).
    """
    timed = lines.filter(pl.col("t").is_not_null())
    return timed.group_by(
        "run_id",
        "graph",
        pl.col("prefill").cast(pl.Int64),
        _fine("b", 32).alias("b"),
        _fine("n", 128).alias("n"),
        pl.col("tau").clip(0, 32).alias("k"),
        maintain_order=True,
    ).agg(
        wt2=(pl.col("w") * pl.col("t") ** 2).sum(),
        wc=(pl.col("w") * pl.col("context_len")).sum(),
        has_c=pl.col("w").filter(pl.col("context_len").is_not_null()).sum(),
        wp=pl.col("w").filter(pl.col("plain")).sum(),
        wm=(pl.col("w") * pl.col("t")).filter(pl.col("mixed")).sum(),
        first_path=pl.col("path").first(),
        first_line=pl.col("line").first(),
        **{name: term.sum() for name, term in _terms(timed=True).items()},
    )


@cache
def _no_cost(columns: tuple[tuple[str, pl.DataType], ...]) -> pl.DataFrame:
    """What `_cost` says of lines with these columns, none of them timed."""
    return _cost(pl.DataFrame(schema=dict(columns)))


def _places(decode: pl.DataFrame, timed: bool) -> pl.DataFrame:
    """Requests by where their steps were: context and batch (powers of 2), graph, rank, age within the request.

    Counts over lines that are no prefill; `v0`.. and `a0`..: lines that verified and accepted more than j tokens (the
    last one adds all deeper positions up); sums of `_terms`; `wnn`, `wnv`, for a line through verify_ms over n.
    """
    w = pl.when(pl.col("t").is_not_null() & pl.col("verify_ms").is_not_null()).then(pl.col("w"))
    where = {"context": _octave("context_len"), "graph": pl.col("graph"), "rank": pl.col("rank")}
    where = {name: expr for name, expr in where.items() if not _empty(decode, name)}
    where["batch"] = _octave("b")
    where["age"] = sum((pl.col("step") >= 4**power).cast(pl.Int64) for power in range(2, 6)) + pl.lit(1, pl.Int64)
    terms = {
        "drafting": pl.col("tau") > 0,
        "drafted": pl.col("tau"),
        "tested": pl.col("tested"),
        "accepted": pl.col("accepted"),
        "tokens": pl.col("appended").fill_null(pl.col("accepted") + 1),
        "padded": pl.col("longest") - pl.col("verified"),
        "wb": pl.lit(1.0),  # b / b
        **_terms(timed),
        **_depths(decode),
    }
    if timed:
        terms |= {
            "wnn": w * pl.col("n") ** 2,
            "wnv": w * pl.col("n") * pl.col("verify_ms"),
            "gap": pl.col("gap"),
            "gaps": pl.col("gap").is_not_null(),
            "long_gap": pl.when(waits(decode)).then("gap"),
        }
    first = ("run_id", "request_id", "path", "line", "step")
    table = group_sums(
        decode.select("hash", "at", *(pl.col(name).alias(f"its_{name}") for name in first), **where, **terms),
        ["hash", *where],
        tuple(terms),
        first={(name if name in _KEYS else f"first_{name}"): f"its_{name}" for name in first},
        least={"first_at": "at"},
        greatest={"last_at": "at"},
    ).rename({"rows": "lines"})
    untold = [pl.lit(None, dtype).alias(name) for name, dtype in _PLACE.items() if name not in where]
    table = _added(table, _PLACED).with_columns(*untold, hash=request_hash(table, ["request_id"]))
    return table.select(*_KEYS, "hash", pl.exclude(*_KEYS, "hash"))


def _added(table: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The sums as numbers, those of which nothing was added as 0."""
    known = set(table.columns)
    return table.with_columns(
        (pl.col(name).cast(pl.Float64) if name in known else pl.lit(0.0)).alias(name) for name in names
    )


_KEYS = FRAMES["places"].keys
_PLACED = (
    *("lines", "drafting", "drafted", "tested", "accepted", "tokens", "wb", "wnn", "wnv", "gap", "gaps", "long_gap"),
    *("padded", *_SUMS, *(f"{name}{j}" for name in "va" for j in range(DEPTH + 1))),
)
_PLACE = {"context": pl.Int64, "graph": pl.String, "rank": pl.Int64}


def _empty(lines: pl.DataFrame, place: str) -> bool:
    """Whether nothing of a place is recorded: grouping by nulls costs as much as by anything else."""
    name = "context_len" if place == "context" else place
    return lines[name].null_count() == lines.height


def _depths(lines: pl.DataFrame) -> dict[str, pl.Expr]:
    found: dict[str, pl.Expr] = {}
    for name, column in (("v", "verified"), ("a", "accepted")):
        deepest = int(lines[column].to_numpy().max(initial=0))
        found |= {f"{name}{j}": pl.col(column) > j for j in range(min(deepest, DEPTH))}
        if deepest > DEPTH:
            found[f"{name}{DEPTH}"] = (pl.col(column) - DEPTH).clip(0)
    return found


def _blocks(lines: pl.DataFrame, decode: pl.DataFrame, timed: bool) -> tuple[pl.DataFrame, float]:
    """Stretches of time (of lines, where no time is recorded), FINE of them to a bucket of the timeline."""
    known = lines["at"].null_count() < lines.height
    width = 1.0 if known else 1024.0
    place: Any = pl.col("at") if known else pl.col("line").cast(pl.Float64)
    bucket = (place / width * FINE).floor().cast(pl.Int64, strict=False)
    w = pl.when(pl.col("t").is_not_null() & pl.col("verify_ms").is_not_null()).then(pl.col("w"))
    terms = {"tested": pl.col("tested"), "accepted": pl.col("accepted"), **_terms(timed)}
    if timed:
        terms |= {"wnn": w * pl.col("n") ** 2, "wnv": w * pl.col("n") * pl.col("verify_ms")}
    part = decode.select("run_id", bucket=bucket, **terms)
    table = group_sums(part, ["run_id", "bucket"], tuple(terms)).rename({"rows": "lines"}).drop_nulls("bucket")
    return _added(table, ("wnn", "wnv", "lines", "tested", "accepted", *_SUMS)), width
