"""sdtrace: diagnostics for speculative decoding in LLM serving.

`read`, `report`, `tune`, `diff`, `explain` do what the commands do. They load on first use, so that `import sdtrace` costs nothing.

The rooms, from the top. A room imports from rooms that stand below it only; tests/test_house.py reads this list.

    cli         one verb a file: what prints, writes files and chooses exit codes
    api         read, report, tune, diff, replay, explain: the public functions
    render      finished values to HTML, JSON, terminal, JUnit, SARIF, Prometheus, Markdown, a live screen
    history     nights on disk, trends, alarms, and the night itself
    probe       a running server asked and judged; the engine's own scores as part of a report
    pipeline    read, audit, judge again where another law fits, diagnose: what verbs share
    comparison  two inputs compared: figures, attribution, slices, the three-way answer of `diff`
    tuning      draft length, budget and policies: curve, price, advice; path/ (recorded tokens), whatif/
    document    the report's document, laid out from what was decided: sections, viewer, counters
    diagnosis   from sums to causes and a verdict: law choice, outcomes, signatures, acceptance; wrong_rules/
    speed       why it is slow: time ledger, baseline, cost, bottleneck
    audit       one pass over all inputs; workers, cluster, live
    tally       sums under keys, merged by adding: measure, timings, step columns; evidence/ (statistics of many tokens)
    counters    windows of counts: sources, reconcile, definitions, agreement, figures, timeline
    checks      one check a file: its expression, its columns, its manual page
    replay      the real model run again over a trace
    responses   stock responses against their own logprobs and seeds: bounds, e-values, sums that add up
    record      recorders inside engines: vLLM, Transformers
    writers     what is written back: converted traces, bundles, pseudonyms
    verify      decisions recomputed: positions, bands, precision, scope; laws/ (one law a file)
    simulate    made traces with a planted fault
    readers     one format a file: trace/, metrics/, logs/ (one engine a file), records/ (one shape of JSON a file), io/ (bytes)
    stats       statistics without a word of speculation in them
    certificate what was tested, in a file that anybody can check
    results     what a report is made of: checks, causes with their words, sections
    schema      tables with types, units and meaning; keys; array types
    atomic      files written whole or not at all
    limits      how much an input may ask for: each limit with its option
    errors      every error that a user can meet, with its slug and hint
    redaction   credentials and names of users, left out of every text
    version     the version, once
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sdtrace.api import diff, explain, report, tune
    from sdtrace.pipeline import read
    from sdtrace.results.report import Report

__all__ = ["Report", "diff", "explain", "read", "report", "tune"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'sdtrace' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("sdtrace.results.report" if name == "Report" else "sdtrace.api"), name)
