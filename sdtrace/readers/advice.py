"""What counts can tell, and what each engine has to be asked for to tell more: its own flags, word for word."""

import polars as pl

from sdtrace.readers import flags

_TRACE = "decisions: record trace format 1 from the verification step (p, q, r of every drafted token)"

#: engine -> (column that would be there, flag that writes it)
_FLAGS: dict[str, tuple[tuple[str, str], ...]] = {
    "vllm": (
        (
            "drafted",
            "counts of drafted tokens: run with --speculative-config and without --disable-log-stats "
            "(VLLM_LOG_STATS_INTERVAL=2 for more lines)",
        ),
        ("histogram", "counts by request and step: --per-request-spec-decode-metrics detailed"),
        ("busy_ms", "times by request: --enable-per-request-metrics"),
        ("running", "load beside acceptance: leave --disable-log-stats off, one API server (--api-server-count 1)"),
        ("accepted_by_position", "acceptance by position: vLLM 0.8.5 or later, or scrape /metrics"),
    ),
    "sglang": (
        (
            "length",
            "mean lengths: run with --speculative-algorithm; decode lines then print accept len and accept rate",
        ),
        (
            "histogram",
            "counts by request: --export-metrics-to-file, or return_meta_info in the request",
        ),
        ("request_id", "requests: --log-requests --log-requests-level 0"),
        ("accepted", "counts instead of means: meta_info of each request; gauges and decode lines have none"),
        ("generation_tps", "finer times: --decode-log-interval 1"),
    ),
    "llama.cpp": (
        (
            "drafted",
            "counts of drafted tokens: run with --spec-type or --model-draft (a line comes only where one was drafted)",
        ),
        ("accepted_by_position", "acceptance by position and draft time: -lv 4"),
        ("drafts", "steps: -lv 4, --metrics, or timings_per_token in a streamed request"),
        ("draft_ms", "draft time: -lv 4 (the statistics line)"),
    ),
    "tensorrt-llm": (
        ("drafted", "counts by iteration: enable_iter_perf_stats: true, then GET /metrics"),
        ("request_id", "requests: return_perf_metrics: true and perf_metrics_output_dir"),
        ("busy_ms", "step times: print_iter_log: true"),
    ),
    "lmdeploy": (("drafts", "steps and positions: --enable-metrics, then scrape /metrics"),),
    "ollama": (("drafts", "steps that drafted: the counts of the llama-server that it launches, with -lv 4"),),
}
_JUDGED = (
    ("acceptance of drafted tokens", ("drafted", "accepted")),
    ("tokens per step", ("drafts", "accepted")),
    ("mean tokens per step, as printed", ("length",)),
    ("acceptance by position", ("accepted_by_position",)),
    ("identities of the counts", ("drafted", "accepted", "said")),
    ("throughput and load", ("generation_tps",)),
    ("draft time", ("draft_ms",)),
    ("where the time of a step goes", ("busy_ms", "verify_ms")),
)


def judged(windows: pl.DataFrame) -> list[str]:
    """What these windows can tell."""
    holds = {n for n in windows.columns if windows[n].null_count() < windows.height}
    return [what for what, needs in _JUDGED if holds.issuperset(needs)]


def to_log(engine: str | None, windows: pl.DataFrame, version: str | None = None) -> list[str]:
    """Flags of the engine that would tell more. Beside each stands what the release at hand lacks, or, where the input does
    not say its `version`, which release has it."""
    holds = {n for n in windows.columns if windows[n].null_count() < windows.height}
    families = windows["family"].drop_nulls().unique().to_list()
    at = flags.version(version) or flags.newest(families)
    rows = [flag for column, flag in _FLAGS.get(engine or "", ()) if column not in holds]
    return [_with_caveat(engine or "", row, at) for row in rows] + [_TRACE]


def _with_caveat(engine: str, row: str, at: flags.Version | None) -> str:
    caveat = flags.caveat(engine, row, at)
    return row if caveat is None else f"{row} ({caveat})"
