"""All causes of side `slow` that an audit supports."""

from sdtrace.audit.audit import Audit
from sdtrace.results.cause import Cause
from sdtrace.speed.finding import few, in_words, without
from sdtrace.speed.slow_acceptance import acceptance_findings
from sdtrace.speed.slow_load import counted_load, load_findings
from sdtrace.speed.slow_pairs import paired_runs
from sdtrace.speed.slow_time import time_findings
from sdtrace.speed.timing import Timing


def slow_causes(audit: Audit, timing: Timing | None) -> list[Cause]:
    """Named slow causes, strongest first; empty where nothing is slow or nothing can be told."""
    found = [*counted_load(audit), *paired_runs(audit)]
    if timing is not None:
        seen = [*load_findings(timing), *acceptance_findings(timing), *time_findings(timing)]
        found += few(without(seen), timing)
    return in_words(found)
