"""Known issues: which of them an input has the signature of. A signature is no proof: other faults can look the same."""

from collections.abc import Mapping, Sequence
from typing import Any

from sdtrace.audit.audit import Audit
from sdtrace.counters.changes import Change
from sdtrace.diagnosis.known import others, sglang, vllm, vllm_text
from sdtrace.diagnosis.known.issue import Facts, Known, matches
from sdtrace.results.cause import Cause
from sdtrace.results.check import Outcome
from sdtrace.schema.run import Run
from sdtrace.schema.trace import LENGTH, METHOD

ISSUES: tuple[Known, ...] = vllm.ROWS + vllm_text.ROWS + sglang.ROWS + others.ROWS
#: Issues that are named at the most, those with most conditions first.
SHOWN = 8


def known(facts: Facts) -> list[Known]:
    """Issues whose signature an input has, the most specific first."""
    found = [issue for issue in ISSUES if matches(issue, facts)]
    return sorted(found, key=lambda i: -(len(i.signature) + (i.method is not None) + (i.versions is not None)))[:SHOWN]


def known_issues(
    audit: Audit,
    rows: Sequence[Cause],
    outcomes: Mapping[str, Outcome],
    figures: Mapping[str, Any] | None,
    turned: Sequence[Change],
) -> list[dict[str, Any]]:
    """Rows of `known_issues` in the document. A match has the signature of an issue; it is not said to be it."""
    seen = facts(audit, rows, outcomes, figures, turned)
    return [row(issue, seen) for issue in known(seen)]


def facts(
    audit: Audit,
    rows: Sequence[Cause],
    outcomes: Mapping[str, Outcome],
    figures: Mapping[str, Any] | None,
    turned: Sequence[Change],
) -> Facts:
    """What an input shows, in the words that signatures use."""
    told = {e.kind: e for e in audit.events if e.value is not None}
    config = next((e.settings for e in reversed(audit.events) if e.settings and e.kind == "config"), {})
    run = next(iter(audit.runs.values()), Run())
    engines = [
        *audit.windows["engine"].drop_nulls().to_list()[:1],
        *(e.engine for e in audit.events[:1]),
        run.engine,
    ]
    version = told["version"].value if "version" in told else run.engine_version
    positions = (figures or {}).get("marginal_by_position") or []
    said = (
        {e.kind for e in audit.events} | {e.key for e in audit.events if e.key is not None} | {c.what for c in turned}
    )
    if audit.windows["series"].drop_nulls().n_unique() > 1:
        said.add("ranks")
    return {
        "engine": next((e for e in engines if e), None),
        "version": version,
        "method": config.get(METHOD) or run.method,
        "k": _length(config.get(LENGTH, "")),
        "rate": (figures or {}).get("rate_of_drafted"),
        "length": (figures or {}).get("tokens_per_step"),
        "first": positions[0] if positions else None,
        "second": positions[1] if len(positions) > 1 else None,
        "cause": {row.cause for row in rows},
        "check": {code for code, outcome in outcomes.items() if outcome.state == "fired"},
        "said": said,
    }


def row(issue: Known, seen: Facts) -> dict[str, Any]:
    """One match, with the conditions that it rests on."""
    return {
        "issue": issue.name,
        "says": f"has the signature of {issue.name}: {issue.says}",
        "reported": issue.says,
        "link": issue.url,
        "because": list(issue.signature),
        "versions": issue.versions,
        "version": seen.get("version"),
        "fixed_in": issue.fixed_in,
        "workaround": issue.workaround,
    }


def _length(length: str) -> int | None:
    """A draft length as a log says it; None where it is no number, or one of thousands of digits."""
    return int(length) if length.isdecimal() and len(length) < 6 else None
