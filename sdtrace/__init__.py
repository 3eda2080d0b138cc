"""sdtrace: diagnostics for speculative decoding in LLM serving.

`read`, `report`, `tune`, `diff`, `replay`, `probe`, `explain` do what the commands do (`sdtrace help api`). They load on first use,
so that `import sdtrace` costs nothing.

The rooms, from the top. A room imports from rooms that stand below it only; tests/test_house.py reads this list.

    cli         one verb a file: what prints, writes files and chooses exit codes
    api         read, report, tune, diff, replay, probe, explain: the public functions; the typed report that they return
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
    record      recorders inside engines: vLLM, SGLang, Transformers
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

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sdtrace.api import diff, explain, probe, read, replay, report, tune
    from sdtrace.api.frames import Frames
    from sdtrace.api.parts import Acceptance, Cause, Change, Check, Comparison, Incident, Time, Tuning, Verdict
    from sdtrace.api.typed_report import Report
    from sdtrace.errors import MissingExtraError, NoInputError, OutputError, SdtraceError, StateError, UsageError

    __version__: str

_FROM = {
    "sdtrace.api": ("diff", "explain", "probe", "read", "replay", "report", "tune"),
    "sdtrace.api.frames": ("Frames",),
    "sdtrace.api.parts": (
        *("Acceptance", "Cause", "Change", "Check", "Comparison", "Incident", "Time", "Tuning", "Verdict"),
    ),
    "sdtrace.api.typed_report": ("Report",),
    "sdtrace.errors": (
        *("MissingExtraError", "NoInputError", "OutputError", "SdtraceError", "StateError", "UsageError"),
    ),
}
_HOME = {name: module for module, names in _FROM.items() for name in names}

__all__ = [
    "Acceptance",
    "Cause",
    "Change",
    "Check",
    "Comparison",
    "Frames",
    "Incident",
    "MissingExtraError",
    "NoInputError",
    "OutputError",
    "Report",
    "SdtraceError",
    "StateError",
    "Time",
    "Tuning",
    "UsageError",
    "Verdict",
    "__version__",
    "diff",
    "explain",
    "probe",
    "read",
    "replay",
    "report",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("sdtrace.version").VERSION
    if name not in _HOME:
        raise AttributeError(f"module 'sdtrace' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """`sdtrace.replay` and `sdtrace.probe` are the functions also once the rooms of those names are loaded, which the import
    system would put in their place. `from sdtrace.probe.run import ...` reaches the rooms."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
