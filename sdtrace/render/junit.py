"""JUnit XML: one test case a check, and one an alarm, so that a CI shows which check failed and why."""

from xml.etree.ElementTree import Element, SubElement, tostring

from sdtrace.render.text import clean, configuration
from sdtrace.results.report import Report
from sdtrace.schema.json_values import Json


def dumps(report: Report) -> bytes:
    """The report's checks as `testsuites`; what a check could not judge is skipped, with the reason."""
    document = report.document
    checks = document["checks"]
    standing = [a for a in (document["history"] or {}).get("alarms", []) if a["kind"] != "cause"]
    states = [c["state"] for c in checks]
    counts = {
        "tests": len(checks) + len(standing),
        "failures": states.count("fired") + sum(a["until"] is None for a in standing),
        "errors": states.count("crashed"),
        "skipped": states.count("cannot-tell") + sum(a["until"] is not None for a in standing),
    }
    top = Element("testsuites", {"name": "sdtrace", "tests": str(counts["tests"]), "failures": str(counts["failures"])})
    top.set("errors", str(counts["errors"]))
    suite = SubElement(top, "testsuite", {"name": "sdtrace", **{k: str(v) for k, v in counts.items()}})
    properties = SubElement(suite, "properties")
    verdict = document["verdict"]
    for name, value in (
        ("version", document["version"]),
        ("verdict", verdict["state"]),
        ("headline", verdict["headline"]),
    ):
        SubElement(properties, "property", {"name": name, "value": clean(value, 400)})
    if "configuration" in document:
        mine = document["configuration"]
        told = clean(f"{mine['file']}: {configuration(mine['flags'])}", 1000)
        SubElement(properties, "property", {"name": "configuration", "value": told})
    for check in checks:
        _case(suite, check, document["causes"])
    for alarm in standing:
        _alarm(suite, alarm)
    text: bytes = tostring(top, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + text + b"\n"


def _case(suite: Element, check: Json, causes: list[Json]) -> None:
    case = SubElement(suite, "testcase", {"classname": "sdtrace.checks", "name": f"{check['code']} {check['name']}"})
    headline = clean(check["headline"], 400)
    if check["state"] == "fired":
        failure = SubElement(case, "failure", {"type": check["name"], "message": headline})
        failure.text = "\n".join(_told(c) for c in causes if check["code"] in c["checks"]) or headline
    elif check["state"] == "crashed":
        SubElement(case, "error", {"type": "crashed", "message": headline})
    elif check["state"] == "cannot-tell":
        SubElement(case, "skipped", {"message": headline})


def _told(cause: Json) -> str:
    lines = [f"{cause['cause']} ({cause['certainty']}): {clean(cause['headline'], 400)}"]
    for row in cause["evidence"][:3]:
        lines.append("  " + ", ".join(f"{k} {clean(v, 80)}" for k, v in row.items() if v is not None))
    return "\n".join([*lines, f"next: {clean(cause['advice'], 500)}"])


def _alarm(suite: Element, alarm: Json) -> None:
    case = SubElement(suite, "testcase", {"classname": "sdtrace.alarms", "name": clean(alarm["id"], 160)})
    told = f"{clean(alarm['headline'], 400)} (since {alarm['since']})"
    if alarm["until"] is not None:
        SubElement(case, "skipped", {"message": f"acknowledged until {alarm['until']}: {told}"})
    else:
        SubElement(case, "failure", {"type": alarm["kind"], "message": told}).text = clean(alarm["advice"], 500)
