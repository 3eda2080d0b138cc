"""What a report tells of each quantity, in every place that prints it: for tests that no two of them differ."""

import html as escapes
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sdtrace.render import difference, html, markdown, terminal
from sdtrace.results.report import Report, Section

#: name -> phrases that print it, the number as group 1. Other quantities beside it have other words (`speed bought with it`).
_PHRASES = {
    "tokens per step": [
        r"(?<!bought with it: )(?<!costs )(?<!to )(?<![+\d.-])(\d[\d,.]*\d|\d) tokens per (?:drafting )?step\b(?! where| there)",
        r"\| tokens per (?:drafting )?step \| ([\d.,]+) \|",
        r"Each step emitted ([\d.]+) tokens on average",
    ],
    "step": [r"\b[Aa] step takes ([\d.,]+ m?s)\b", r"\bof ([\d.,]+ m?s) a step\b", r"^time +([\d.,]+ m?s) a step\b"],
    "plain step": [r"baseline ([\d.,]+ m?s) \(", r"where a plain step takes ([\d.,]+) "],
    "speed-up": [r"Speculation is ([\d.]+) times as fast as plain", r"; ([\d.]+)x plain decoding \("],
    "bound of the speed-up": [r"Speculation is at most ([\d.]+) times", r"at most ([\d.]+)x plain decoding"],
    "best length": [
        r"best draft length is (\d+) instead",
        r"[Dd]raft (\d+) tokens? instead of",
        r"fastest of the lengths that can be judged is (\d+)",
    ],
    "gain": [
        r"best draft length is \d+ instead of \d+: ([+-][\d.]+%) speed",
        r"draft \d+ tokens? instead of \d+: ([+-][\d.]+%) speed",
        r"switch speculation off for this traffic: ([+-][\d.]+%) speed",
        r"throughput would be ([\d.]+%)(?: or more)? higher at the best draft length",
        r"judged is \d+(?: \(probability [^)]*\))?,(?: at least)? ([\d.]+%) faster than now",
    ],
}


@dataclass(frozen=True)
class Told:
    """One number in one place; `half` is what its last printed digit leaves open."""

    what: str
    value: float
    half: float
    where: str


def shown(report: Report) -> str:
    """Page, terminal and Markdown as one text, a line each of the terminal."""
    page = html.page(report).decode()
    page = re.sub(r"<(script|style|svg).*?</\1>", " ", page, flags=re.DOTALL)
    page = escapes.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))
    words = _on_terminal(report)
    text = "\n".join([page, words, markdown.dumps(report).decode()])
    for gone in (report.document["diff"] or {}).get("causes", []):  # what was so in the base speaks of the base
        text = text.replace(" ".join(gone["headline"].split()), " ") if gone["change"] == "fixed" else text
    return text


def _on_terminal(report: Report) -> str:
    if report.document["diff"]:
        return difference.summary(report, width=10_000, color=False)
    if report.document["history"]:
        return terminal.night(report, 10_000, color=False)
    return terminal.summary(report, width=10_000, color=False, verbose=True)


def told(report: Report) -> Iterator[Told]:
    """Every number of the quantities above."""
    text = shown(report)
    for what, phrases in _PHRASES.items():
        for phrase in phrases:
            for found in re.finditer(phrase, text, re.MULTILINE):
                value, half = _number(found[1])
                yield Told(what, value, half, text[max(found.start() - 60, 0) : found.end() + 20])
    yield from _of_document(report.document)


def _of_document(document: dict[str, Any]) -> Iterator[Told]:
    a, time = document["acceptance"] or {}, document["time"] or {}
    yield from _known("tokens per step", a.get("tokens_per_step"), "acceptance.tokens_per_step")
    yield from _known("step", time.get("step_ms"), "time.step_ms")
    yield from _known("plain step", time.get("baseline_ms"), "time.baseline_ms")
    yield from _known("speed-up", time.get("speedup"), "time.speedup")
    for metric in (document["diff"] or {"metrics": []})["metrics"]:  # the page of a comparison is its candidate's
        if (what := _METRICS.get(metric["name"])) is not None:
            yield from _known(what, metric["candidate"], f"diff.metrics, {metric['name']}")
    for service in (document["history"] or {"services": []})["services"]:
        yield from _of_night(service, len(document["history"]["services"]))
    tuning = document["tuning"]
    if tuning is None or tuning.get("one_of_runs", 1) > 1:
        return
    tau = tuning["tau"]
    yield from _known("best length", tau["best"], "tuning.tau.best")
    yield from _known("gain", tau["gain"], "tuning.tau.gain")
    for row in tuning["advice"]:
        if row["what"] == "tau":
            yield from _known("gain", row["gain"], row["text"])
    for point in tau["curve"]:
        where = f"tuning.tau.curve, {point['tau']}"
        if point["tau"] == tau["current"] and point["basis"] == "exact":
            yield from _known("tokens per step", point["tokens_per_step"], where)
            yield from _known("speed-up", point["speedup"], where)
            yield from _known("step", point["step_ms"], where)
        if point["tau"] == 0 and time.get("baseline_ms") and point["speedup"] is not None:
            yield from _known("plain step", point["step_ms"], where)
        # of a length with a figure the gain is that of the speed-ups, where prices have no ends of their own
        known = point["identified"] and point["speedup"] and time.get("speedup") and point["cost_basis"] != "assumed"
        if known and point["tau"] == tau["best"]:
            yield from _known("gain", point["speedup"] / time["speedup"] - 1, where + ", speed-ups")
    for row in tuning["policies"]:
        if row["name"].endswith("(as recorded)"):
            yield from _known("tokens per step", row["tokens_per_step"], row["name"])
            yield from _known("speed-up", row["speedup"], row["name"])


#: Figures of a comparison that the page has elsewhere.
_METRICS = {"tokens_per_step": "tokens per step", "step_ms": "step"}


def _of_night(service: dict[str, Any], services: int) -> Iterator[Told]:
    """Figures of a night's only service are those of the night."""
    for metric in service["metrics"] if services == 1 else ():
        if (what := _METRICS.get(metric["name"])) is not None:
            yield from _known(what, metric["value"], f"history, {service['service']}, {metric['name']}")


def _known(what: str, value: float | None, where: str) -> Iterator[Told]:
    if value is not None:
        yield Told(what, float(value), abs(value) * 1e-6, where)


def _number(text: str) -> tuple[float, float]:
    """A printed number in ms or as it is, and half of its last digit."""
    digits, _, unit = text.partition(" ")
    percent = digits.endswith("%")
    digits = digits.rstrip("%").replace(",", "").rstrip(".")
    places = len(digits.partition(".")[2])
    # three digits that count: 1,290 may stand for 1,285
    whole = 10.0 ** max(len(digits.lstrip("+-")) - 3, 0) if "." not in digits else 1.0
    scale = 0.01 if percent else 1000.0 if unit == "s" else 1.0
    return float(digits) * scale, 0.51 * 10.0**-places * scale * whole


def contradictions(report: Report) -> list[str]:
    """Pairs of places that give one quantity two values."""
    groups: dict[str, list[Told]] = {}
    for one in told(report):
        groups.setdefault(one.what, []).append(one)
    found = []
    for what, places in groups.items():
        sharpest = min(places, key=lambda one: one.half)
        found += [
            f"{what}: {sharpest.value} ({sharpest.where}) and {one.value} ({one.where})"
            for one in places
            if abs(one.value - sharpest.value) > one.half + sharpest.half + 1e-9
        ]
    return found


#: Names of figures that are shares of a whole.
_RATES = ("rate_of_drafted", "rate_of_tested", "share", "probability", "accepted / tested", "acceptance", "slo_met")
#: ... and that are above nothing.
_ABOVE = ("speedup", "speed-up", "tokens_per_step", "tokens per step", "step_ms", "baseline_ms")


def impossible(report: Report) -> list[str]:
    """Values and ends of intervals outside what their quantity can be, or ends on the wrong side of their value."""
    return [*_in_document(report.document, ""), *(one for s in report.sections for one in _in_section(s))]


def _in_document(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, list):
        for i, one in enumerate(value):
            yield from _in_document(one, f"{path}[{i}]")
    if not isinstance(value, dict):
        return
    for name, one in value.items():
        yield from _in_document(one, f"{path}.{name}")
        for low, high in ((f"{name}_low", f"{name}_high"), ("low", "high") if name == "tokens_per_step" else ("", "")):
            if low in value:
                yield from _judged(f"{path}.{name}", name, one, value[low], value[high])
        if name in _COUNTS and isinstance(one, int | float) and one < 0:
            yield f"{path}.{name}: {one} is a count below 0"
    for name, ends in (value.get("ci") or {}).items():
        if isinstance(ends, list):
            yield from _judged(f"{path}.ci.{name}", name, value.get(name), *ends)


_COUNTS = ("steps", "requests", "lines", "windows", "drafted", "accepted", "tested", "tokens", "count")


def _in_section(section: Section) -> Iterator[str]:
    names = section.columns
    for i in range(len(names) - 2):
        if names[i + 1].startswith("low") and names[i + 2].startswith("high"):
            for row in section.rows:
                value, low, high = (None if isinstance(cell, str) else cell for cell in row[i : i + 3])
                what = str(row[0]).split(",")[0] if names[i] == "value" else names[i]
                yield from _judged(f"{section.id}, {row[0]}", what, value, low, high)


def _judged(where: str, name: str, value: Any, low: Any, high: Any) -> Iterator[str]:
    known = [v for v in (low, value, high) if v is not None]
    if known != sorted(known) and max(a - b for a, b in pairwise(known)) > 1e-9:
        yield f"{where}: {value} is not in {low} to {high}"
    if name in _RATES and known and (known[0] < 0 or known[-1] > 1):
        yield f"{where}: {known} is no share"
    if name in _ABOVE and known and known[0] < 0:
        yield f"{where}: {known} is below 0"
    if name.startswith("speed") and known and known[0] <= 0:
        yield f"{where}: {known} is not above 0"


def undrawn(report: Report) -> list[str]:
    """Intervals that stand in a table and that no drawing of the page shows."""
    page = html.page(report).decode()
    found = []
    for section in report.sections:
        part = page[page.index(f'<section id="{section.id}"') :]
        part = part[: part.index("</section>")]
        names = section.columns
        for i in range(len(names) - 2):
            if not (names[i + 1].startswith("low") and names[i + 2].startswith("high")):
                continue
            rows = [row for row in section.rows[: html.ROWS] if all(cell is not None for cell in row[i : i + 3])]
            drawn = part.count('class="interval"') + part.count("95% interval") + part.count("(95%)</title>")
            if rows and not drawn and "at least" not in (section.chart.series if section.chart else ()):
                found.append(f"{section.id}: {len(rows)} intervals of {names[i]}")
    return found
