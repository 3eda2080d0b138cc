"""A comparison on the terminal: the answer, its causes, the attribution, the figures that changed."""

from math import expm1
from typing import Any

from sdtrace.render.incident import later
from sdtrace.render.terminal import block, cause_lines, field
from sdtrace.render.text import clean, figure
from sdtrace.results.explains import nested
from sdtrace.results.report import Report

_COLOURS = {"wrong": "31", "regressed": "33", "improved": "32", "fine": "32", "inconclusive": "36"}
#: Figures that are listed; the JSON has all.
_SHOWN = ("tokens_per_second", "tokens_per_step", "accepted_of_tested", "step_ms", "draft_ms", "verify_ms", "request_s")


def summary(report: Report, *, width: int, color: bool) -> str:
    """The comparison in a few lines."""
    document, told = report.document, report.document["diff"]
    word = "wrong" if document["verdict"]["state"] == "wrong" else told["answer"]
    head = f"\x1b[1;{_COLOURS[word]}m{word.upper()}\x1b[0m" if color else word.upper()
    lines = block(
        head, word.upper(), clean(document["verdict"]["headline"].removeprefix(f"{told['answer']}: "), 400), "", width
    )
    for row in told.get("causes", []):
        lines += field(FATES[row["change"]], f"{row['cause']}: {clean(row['headline'], 200)}", width)
    for name, (one, other) in told["configuration"].items():
        lines += field("differs", f"{clean(name, 60)}: {_plain(one)} to {_plain(other)}", width)
    for cause, signs in nested(document):
        lines += block("cause", "cause", clean(cause["headline"], 400), cause["certainty"], width)
        lines += field("signs", ", ".join(s["cause"] for s in signs), width) if signs else []
        lines += cause_lines(later(cause, document), width)
    if told["attribution"]:
        lines += field("terms", ", ".join(_term(term) for term in told["attribution"]), width)
    lines += [line for row in told["slices"] if row["confirmed"] for line in field("slice", _slice(row), width)]
    for metric in told["metrics"]:
        if metric["name"] in _SHOWN:
            lines += field("", _metric(metric), width)
    lines += field("unseen", "; ".join(clean(note, 300) for note in document["verdict"]["not_checked"]), width)
    return "\n".join(lines) + "\n"


#: What became of a cause, as people read it.
FATES: dict[str | None, str] = {"fixed": "FIXED", "still": "STILL", "new": "NEW", None: "unknown"}


def _plain(value: Any) -> str:
    return "not recorded" if value is None else clean(value, 80)


def _term(term: dict[str, Any]) -> str:
    ends = "" if term["low"] is None else f" ({expm1(term['low']):+.1%} to {expm1(term['high']):+.1%})"
    return f"{term['term']} {expm1(term['log_change']):+.1%}{ends}"


def _slice(row: dict[str, Any]) -> str:
    where = " and ".join(f"{clean(k, 40)}={clean(v, 60)}" for k, v in row["where"].items())
    ends = "" if row["low"] is None else f" ({row['low']:+.3f} to {row['high']:+.3f})"
    return f"{where}: {row['contribution']:+.3f} tokens per step{ends}"


def _metric(metric: dict[str, Any]) -> str:
    said = (figure(metric["name"], metric[side]) for side in ("base", "candidate"))
    text = f"{metric['name'].replace('_', ' ').removesuffix(' ms')}: {' to '.join(said)}"
    if metric["change"] is None:
        return text
    ends = "" if metric["low"] is None else f" ({metric['low']:+.1%} to {metric['high']:+.1%})"
    return f"{text}, {metric['change']:+.1%}{ends}"
