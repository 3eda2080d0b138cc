"""The manual: a page a topic, Markdown files beside the templates. What is a number in the code is filled in here."""

from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown
from rich.text import Text

from sdtrace.errors import UsageError, nearest
from sdtrace.render.html import templates


def topics() -> dict[str, str]:
    """Every topic with the sentence that its page begins with."""
    return {file.stem: _says(file.read_text("utf-8")) for file in _files()}


def _files() -> list[Path]:
    return sorted((templates() / "manual").glob("*.md"))


def page(topic: str, figures: Mapping[str, str]) -> str:
    """The Markdown of a page, `figures` in place of their names in braces. Raises UsageError for an unknown topic."""
    files = {file.stem: file for file in _files()}
    if topic not in files:
        raise UsageError(f"{topic}: no such topic", nearest(topic, list(files)))
    text = files[topic].read_text("utf-8")
    for name, value in figures.items():
        text = text.replace(f"{{{name}}}", value)
    return text


class _Code(CodeBlock):
    """Commands and code: no line is broken, so that what is copied can be run."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in str(self.text).rstrip().split("\n"):
            yield Text(f"    {line}", style="cyan", no_wrap=True, overflow="ignore", end="\n")


class _Heading(Heading):
    """Headings stand where the text begins."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(str(self.text).upper() if self.tag == "h1" else str(self.text), style="bold")


class _Page(Markdown):
    elements = Markdown.elements | {"fence": _Code, "code_block": _Code, "heading_open": _Heading}


def shown(markdown: str, width: int, colour: bool) -> str:
    """A page laid out for a terminal."""
    out = StringIO()
    console = Console(
        file=out, width=width, force_terminal=colour, no_color=not colour, highlight=False, legacy_windows=False
    )
    console.print(_Page(markdown), soft_wrap=False, crop=False)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _says(text: str) -> str:
    """The first paragraph below the title, as one line."""
    return " ".join(text.split("\n\n")[1].split())
