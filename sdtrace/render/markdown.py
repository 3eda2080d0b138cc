"""A summary for a chat or an issue. Nothing from a log can form markup: it stands in code spans or is escaped."""

import re

from sdtrace.render.incident import later
from sdtrace.render.text import clean, configuration, number, per_step, percent
from sdtrace.results.report import Report
from sdtrace.results.words import TITLES, tokens
from sdtrace.schema.json_values import Json

_CAUSES = 8


def dumps(report: Report) -> bytes:
    """Verdict, causes with one piece of evidence each, alarms, figures, what was not checked."""
    document = report.document
    verdict = document["verdict"]
    lines = [f"**{TITLES[verdict['state']]}**: {escape(verdict['headline'])}", ""]
    causes = document["causes"]
    for cause in causes[:_CAUSES]:
        lines.append(f"- **{cause['cause']}** ({cause['certainty']}): {escape(cause['headline'])}")
        if cause["evidence"]:
            lines.append(f"  - first: {_evidence(cause['evidence'][0])}")
        lines.append(f"  - next: {escape(later(cause, document)['advice'])}")
    if len(causes) > _CAUSES:
        lines.append(f"- and {len(causes) - _CAUSES} more")
    lines += _history(document["history"])
    lines += _figures(document["acceptance"])
    lines += ["", "Not checked: " + "; ".join(escape(n) for n in verdict["not_checked"])]
    if "configuration" in document:
        mine = document["configuration"]
        lines += ["", f"Configuration in force: {_code(mine['file'])}: {escape(configuration(mine['flags']))}"]
    return ("\n".join(lines) + f"\n\n*sdtrace {document['version']}*\n").encode("utf-8", "replace")


#: What GitHub, GitLab, chats and mail turn into a link or a mention in a word, whatever is escaped: addresses, domains,
#: @name, #1, !1, GH-1, the hash of a commit.
_LINKS = re.compile(r"://|@|www\.|[#!]\d|GH-\d|\w\.[a-z]{2,}|^\W*[0-9a-f]{7,40}\W*$", re.IGNORECASE)


def escape(text: object) -> str:
    """One line without live markup: what could become a link or a mention stands in code, and every character that
    Markdown or HTML reads is escaped."""
    return " ".join(_code(word, 500) if _LINKS.search(word) else _escaped(word) for word in clean(text, 500).split(" "))


def _escaped(word: str) -> str:
    return re.sub(r"([\\`*_{}\[\]()#+!|<>&~@$-])", r"\\\1", word).replace("\\<", "&lt;").replace("\\&", "&amp;")


def _code(text: object, limit: int = 120) -> str:
    return "`" + clean(text, limit).replace("`", "'") + "`"


def _evidence(row: Json) -> str:
    place = f"{row['path']}:{row['line']}" if row.get("path") and row.get("line") is not None else row.get("path")
    parts = [_code(place)] if place else []
    parts += [
        f"{k.replace('_id', '')} {_code(row[k])}" for k in ("request_id", "step", "position") if row.get(k) is not None
    ]
    return ", ".join(parts)


def _figures(a: Json | None) -> list[str]:
    if a is None:
        return []
    rows = [
        (tokens(a), per_step(a["tokens_per_step"])),
        ("accepted of drafted", percent(a["rate_of_drafted"])),
        ("steps", number(a["steps"])),
    ]
    return ["", "| figure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]


def _history(history: Json | None) -> list[str]:
    if history is None:
        return []
    lines = ["", f"Night of {history['night']} ({history['nights']:,} nights on record)."]
    for a in history["alarms"]:
        known = f" (known until {a['until']})" if a["until"] is not None else ""
        lines.append(f"- alarm {_code(a['id'])} since {a['since']}{known}: {escape(a['headline'])}")
    return lines
