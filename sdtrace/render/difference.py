"""A comparison on the terminal: the answer, its causes, the attribution, the figures that changed."""

from math import expm1
from typing import Any

from sdtrace.render.incident import later
from sdtrace.render.tables import Cell, table
from sdtrace.render.terminal import block, cause_lines, field, next_lines
from sdtrace.render.text import clean, figure
from sdtrace.results.explains import nested
from sdtrace.results.report import Report
from sdtrace.results.words import tokens
from sdtrace.schema.json_values import Json

_COLOURS = {"wrong": "31", "regressed": "33", "improved": "32", "fine": "32", "inconclusive": "36"}
#: Figures that are listed; the JSON has all.
_SHOWN = ("tokens_per_second", "tokens_per_step", "accepted_of_tested", "step_ms", "draft_ms", "verify_ms", "request_s")


def summary(report: Report, *, width: int, color: bool) -> str:
    """The comparison in a few lines."""
    document, told = report.document, report.document["diff"]
    word = "wrong" if document["verdict"]["state"] == "wrong" else told["answer"]
    head = f"\x1b[1;{_COLOURS[word]}m{word.upper()}\x1b[0m" if color else word.upper()
    wrong = any(cause["side"] == "wrong" for cause in document["causes"])  # that is said before the answer
    lines = block(head, word.upper(), clean(document["verdict"]["headline"] if wrong else told["says"], 400), "", width)
    lines += next_lines(document, width)
    for row in told.get("causes", []):
        said = field(FATES[row["change"]], f"{row['cause']}: {clean(row['headline'], 400)}", width)
        lines += _painted(said, FATES[row["change"]], color=color)
    for name, (one, other) in told["configuration"].items():
        lines += field("differs", f"{clean(name, 60)}: {_plain(one)} to {_plain(other)}", width)
    for cause, signs in nested(document):
        lines += block("cause", "cause", clean(cause["headline"], 400), cause["certainty"], width)
        lines += field("signs", ", ".join(s["cause"] for s in signs), width) if signs else []
        lines += cause_lines(later(cause, document), width)
    if told["attribution"]:
        lines += field("terms", ", ".join(_term(term) for term in told["attribution"]), width)
    lines += [line for row in told["slices"] if row["confirmed"] for line in field("slice", _slice(row), width)]
    per = tokens(document["acceptance"])
    if rows := [_metric(metric, per) for metric in told["metrics"] if metric["name"] in _SHOWN]:
        lines += table(["figure", "base", "candidate", "change", "95% interval"], rows, width=width, color=color)
    lines += field("unseen", "; ".join(clean(note, 300) for note in document["verdict"]["not_checked"]), width)
    return "\n".join(lines) + "\n"


#: What became of a cause, as people read it.
FATES: dict[str | None, str] = {"fixed": "FIXED", "still": "STILL", "new": "NEW", None: "unknown"}


#: Their colours.
_PAINT = {"FIXED": "32", "STILL": "33", "NEW": "31"}


def _painted(lines: list[str], word: str, *, color: bool) -> list[str]:
    if not color or word not in _PAINT:
        return lines
    return [lines[0].replace(word, f"\x1b[{_PAINT[word]}m{word}\x1b[0m", 1), *lines[1:]]


def _plain(value: Any) -> str:
    return "not recorded" if value is None else clean(value, 80)


def _term(term: Json) -> str:
    ends = "" if term["low"] is None else f" ({expm1(term['low']):+.1%} to {expm1(term['high']):+.1%})"
    return f"{term['term']} {expm1(term['log_change']):+.1%}{ends}"


def _slice(row: Json) -> str:
    where = " and ".join(f"{clean(k, 40)}={clean(v, 60)}" for k, v in row["where"].items())
    ends = "" if row["low"] is None else f" ({row['low']:+.3f} to {row['high']:+.3f})"
    return f"{where}: {row['contribution']:+.3f} tokens per step{ends}"


def _metric(metric: Json, per: str) -> list[Cell]:
    """A row of the table; `per`: what tokens per step are over.

    A change that is sure is green where it is for the better, red where it is not.
    """
    name, change, low, high = (metric[n] for n in ("name", "change", "low", "high"))
    sides = [figure(name, metric[side], rate=False) for side in ("base", "candidate")]
    shown = per if name == "tokens_per_step" else name.replace("_", " ").removesuffix(" ms").removesuffix(" s")
    if change is None:
        return [shown, *sides, "-", "-"]
    sure = low is not None and (low > 0 or high < 0)
    better = (change < 0) == name.endswith(("_ms", "_s"))
    told = (f"{change:+.1%}", ("green" if better else "red") if sure else "")
    return [shown, *sides, told, "-" if low is None else f"{100 * low:+.1f} to {high:+.1%}"]
