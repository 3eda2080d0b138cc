"""What a command prints: verdict first, one block a cause, evidence that can be looked up."""

import textwrap
from collections.abc import Sequence

from sdtrace.diagnosis.known.issue import Known
from sdtrace.render import incident as incidents
from sdtrace.render.about import facts
from sdtrace.render.next_step import next_step
from sdtrace.render.steps import met
from sdtrace.render.tables import table
from sdtrace.render.text import clean, counted, exact, figure
from sdtrace.render.time import step_time
from sdtrace.results.check import Check
from sdtrace.results.clock import moment
from sdtrace.results.explains import nested
from sdtrace.results.numbers import per_step
from sdtrace.results.report import Report
from sdtrace.results.words import TITLES, evidence_name, figure_name, tokens
from sdtrace.schema.json_values import Json
from sdtrace.schema.trace import DAMAGED

_COLOURS = {"wrong": "31", "slow": "33", "metric-suspect": "35", "cannot-tell": "36", "healthy": "32"}


def summary(report: Report, *, width: int, color: bool, verbose: bool = False, beside: Sequence[str] = ()) -> str:
    """The report in a few lines. `beside`: lines that stand behind the first cause, on the first screen."""
    document = report.document
    verdict = document["verdict"]
    word = TITLES[verdict["state"]].upper()
    head = f"\x1b[1;{_COLOURS[verdict['state']]}m{word}\x1b[0m" if color else word
    lines: list[str] = []
    sure = [c for c in document["causes"] if c["certainty"] != "suspected"]
    if not sure:
        lines += block(head, word, clean(verdict["headline"], 600), "", width)
    step = next_lines(document, width)  # beside causes only of a damaged file, which is what to do before them
    lines += step if document["causes"] else []
    for i, (cause, signs) in enumerate(nested(document)):
        if i == 0 and sure:
            lines += _root(
                document,
                cause,
                signs,
                block(head, word, clean(verdict["headline"], 600), cause["certainty"], width),
                width,
            )
        else:
            lines += block("also", "also", clean(cause["headline"], 400), cause["certainty"], width)
        lines += cause_lines(incidents.later(cause, document), width, verbose=verbose)
        lines += beside if i == 0 else ()
    lines += [] if document["causes"] else step
    lines += beside if not document["causes"] else ()
    if document["acceptance"] or not document["time"]:  # a profile has times alone
        lines += field("speed", _speed(document), width)
    if document["time"]:
        lines += field("time", step_time(document["time"]), width)
    audit = document["audit"]
    if audit:
        lines += field("law", _law(audit), width)
    lines += field("checks", _checks(document["checks"]), width)
    for check in document["checks"]:
        if (verbose and met(check)) or check["state"] == "crashed":
            lines += field("", f"{check['code']} {check['name']}: {check['state']}, {clean(check['headline'])}", width)
    told = facts(document)
    lines += (
        field("about", "; ".join(f"{name.lower()} {text}" for name, text in told if name != "Affected"), width)
        if told
        else []
    )
    lines += field("input", _inputs(document["inputs"]), width)
    lines += field("unseen", "; ".join(clean(n, 800) for n in verdict["not_checked"]), width)
    return "\n".join(lines) + "\n"


def _root(document: Json, cause: Json, signs: list[Json], first: list[str], width: int) -> list[str]:
    """The incident: its sentence, since when, how much, its signs."""
    incident = document.get("incident")
    lines = [*first]
    for name, text in (("since", incidents.since(incident)), ("impact", incidents.impact(incident))):
        lines += field(name, text, width) if text else []
    if signs:
        lines += field("signs", f"{', '.join(s['cause'] for s in signs)}: explained by {cause['cause']}", width)
    return lines


def night(report: Report, width: int, color: bool) -> str:
    """The night's summary, then its alarms and its change against the baseline."""
    history = report.document["history"]
    lines = [f"Night of {history['night']} ({counted(history['nights'], 'nights')} on record)"]
    for alarm in history["alarms"]:
        known = f" (known until {alarm['until']})" if alarm["until"] else ""
        lines += field("alarm", f"{clean(alarm['id'], 160)} since {alarm['since']}{known}", width)
        lines += field("", clean(alarm["headline"], 400), width)
    for service in history["services"]:
        if service.get("learning"):
            lines += field("learning", learnt(service["service"], service["learning"]), width)
        for m in service["metrics"]:
            if m["change"] is None:
                continue
            value = figure(m["name"], m["value"])
            text = f"{clean(service['service'], 60)}: {figure_name(m['name'])} {value}, {m['change']:+.1%}"
            if m["low"] is not None:
                text += f" ({m['low']:+.1%} to {m['high']:+.1%})"
            lines += field("trend", f"{text} against {m['nights']} nights", width)
    active = [a for a in history["alarms"] if not a["until"]]
    beside = field("night", f"{history['night']}: {counted(len(active), 'alarms')} active, below", width)
    return summary(report, width=width, color=color, beside=beside) + "\n".join(lines) + "\n"


def next_lines(document: Json, width: int) -> list[str]:
    """What to do where nothing is accused; the command on a line of its own, never broken."""
    found = next_step(document)
    if found is None:
        return []
    says, command = found
    return [*field("next", says, width), *([f"         {command}"] if command else [])]


def learnt(service: str, learning: dict[str, int]) -> str:
    """What a service with few nights is still learnt, and when alarms begin."""
    nights, needed = learning["nights"], learning["needed"]
    return (
        f"{clean(service, 60)}: night {nights} of {needed} to learn what is usual; a fault alarms from the first night, "
        f"a changed figure from night {needed + 1}"
    )


def block(head: str, word: str, text: str, right: str, width: int) -> list[str]:
    """A headline behind its word, wrapped; `right` stands at the end of the first line."""
    room = width - max(9, len(word) + 1) - (len(right) + 2 if right else 0)
    wrapped = textwrap.wrap(text, max(room, 30), break_on_hyphens=False) or [""]
    gap = max(9 - len(word), 1)
    first = f"{head}{' ' * gap}{wrapped[0]}"
    if right:
        first += " " * max(width - (len(word) + gap + len(wrapped[0])) - len(right), 2) + right
    return [first, *(f"         {line}" for line in wrapped[1:])]


def field(name: str, text: str, width: int) -> list[str]:
    """A named line, wrapped."""
    wrapped = textwrap.wrap(text, max(width - 9, 30), break_long_words=False, break_on_hyphens=False) or [""]
    return [f"{name:<9}{wrapped[0]}", *(f"         {line}" for line in wrapped[1:])]


def cause_lines(cause: Json, width: int, *, verbose: bool = False) -> list[str]:
    """Evidence, effect and advice of a cause; `verbose`: what would change our mind too."""
    lines = []
    if cause["evidence"]:
        lines += field("", f"{cause['cause']}; first: {_evidence(cause['evidence'][0])}", width)
    if cause.get("effect"):
        lines += field("", clean(cause["effect"], 300), width)
    advice, command = incidents.advised(cause)
    lines += field("next", clean(advice, 500), width)
    if command:
        lines.append(f"         {clean(command, 1000)}")  # never broken: it is there to be copied
    if verbose and cause.get("refuted_by"):
        lines += field("", f"refuted if: {clean(cause['refuted_by'], 400)}", width)
    return lines


def _evidence(row: Json) -> str:
    parts = []
    if row.get("path"):
        parts.append(clean(row["path"], 120) + (f":{row['line']}" if row.get("line") is not None else ""))
    if row.get("request_id") is not None:
        parts.append(f"request {clean(row['request_id'], 60)}")
    parts += [f"{name} {row[name]}" for name in ("step", "position") if row.get(name) is not None]
    if not parts and row.get("run_id") is not None:
        parts.append(f"run {clean(row['run_id'], 60)}")
    text = ", ".join(parts)
    skip = {"path", "line", "request_id", "run_id", "step", "position", "command", "p", "q", "token"}
    values = [
        f"{evidence_name(k)} {moment(v) if k == 'at' else exact(v)}".lstrip() for k, v in row.items() if k not in skip
    ]
    return ": ".join(part for part in (text, ", ".join(values)) if part)


def _speed(document: Json) -> str:
    a = document["acceptance"]
    if a is not None and a["tokens_per_step"] is None and a["rate_of_drafted"] is not None:
        return f"{a['rate_of_drafted']:.1%} of drafted tokens accepted; steps are not counted"
    if a is None or a["tokens_per_step"] is None:
        return "not recorded"
    text = f"{per_step(a['tokens_per_step'])} {tokens(a)}"
    if ci := a["ci"]["tokens_per_step"]:
        text += f" ({per_step(ci[0])} to {per_step(ci[1])})"
    elif document["audit"] and a["steps"]:
        text += " (too few requests for an interval)"
    if a.get("expected_tokens_per_step") is not None:
        text += f", {per_step(a['expected_tokens_per_step'])} expected under the law"
    if a["rate_of_drafted"] is not None:
        text += f"; {a['rate_of_drafted']:.1%} of drafted tokens accepted"
    return text


def _law(audit: Json) -> str:
    text = (
        f"{clean(audit['rule'], 40)} ({audit['rule_source']}): {audit['tested']:,} tested, {audit['agree']:,} agree, "
    )
    return text + f"{audit['disagree']:,} disagree, {audit['undecidable']:,} undecidable"


def _checks(checks: Sequence[Json]) -> str:
    looked = [check for check in checks if met(check)]
    states = [check["state"] for check in looked]
    names = ("fired", "clear", "cannot-tell", "crashed")
    told = [f"{states.count(name)} {name}" for name in names if name in states]
    return ", ".join(
        told + ([f"{len(checks) - len(looked)} of other inputs or laws"] if len(looked) < len(checks) else [])
    )


def _inputs(inputs: Sequence[Json]) -> str:
    names = ("lines", "runs", "requests", "steps", "windows")
    total = {name: sum(i[name] for i in inputs) for name in names}
    losses = [loss for i in inputs for loss in i["losses"]]
    lost = sum(loss["count"] for loss in losses if loss["kind"] != "other")
    other = sum(loss["count"] for loss in losses if loss["kind"] == "other")
    total["responses"] = sum(i["records"] for i in inputs if i["format"] == "responses")
    counts = [counted(total["responses"], "responses")] if total["responses"] else []
    counts += [counted(total[n], n) for n in names[1:] if total[n] or (n != "windows" and total["steps"])]
    text = f"{counted(total['lines'], 'lines')}: {', '.join(counts) or 'nothing read'}, {lost:,} lost"
    if other:
        text += f", {other:,} about other things"
    first = next((loss for loss in losses if loss["kind"] != "other"), None)
    if first:
        text += f" (first: {clean(first['where'], 80)}: {clean(first['what'], 100)})"
    damage = next((n for i in inputs for n in i["notices"] if n["kind"] == "damaged"), None)
    return text + (f"; {clean(damage['where'], 80)}: {DAMAGED}, {clean(damage['advice'], 100)}" if damage else "")


def catalogue(checks: Sequence[Check], width: int) -> str:
    """Every check: code, name, what it finds."""
    rows = [[c.code, c.name, clean(c.text.strip().split("\n", 1)[0], 120)] for c in checks]
    return "\n".join(table(["code", "name", "finds"], rows, width=width, color=False, wrapped=2)) + "\n"


def issues(known: Sequence[Known]) -> str:
    """The known issues: what was reported, where it is fixed, what helps, the link."""
    lines = []
    for issue in known:
        bound = " ".join(part for part in (issue.engine, issue.versions, issue.method) if part)
        lines += [f"{issue.name} ({bound}): {issue.says}", f"    signature: {', '.join(issue.signature)}"]
        lines += [f"    flags: {issue.flags}"] if issue.flags else []
        lines += [f"    fixed in: {issue.fixed_in or 'not known here'}; {issue.workaround}", f"    {issue.url}"]
    return "\n".join(lines) + "\n"


def page(check: Check) -> str:
    """The manual page of a check."""
    laws = "any law" if check.laws is None else ", ".join(sorted(check.laws))
    needs = ", ".join(check.needs) or "nothing beyond the step itself"
    return f"{check.code} {check.name}\n\n{check.text.strip()}\n\nLaws: {laws}\nNeeds: {needs}\n"


def detection(rows: Sequence[Json]) -> str:
    """What each input is."""
    lines = []
    for row in rows:
        lines.append(f"{clean(row['path'], 200)}: {row['format']}")
        for part in row.get("engines", [row]):
            lines += _known(part)
        if row.get("problem"):
            lines.append(f"  not read to its end: {clean(row['problem'], 200)}")
        lines += [f"  not {name}: {clean(why, 200)}" for name, why in row.get("refused", {}).items()]
    return "\n".join(lines) + "\n"


def _known(row: Json) -> list[str]:
    known = [f"{k} {clean(row[k], 120)}" for k in ("engine", "version", "rule") if row.get(k) is not None]
    known += [f"{k} {moment(row[k])}" for k in ("from", "to") if row.get(k) is not None]
    lines = ["  " + ", ".join(known)] if known else []
    lines += [f"  can judge: {what}" for what in row.get("judged", [])]
    return lines + [f"  to judge more: {what}" for what in row.get("log", [])]
