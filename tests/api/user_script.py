"""A user's script: types are what they say, none of them Any."""

from collections.abc import Mapping
from typing import Literal, assert_type

import polars as pl

import sdtrace

report = sdtrace.report("engine.log", since=0.0)
assert_type(report, sdtrace.Report)
assert_type(report.verdict.state, Literal["wrong", "slow", "metric-suspect", "cannot-tell", "healthy"])
for cause in report.causes:
    assert_type(cause, sdtrace.Cause)
    assert_type(cause.headline, str)
    assert_type(cause.side, Literal["wrong", "slow", "metric"])
    assert_type(cause.evidence, tuple[Mapping[str, object], ...])
if report.acceptance is not None and report.acceptance.tokens_per_step is not None:
    assert_type(report.acceptance.tokens_per_step, float)
assert_type(report.incident, sdtrace.Incident | None)
assert_type(report.changes, tuple[sdtrace.Change, ...])
assert_type(report.frames.requests, pl.DataFrame)
assert_type(report.diff(sdtrace.report("other.log")), sdtrace.Report)
assert_type(sdtrace.diff("a", "b").comparison, sdtrace.Comparison | None)
assert_type(sdtrace.tune("a").tuning, sdtrace.Tuning | None)
assert_type(sdtrace.probe("http://localhost:8000"), sdtrace.Report)
assert_type(sdtrace.replay("a", verifier="b"), sdtrace.Report)
for source in sdtrace.read("trace.jsonl"):
    for batch in source.batches():
        assert_type(batch.steps, pl.DataFrame)
try:
    report.save("x.html")
except sdtrace.OutputError as error:
    assert_type(error.hint, str)
