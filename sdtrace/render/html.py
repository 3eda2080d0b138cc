"""One page: offline, readable without script, the same bytes for the same report."""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sdtrace.errors import SdtraceError
from sdtrace.render import about, incident
from sdtrace.render.charts import svg
from sdtrace.render.text import clean, configuration, number
from sdtrace.results.clock import moment
from sdtrace.results.explains import Named, nested, why
from sdtrace.results.report import Report
from sdtrace.results.words import TITLES
from sdtrace.schema.trace import OTHER

#: Rows of a table, steps of a request, tokens of a step that a page shows; the rest is counted.
ROWS, TOKENS, EVIDENCE, LOSSES, ALARMS = 60, 24, 8, 40, 20


def page(report: Report) -> bytes:
    """The whole report as one HTML file, under 2 MB whatever the input."""
    return _render("report.html", report).encode("utf-8", "replace")


def fragment(report: Report) -> str:
    """The report for a notebook: a frame of its own, so that its style stays inside."""
    source = Markup('<iframe srcdoc="{}" width="100%" height="720" style="border:0"></iframe>')
    return str(source.format(page(report).decode("utf-8")))


def _render(name: str, report: Report) -> str:
    made = environment()
    script, style = ((templates() / n).read_text("utf-8") for n in ("page.js", "page.css"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return made.get_template(name).render(
        document=report.document,
        sections=report.sections,
        viewer=report.viewer,
        script=Markup(script),  # our own file, whose hash stands in the policy
        style=Markup(style),
        digest=digest,
        states=TITLES,
        other=OTHER,
        ids=report.ids,
        caps={"rows": ROWS, "tokens": TOKENS, "evidence": EVIDENCE, "losses": LOSSES, "alarms": ALARMS},
    )


@cache
def environment() -> Environment:
    """The templates with our filters; every value is escaped."""
    made = Environment(
        loader=FileSystemLoader(templates()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"clean": clean, "number": number, "chips": chips, "configuration": configuration, "nested": nested}
    made.filters |= {
        "impact": incident.impact,
        "since": incident.since,
        "advised": incident.advised,
        "later": incident.later,
        "why": _why,
    }
    made.filters |= {"facts": about.facts, "title": about.title, "moment": moment}
    made.globals |= {"svg": svg}
    return made


def _why(root: dict[str, Any], sign: dict[str, Any]) -> str | None:
    return why(*(Named(c["cause"], c["side"], c["certainty"]) for c in (root, sign)))


def templates() -> Path:
    """The folder of templates: in the package when installed, beside it in a checkout."""
    here = Path(__file__).resolve().parents[1]
    for folder in (here / "templates", here.parent / "templates"):
        if (folder / "report.html").is_file():
            return folder
    raise SdtraceError("the page templates are missing", "install sdtrace again: the package is incomplete")


_MARKS = {"accepted": Markup("&#10003;"), "rejected": Markup("&#10007;"), "not reached": Markup("&middot;")}


def chips(tokens: Iterable[dict[str, Any]], ids: bool) -> Iterator[tuple[str, str, str, str, str, str]]:
    """For each token its class, reason, mark and name, its chances and its draw ("" where it was not reached), as text.

    A page has thousands of them: made here, they take a third of the time that expressions in the template take.
    """
    for t in tokens:
        decision = t["decision"]
        kind = decision.replace(" ", "-") + (" differs" if t.get("agrees") is False else "")
        name = clean(t["token"] if ids else t["position"], 12)
        chances, draw = "", ""
        if decision != "not reached":
            chances = f"p {number(t['target'])}" + (f" q {number(t['draft'])}" if t["draft"] is not None else "")
            draw = f"r {number(t['r'])}" if t["r"] is not None else ""
            draw += f" ratio {number(t['ratio'])}" if t["ratio"] is not None else ""
        yield kind, clean(t["reason"], 300), _MARKS.get(decision, "?"), name, chances, draw
