"""The manual as a static site: one HTML file a page, searched without a server, under the policy of the report."""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import orjson
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from sdtrace.render.html import environment, templates
from sdtrace.render.pages import Kind, Page
from sdtrace.version import VERSION

#: Groups of pages in the order of the contents, with their titles.
GROUPS: dict[Kind, str] = {
    "topic": "Topics",
    "command": "Commands",
    "cause": "Causes",
    "check": "Checks",
    "law": "Verification rules",
    "format": "Input formats",
}
_COMMAND = re.compile(r"sdtrace help ([\w.-]+)")


def files(pages: Sequence[Page]) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of every file of the site; index.html holds the contents and the search."""
    names = [file(page) for page in pages]
    if len(set(names)) < len(names):
        raise ValueError("two pages of one name")
    links = {name: file(page) for page in pages for name in (page.name, page.also) if name}
    made, grouped = environment().get_template("manual.html"), _grouped(pages)
    script, style = ((templates() / name).read_text("utf-8") for name in ("manual.js", "page.css"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    shared = {"groups": grouped, "style": Markup(style), "version": VERSION, "digest": digest, "script": Markup(script)}
    for page in pages:
        body = Markup(_linked(markdown().render(page.markdown), links, file(page)))  # of our own text, HTML off
        yield file(page), made.render(**shared, title=page.title, body=body, index=None, here=file(page)).encode()
    index = Markup(_embedded({file(page): _words(page) for page in pages}))
    yield "index.html", made.render(**shared, title="Manual", body="", index=index, here="index.html").encode()


def markdown() -> MarkdownIt:
    """CommonMark with tables; HTML in a page is text."""
    return MarkdownIt("commonmark", {"html": False}).enable("table")


def file(page: Page) -> str:
    """Name of the file of a page: topics by their name, all others behind their kind."""
    name = re.sub(r"[^a-z0-9.]+", "-", page.name.lower())
    return f"{name}.html" if page.kind == "topic" else f"{page.kind}-{name}.html"


def _grouped(pages: Iterable[Page]) -> list[tuple[str, list[tuple[str, str]]]]:
    found: dict[Kind, list[tuple[str, str]]] = {kind: [] for kind in GROUPS}
    for page in pages:
        found[page.kind].append((file(page), page.title))
    return [(GROUPS[kind], rows) for kind, rows in found.items() if rows]


def _linked(html: str, links: Mapping[str, str], here: str) -> str:
    """`sdtrace help NAME` in a page becomes a link to that page."""

    def link(match: re.Match[str]) -> str:
        target = links.get(match[1].lower())
        return match[0] if target in (None, here) else f'<a href="{escape(target)}">{match[0]}</a>'

    return _COMMAND.sub(link, html)


def _words(page: Page) -> str:
    """What a search looks at: title, other names and text of a page, in lower case, on one line."""
    return " ".join(f"{page.title} {page.also} {page.markdown}".lower().split())


def _embedded(value: object) -> str:
    """JSON that is safe inside an element of a page."""
    return orjson.dumps(value).decode().replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
