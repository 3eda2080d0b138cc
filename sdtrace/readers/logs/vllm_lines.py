"""The figures of vLLM's log lines, by kind: SpecDecoding, Speculative metrics, stage times, Engine, Iteration."""

from collections.abc import Mapping

import polars as pl

from sdtrace.readers.logs.fields import fields

#: The usual stamp: it holds what `vllm.PREFIX` and the envelope's patterns find, and one byte at a time decides about it.
STAMPED = (
    r"^\((?P<who>(?P<proc>[A-Za-z0-9_]+) pid=(?P<pid>[0-9]+))\) [A-Z]+ (?P<clock>(?P<ts>[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}))"
    r" \[(?P<where>(?P<file>[A-Za-z0-9_./]+):(?P<at_line>[0-9]+))\] "
)
FIELDS = {
    "said_length": r"Mean acceptance length: ?(\d+\.\d\d)\b",
    "accepted": r"Accepted: ?(\d+) ?tokens",
    "drafted": r"Drafted: ?(\d+) ?tokens",
    "accepted_tps": r"Accepted throughput: ?(\d+\.\d\d) ?tokens/s",
    "drafted_tps": r"Drafted throughput: ?(\d+\.\d\d) ?tokens/s",
    "percent": r"Draft acceptance rate: ?(\d+\.\d) ?%",
    "positions": r"Per-position acceptance rate: ?(\d\.\d{3}(?:, ?\d\.\d{3})*)(?:, ?Avg|[^,.\w]|$)",
}
USUAL_FIELDS = STAMPED + (
    r"SpecDecoding metrics: Mean acceptance length: (?P<said_length>[0-9]+\.[0-9]{2}), "
    r"Accepted throughput: (?P<accepted_tps>[0-9]+\.[0-9]{2}) tokens/s, "
    r"Drafted throughput: (?P<drafted_tps>[0-9]+\.[0-9]{2}) tokens/s, Accepted: (?P<accepted>[0-9]+) tokens, "
    r"Drafted: (?P<drafted>[0-9]+) tokens, Per-position acceptance rate: (?P<positions>(?:[0-9]\.[0-9]{3}, )+)"
    r"Avg Draft acceptance rate: (?P<percent>[0-9]+\.[0-9])%"
)
ENGINE_FIELDS = {
    "generation_tps": r"Avg generation throughput: ?(\d+\.\d) ?tokens/s",
    "prompt_tps": r"Avg prompt throughput: ?(\d+\.\d) ?tokens/s",
    "running": r"Running: ?(\d+) ?reqs",
    "waiting": r"(?:Waiting|Pending): ?(\d+) ?reqs",
    "kv": r"GPU KV cache usage: (\d+\.\d)%",
}
USUAL_ENGINE = STAMPED + (
    r"(?:Engine [0-9]+: )?Avg prompt throughput: (?P<prompt_tps>[0-9]+\.[0-9]) tokens/s, "
    r"Avg generation throughput: (?P<generation_tps>[0-9]+\.[0-9]) tokens/s, Running: (?P<running>[0-9]+) reqs, "
    r"Waiting: (?P<waiting>[0-9]+) reqs, GPU KV cache usage: (?P<kv>[0-9]+\.[0-9])%"
)


def _rate(pattern: str) -> pl.Expr:
    return pl.col("msg").str.extract(pattern).cast(pl.Float64, strict=False)


def _told(lines: pl.DataFrame, patterns: Mapping[str, str], usual: str) -> pl.DataFrame:
    """The lines with their fields: numbers, and a list as its text."""
    told = fields(lines["msg"], patterns, usual)
    kept = {name: told[name] if name == "positions" else told[name].cast(pl.Float64, strict=False) for name in patterns}
    return lines.with_columns(**kept)


#: The line of metrics.py that prints a SpecDecoding record, by release.
_RELEASES = {
    "metrics.py:53": "V1 0.8.3-0.8.4",
    "metrics.py:82": "V1 0.8.5",
    "metrics.py:86": "V1 0.9.0",
    "metrics.py:87": "V1 0.9.1-0.10.1",
    "metrics.py:96": "V1 0.10.2-0.11.0",
    "metrics.py:100": "V1 0.11.1-0.18",
    "metrics.py:101": "V1 0.19-0.23",
    "metrics.py:120": "V1 0.24-0.33",
}


def _release(otherwise: str) -> pl.Expr:
    """The releases whose source line this is; a line number that no release inspected has tells nothing."""
    place = pl.col("source").str.extract(r"([\w.]+:\d+)$")
    return place.replace_strict(_RELEASES, default=otherwise, return_dtype=pl.String).fill_null(otherwise)


def v1(lines: pl.DataFrame) -> pl.DataFrame:
    """SpecDecoding lines 0.8.3 to 0.33: counts of the time since the line before."""
    listed = pl.col("positions").str.replace_all(" ", "", literal=True).str.strip_suffix(",").str.split(",")
    frame = _told(lines, FIELDS, USUAL_FIELDS)
    frame = frame.with_columns(said_positions=listed.cast(pl.List(pl.Float64), strict=False)).drop("positions")
    total = pl.col("said_positions").list.sum()
    mean = pl.col("said_length")
    old = pl.col("msg").str.contains("metrics: Draft", literal=True)
    bare = ~pl.col("msg").str.contains("Mean acceptance length", literal=True)
    between = old & pl.col("msg").str.contains("Accepted throughput", literal=True)
    excluded = old & ((total - mean).abs() < 0.02) & ((total + 1 - mean).abs() > 0.02)
    frame = frame.with_columns(
        family=pl.when(~old)
        .then(_release("V1 0.10.2+"))
        .when(bare)
        .then(pl.lit("V1 0.8.3-0.8.4"))
        .when(excluded)
        .then(pl.lit("V1 0.8.5, length without bonus"))
        .when(between)
        .then(pl.lit("V1 between 0.10.1 and 0.10.2"))
        .when(total.is_null() | (total == 0) & (mean != 1))
        .then(_release("V1 0.8.5-0.10.1"))
        .otherwise(_release("V1 0.9.0-0.10.1")),
        length=pl.when(excluded).then(mean + 1).otherwise(mean),
        said_rate=pl.col("percent") / 100,
        k=pl.col("said_positions").list.len().cast(pl.Int64),
        surface=pl.lit("SpecDecoding metrics"),
        basis=pl.lit("interval"),
    )
    frame = frame.with_columns(drafts=_drafts())
    counted = pl.col("accepted").is_not_null() & pl.col("drafted").is_not_null()
    #: shortened by hand: length and rate are there, and nothing of the counts
    short = pl.all_horizontal(pl.col(n).is_null() for n in ("accepted", "drafted", "accepted_tps", "drafted_tps"))
    short &= pl.col("said_length").is_not_null() & (
        pl.col("percent").is_not_null() | pl.col("said_positions").is_not_null()
    )
    return frame.with_columns(
        accepted_by_position=pl.when(pl.col("drafts").is_not_null()).then(pl.col("said_positions") * pl.col("drafts")),
        span_s=pl.when(pl.col("drafted_tps") > 0).then(pl.col("drafted") / pl.col("drafted_tps")),
        whole=counted | short,
        rate=pl.when(short).then(pl.col("percent") / 100),
        said=pl.struct(
            pl.col("said_length").alias("Mean acceptance length"),
            pl.col("percent").alias("Draft acceptance rate %"),
            pl.col("accepted").alias("Accepted"),
            pl.col("drafted").alias("Drafted"),
            pl.col("accepted_tps").alias("Accepted throughput"),
        ).struct.json_encode(),
        nan=pl.col("msg").str.contains(r"rate: nan|length: nan"),
    )


def _drafts() -> pl.Expr:
    """Steps with a draft: accepted / (length - 1), and drafted / k where that agrees with the printed length; none where nothing is
    drafted (nan is printed then)."""
    accepted, drafted, k = pl.col("accepted"), pl.col("drafted"), pl.col("k").cast(pl.Float64)
    full = drafted / k
    fits = (1 + accepted / full - pl.col("length")).abs() <= 0.0051
    whole = (full - full.round()).abs() < 1e-9
    derived = accepted / (pl.col("length") - 1)
    low, high = accepted / (pl.col("length") - 0.995), accepted / (pl.col("length") - 1.005)
    snapped = pl.when((low.ceil() == high.floor()) & (pl.col("length") > 1.005)).then(low.ceil()).otherwise(derived)
    none = (drafted == 0) & (accepted == 0)
    return (
        pl.when(none)
        .then(0.0)
        .when(fits & whole)
        .then(full)
        .when((accepted > 0) & (pl.col("length") > 1))
        .then(snapped)
    )


def v0(lines: pl.DataFrame) -> pl.DataFrame:
    """Speculative metrics lines 0.4 to 0.9: totals since the server began."""
    frame = lines.with_columns(
        said_rate=_rate(r"Draft acceptance rate: (\d\.\d{3})"),
        efficiency=_rate(r"System efficiency: (\d\.\d{3})"),
        k=_rate(r"Number of speculative tokens: (\d+)"),
        counted=_rate(r"Number of accepted tokens: (\d+)"),
        drafted=_rate(r"Number of draft tokens(?: tokens)?: (\d+)"),
        emitted=_rate(r"Number of emitted tokens(?: tokens)?: (\d+)\.?"),
    )
    drafts = pl.col("drafted") / pl.col("k")
    early = pl.col("k").is_null() & pl.col("emitted").is_null()
    return frame.with_columns(
        drafts=drafts,
        accepted=pl.when(early).then("counted").otherwise(pl.col("emitted") - drafts),
        family=pl.when(early)
        .then(pl.lit("V1 in development, before 0.8.3"))
        .otherwise(pl.lit("V0, accepted not causal, lifetime")),
        surface=pl.lit("Speculative metrics"),
        basis=pl.when(early).then(pl.lit("interval")).otherwise(pl.lit("lifetime")),
        whole=pl.col("drafted").is_not_null() & pl.col("counted").is_not_null(),
        said=pl.struct(
            pl.col("said_rate").alias("Draft acceptance rate"),
            pl.col("efficiency").alias("System efficiency"),
            pl.col("counted").alias("Number of accepted tokens"),
            pl.col("drafted").alias("Number of draft tokens"),
            pl.col("emitted").alias("Number of emitted tokens"),
        ).struct.json_encode(),
        nan=pl.col("msg").str.contains(r"rate: nan|efficiency: nan"),
        said_rate=pl.lit(None, dtype=pl.Float64),  # of another count than ours: it stays in `said`
    )


def stage(lines: pl.DataFrame) -> pl.DataFrame:
    """Stage times of V0: milliseconds of the latest step."""
    return lines.with_columns(
        per_token=_rate(r"average_time_per_proposal_tok_ms=(\d+\.\d\d)"),
        scoring=_rate(r"scoring_time_ms=(\d+\.\d\d)"),
        checking=_rate(r"verification_time_ms=(\d+\.\d\d)"),
        family=pl.lit("V0"),
        surface=pl.lit("stage times"),
        basis=pl.lit("iteration"),
        nan=pl.lit(value=False),
    ).with_columns(
        whole=pl.col("checking").is_not_null(),
        said=pl.struct(
            pl.col("per_token").alias("average_time_per_proposal_tok_ms"),
            pl.col("scoring").alias("scoring_time_ms"),
            pl.col("checking").alias("verification_time_ms"),
        ).struct.json_encode(),
    )


def engine(lines: pl.DataFrame) -> pl.DataFrame:
    """Engine lines: throughput, load and cache of the time since the line before."""
    return (
        _told(lines, ENGINE_FIELDS, USUAL_ENGINE)
        .with_columns(
            surface=pl.lit("Engine"),
            basis=pl.lit("gauge"),
            nan=pl.lit(value=False),
        )
        .with_columns(whole=pl.col("generation_tps").is_not_null(), kv_usage=pl.col("kv") / 100)
    )


def iteration(lines: pl.DataFrame) -> pl.DataFrame:
    """Iteration details: `generation tokens` are scheduled ones (1 + drafts a request), not emitted ones."""
    return lines.with_columns(
        busy_ms=_rate(r"iteration elapsed time: (\d+\.\d\d) ms"),
        running=_rate(r"(\d+) generation requests"),
        scheduled=_rate(r"(\d+) generation tokens"),
        number=_rate(r"Iteration\((\d+)\)"),
        surface=pl.lit("Iteration"),
        basis=pl.lit("iteration"),
        nan=pl.lit(value=False),
    ).with_columns(
        whole=pl.col("busy_ms").is_not_null(),
        said=pl.struct(
            pl.col("number").alias("Iteration"), pl.col("scheduled").alias("generation tokens (scheduled)")
        ).struct.json_encode(),
    )
