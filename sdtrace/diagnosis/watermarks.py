"""Runs whose verification is watermarked: what draws would tell of them is left out, and said."""

from sdtrace.audit.audit import Audit
from sdtrace.verify.watermark import tagged, watermarked


def marked(audit: Audit) -> frozenset[str]:
    """Runs whose line, or a request of theirs, says that a watermark is on."""
    found = {run for run, line in audit.runs.items() if watermarked(line)}
    if audit.requests.is_empty() or not tagged(audit.requests["tags"]):
        return frozenset(found)
    for (run,), part in audit.requests.group_by("run_id"):
        if run not in found and tagged(part["tags"]):
            found.add(str(run))
    return frozenset(found)
