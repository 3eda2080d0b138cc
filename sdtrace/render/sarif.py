"""SARIF 2.1.0: a rule for every cause that was found, a result with the place of each of its first pieces of evidence."""

import re
from urllib.parse import quote

import orjson

from sdtrace.render.text import clean, configuration
from sdtrace.results.report import Report
from sdtrace.schema.json_values import Json

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_SEEN = 20


def dumps(report: Report) -> bytes:
    """The causes and alarms as one run."""
    document = report.document
    causes = document["causes"]
    standing = [a for a in (document["history"] or {}).get("alarms", []) if a["kind"] != "cause"]
    rules = {c["cause"]: _rule(c["cause"], c["advice"]) for c in causes}
    rules |= {a["kind"]: _rule(a["kind"], "look at the trend of the nights") for a in standing}
    results = [r for c in causes for r in _results(c, list(rules).index(c["cause"]))]
    results += [_alarm(a, list(rules).index(a["kind"])) for a in standing]
    driver = {"name": "sdtrace", "version": document["version"], "rules": list(rules.values())}
    crashed = any(c["state"] == "crashed" for c in document["checks"])
    run = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": not crashed}],
        "results": results,
        "properties": {"verdict": document["verdict"]["state"]} | _configuration(document),
    }
    return orjson.dumps(
        {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )


def _configuration(document: Json) -> dict[str, str]:
    if "configuration" not in document:
        return {}
    mine = document["configuration"]
    return {"configuration": clean(f"{mine['file']}: {configuration(mine['flags'])}", 1000)}


def _said(text: object, limit: int) -> str:
    """A message: brackets would be a link of SARIF's, and an invisible joiner keeps viewers from making links and mentions."""
    shown = re.sub(r"([\\\[\]])", r"\\\1", clean(text, limit))
    return re.sub(r"@(?=\w)|[#!](?=\d)|:(?=//)|www(?=\.)|GH(?=-\d)", "\\g<0>\u2060", shown, flags=re.IGNORECASE)


def _rule(name: str, advice: str) -> Json:
    return {
        "id": name,
        "name": "".join(word.capitalize() for word in name.split("-")),
        "shortDescription": {"text": name.replace("-", " ")},
        "help": {"text": _said(advice, 500)},
    }


def _level(cause: Json) -> str:
    if cause["certainty"] == "suspected":
        return "note"
    return "error" if cause["side"] == "wrong" else "warning"


def _results(cause: Json, index: int) -> list[Json]:
    """One result a witness with a place; one without a place where there is none."""
    made = []
    for row in cause["evidence"][:_SEEN] or [{}]:
        where = ", ".join(
            f"{k} {clean(row[k], 80)}" for k in ("request_id", "step", "position") if row.get(k) is not None
        )
        text = _said(cause["headline"], 400) + (f" ({_said(where, 300)})" if where else "")
        result = {"ruleId": cause["cause"], "ruleIndex": index, "level": _level(cause), "message": {"text": text}}
        if row.get("path"):
            result["locations"] = [{"physicalLocation": _place(row)}]
        made.append(result | {"partialFingerprints": {"cause/v1": f"{cause['cause']} {where}"}})
    return made


def _place(row: Json) -> Json:
    path = re.sub("^/+", "/", str(row["path"]))  # two slashes would name a host
    place: Json = {"artifactLocation": {"uri": quote(path.encode("utf-8", "replace"), safe="/")}}
    if isinstance(row.get("line"), int) and row["line"] > 0:
        place["region"] = {"startLine": row["line"]}
    return place


def _alarm(alarm: Json, index: int) -> Json:
    result: Json = {
        "ruleId": alarm["kind"],
        "ruleIndex": index,
        "level": "error" if alarm["side"] == "wrong" else "warning",
        "message": {"text": f"{_said(alarm['headline'], 400)} (since {alarm['since']})"},
        "partialFingerprints": {"cause/v1": clean(alarm["id"], 160)},
    }
    if alarm["until"] is not None:
        why = _said(alarm["why"] or "", 200)
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": f"until {alarm['until']}: {why}"}
        ]
    return result
