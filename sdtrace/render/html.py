"""One page: offline, readable without script, the same bytes for the same report."""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from sdtrace.errors import SdtraceError
from sdtrace.render import about, incident
from sdtrace.render.charts import svg
from sdtrace.render.next_step import next_step
from sdtrace.render.steps import met, quiet
from sdtrace.render.text import cell, clean, configuration, exact, lean, number, per_step, percent, visible
from sdtrace.render.whisker import whiskers
from sdtrace.results.clock import moment
from sdtrace.results.explains import Named, nested, why
from sdtrace.results.report import Report
from sdtrace.results.words import TITLES, evidence_name, tokens
from sdtrace.schema.json_values import Json

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
        ids=report.ids,
        text=report.text,
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
    made.filters |= {
        "clean": clean,
        "number": number,
        "percent": percent,
        "evidence_name": evidence_name,
        "chips": chips,
        "configuration": configuration,
        "nested": nested,
    }
    made.filters |= {
        "impact": incident.impact,
        "since": incident.since,
        "advised": incident.advised,
        "next_step": next_step,
        "later": incident.later,
        "refuted": incident.refuted,
        "unbroken": unbroken,
        "foldable": foldable,
        "why": _why,
    }
    made.filters |= {"facts": about.facts, "title": about.title, "moment": moment, "folded": folded}
    made.filters |= {"quiet": quiet, "emitted": emitted, "anchors": anchors}
    made.filters |= {"met": met, "tokens": tokens, "whiskers": whiskers, "visible": visible}
    made.tests |= {"met": met}
    made.filters |= {"exact": exact, "lean": lean, "per_step": per_step}
    made.globals |= {"svg": svg, "cell": cell}
    return made


def _why(root: Json, sign: Json) -> str | None:
    return why(*(Named(c["cause"], c["side"], c["certainty"]) for c in (root, sign)))


def templates() -> Path:
    """The folder of templates: in the package when installed, beside it in a checkout."""
    here = Path(__file__).resolve().parents[1]
    for folder in (here / "templates", here.parent / "templates"):
        if (folder / "report.html").is_file():
            return folder
    raise SdtraceError("the page templates are missing", "install sdtrace again: the package is incomplete")


def unbroken(text: str) -> Markup:
    """Escaped, its options in one piece: a narrow page breaks none at a hyphen."""
    return Markup(re.sub(r"(?<!\S)(--[\w-]+)", r'<span class="option">\1</span>', str(escape(text))))


def foldable(path: str) -> Markup:
    """Escaped, with a place to break behind each folder: a narrow page breaks none inside a name."""
    return Markup(str(escape(path)).replace("/", "/<wbr>"))


def emitted(step: Json, ids: bool) -> Iterator[tuple[str, str, str]]:
    """What the engine appended in a step whose decisions part from the law: class, name and title of each token, as it was."""
    kept, tokens = step.get("recorded") or 0, step.get("emitted")
    count = len(tokens) if tokens is not None else kept + (1 if step["last"] else 0) + step.get("beyond", 0)
    for j in range(min(count, TOKENS)):
        texts = step.get("emitted_text")
        name = clean(tokens[j], 12) if ids and tokens is not None else str(j) if j < kept else "+"
        name = visible(texts[j], 16) if texts and texts[j] is not None else name
        if j < kept:
            yield "accepted", name, "accepted by the engine"
        else:
            yield "last", name, str(step["last"]["kind"]) if step["last"] and j == kept else "appended too"


def anchors(viewer: Iterable[Any]) -> dict[tuple[str, int], str]:
    """(request, step) -> where the page shows it."""
    return {
        (v.request_id, s["step"]): f"r{i}-step-{s['step']}"
        for i, v in reversed(list(enumerate(viewer, 1)))
        for s in v.steps
    }


def folded(steps: list[Json]) -> list[list[Json]]:
    """Steps in groups: neighbours that follow the law and that no finding points at are one group."""
    groups: list[list[Json]] = []
    for step in steps:
        if groups and quiet(step) and quiet(groups[-1][-1]):
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


_MARKS = {"accepted": Markup("&#10003;"), "rejected": Markup("&#10007;"), "not reached": Markup("&middot;")}


def chips(tokens: Iterable[Json], ids: bool, *, figures: bool = True) -> Iterator[tuple[str, str, str, str, str, str]]:
    """For each token its class, reason, mark and name, its chances and its draw ("" where it was not reached), as text.

    `figures`: whether chances and draws are written out; the reason has them, too.
    A page has thousands of them: made here, they take a third of the time that expressions in the template take.
    """
    for t in tokens:
        decision = t["decision"]
        odd = t.get("not_finite", {})
        kind = decision.replace(" ", "-") + (" differs" if t.get("agrees") is False else "")
        name = clean(t["token"] if ids else t["position"], 12)
        text = t.get("text")
        chances, draw = "", ""
        if decision != "not reached" and figures:
            p, q, r = (odd.get(k) or exact(t[k]) for k in ("target", "draft", "r"))
            chances = f"p {p}" + (f" q {q}" if t["draft"] is not None or "draft" in odd else "")
            draw = f"r {r}" if t["r"] is not None or "r" in odd else ""
            draw += f" ratio {exact(t['ratio'])}" if t["ratio"] is not None else ""
        reason = clean(t["reason"], 300) if text is None else f"token {name}: {clean(t['reason'], 300)}"
        yield kind, reason, _MARKS.get(decision, "?"), name if text is None else visible(text, 16), chances, draw
