"""The section of known issues: which ones an input has the signature of."""

from collections.abc import Mapping, Sequence
from typing import Any

from sdtrace.results.report import Section, Value


def known_section(issues: Sequence[Mapping[str, Any]]) -> Section | None:
    """A row an issue; None where nothing matches."""
    if not issues:
        return None
    rows: list[list[Value]] = [
        [r["issue"], r["reported"], ", ".join(r["because"]), r["fixed_in"], r["workaround"], r["link"]] for r in issues
    ]
    says = "This input has the signature of these reports. That is no proof: other faults can look the same."
    columns = ["issue", "what was reported", "signature", "fixed in", "workaround", "link"]
    return Section("known-issues", "Known issues with this signature", says, columns, rows)
