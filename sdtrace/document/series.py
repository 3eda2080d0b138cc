"""Acceptance by series: engines, ranks, pods and the like beside each other."""

from collections.abc import Mapping
from typing import Any

from sdtrace.results.report import Section, Value


def series_section(a: Mapping[str, Any] | None) -> Section | None:
    """The slow ones first; nothing where there are no two of one kind."""
    rows = [] if a is None else a["series"]
    many = {row["by"] for row in rows if sum(other["by"] == row["by"] for other in rows) > 1}
    shown = sorted((row for row in rows if row["by"] in many), key=lambda row: row["state"] != "slow")
    if not shown:
        return None
    slow = [f"{row['by']} {row['name']}" for row in shown if row["state"] == "slow"]
    says = f"{len(shown)} series, each judged by itself and beside its siblings; "
    says += f"slow: {', '.join(slow[:5])}{', ...' if len(slow) > 5 else ''}." if slow else "none is slow."
    table: list[list[Value]] = [
        [
            row["by"],
            row["name"],
            *(row[name] for name in ("steps", "drafted", "accepted", "tokens_per_step")),
            row["accepted"] / row["drafted"] if row["drafted"] and row["accepted"] is not None else None,
            row["state"],
        ]
        for row in shown[:50]
    ]
    columns = [
        "by",
        "name",
        "steps that drafted",
        "drafted",
        "accepted",
        "tokens per drafting step",
        "accepted / drafted",
        "verdict",
    ]
    shares, per_step = ["accepted / drafted"], ["tokens per drafting step"]
    return Section("series", "Acceptance by series", says, columns, table, shares=shares, per_step=per_step)
