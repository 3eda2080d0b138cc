"""All causes of side `slow` that an audit supports."""

from sdtrace.audit.audit import Audit
from sdtrace.results.cause import Cause
from sdtrace.speed.finding import few, in_words, without
from sdtrace.speed.slow_acceptance import acceptance_findings
from sdtrace.speed.slow_load import counted_load, load_findings
from sdtrace.speed.slow_time import time_findings
from sdtrace.speed.timing import Timing


def slow_causes(audit: Audit, told: Timing | None) -> list[Cause]:
    """Named slow causes, strongest first; empty where nothing is slow or nothing can be told."""
    found = counted_load(audit)
    if told is not None:
        seen = [*load_findings(told), *acceptance_findings(told), *time_findings(told)]
        found += few(without(seen), told)
    return in_words(found)
