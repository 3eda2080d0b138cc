"""How every command that ends in a report hands it over: files for people and machines, then the exit code."""

from collections.abc import Callable
from dataclasses import replace
from json import dumps
from typing import Any, TypeVar

import click

from sdtrace.cli import options, outputs
from sdtrace.results.report import Report
from sdtrace.schema.json_values import Json

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R", bound=Report)

#: --fail-on: verdicts that fail at each level.
LEVELS = {
    "none": set[str](),
    "wrong": {"wrong"},
    "slow": {"wrong", "slow"},
    "any": {"wrong", "slow", "metric-suspect"},
}


def machines(function: F) -> F:
    """--json, --junit, --sarif, --prometheus, --markdown, --certificate."""
    for name, says in (
        ("markdown", "a summary in Markdown for a chat or an issue"),
        ("prometheus", "gauges for Prometheus' textfile collector"),
        ("sarif", "SARIF 2.1.0"),
        ("junit", "JUnit XML"),
        ("json", "the JSON document"),
    ):
        text = f"Write {says} there; - is standard output."
        function = click.option(f"--{name}", f"{name}_file", type=outputs.FILE, metavar="FILE", help=text)(function)
    text = "Write what was tested and the bound on what was missed; python -m sdtrace.certificate FILE checks it."
    return click.option("--certificate", "certificate_file", type=outputs.FILE, metavar="FILE.json", help=text)(
        function
    )


def judgement(function: F) -> F:
    """--fail-on (wrong without it), --fail-if, --require-evidence, --exit-zero."""
    return judgement_at("wrong", function)


def judgement_at(least: str, function: F) -> F:
    """The same with another level where none is given."""
    function = click.option("--exit-zero", is_flag=True, help="Exit 0 whatever is found.")(function)
    function = click.option("--require-evidence", is_flag=True, help="Exit 4 when the verdict is cannot-tell.")(
        function
    )
    help_if = "Exit 1 when this is true of a figure: 'tokens_per_step < 1.8'; against the baseline '< -5%'. Repeatable."
    function = click.option("--fail-if", multiple=True, metavar="COND", help=help_if)(function)
    level = click.Choice(list(LEVELS))
    return click.option("--fail-on", type=level, default=least, show_default=True, help="Exit 1 at this or worse.")(
        function
    )


def people(function: F) -> F:
    """--content, -q, -v."""
    function = click.option("-v", "--verbose", is_flag=True, help="Also list the checks that are clear.")(function)
    function = click.option("-q", "--quiet", is_flag=True, help="No summary on the terminal.")(function)
    what = click.Choice(["none", "ids", "text"])
    return click.option("--content", type=what, default="none", show_default=True, help="Content shown.")(function)


def understood(given: Json) -> None:
    """A slip in a condition is told before the work, not after it."""
    from sdtrace.cli.conditions import condition

    for text in given["fail_if"]:
        condition(text)


def configured(report: R) -> R:
    """The report with the configuration that the command was run under, where a file set some of it."""
    from sdtrace.cli.config import in_force

    mine = in_force()
    return report if mine is None else replace(report, document=report.document | {"configuration": mine.document()})


def show(report: Report, given: Json) -> int:
    """Write and print a report as the flags ask; the exit code."""
    from sdtrace.render import html, terminal

    report = configured(report)
    if given["content"] == "text" and not report.text:
        way = "; report --tokenizer FOLDER shows them as text" if "tokenizer" in given else ""
        click.echo(f"note: traces hold token ids and no text; the ids are shown{way}", err=True)
    if given["output"]:
        options.write(given["output"], html.page(report))
    taken = write(report, given)
    if not given["quiet"] and not taken:
        text = terminal.summary(report, width=options.width(), color=options.colour(), verbose=given["verbose"])
        click.echo(text, nl=False)
        if given["output"] and given["output"] != "-":
            click.echo(f"report: {given['output']}", err=True)
    return exit_code(report.document, given)


def to_standard_output(given: Json) -> bool:
    """Whether one of the files is standard output."""
    return "-" in (given[name] for name in given if name.endswith("_file") or name == "output")


def write(report: Report, given: Json) -> bool:
    """Write what was asked for; whether standard output was taken by one of the files."""
    from sdtrace.render import json, junit, markdown, prometheus, sarif

    report = configured(report)
    renderers = {"json": json, "junit": junit, "sarif": sarif, "prometheus": prometheus, "markdown": markdown}
    asked = {name: given[f"{name}_file"] for name in renderers if given[f"{name}_file"]}
    for name, file in asked.items():
        options.write(file, renderers[name].dumps(report))
    if given.get("certificate_file"):
        from sdtrace.certificate import certificate

        options.write(given["certificate_file"], dumps(certificate(report.document), indent=1).encode() + b"\n")
    return "-" in asked.values()


def exit_code(document: Json, given: Json) -> int:
    """The exit code of a report. What is acknowledged does not fail; conditions are told on standard error."""
    from sdtrace.cli.conditions import condition, judge
    from sdtrace.render.text import clean

    if any(check["state"] == "crashed" for check in document["checks"]):
        return 5
    results = judge([condition(text) for text in given["fail_if"]], document)
    for result in results:
        click.echo(clean(result.sentence(), 300), err=True)
    if given["exit_zero"]:
        return 0
    if _states(document) & LEVELS[given["fail_on"]] or any(r.met for r in results):
        return 1
    return 4 if given["require_evidence"] and document["verdict"]["state"] == "cannot-tell" else 0


def _states(document: Json) -> set[str]:
    """The verdict, and the sides of standing alarms; of a night whose causes are all known, only what is not."""
    history = document["history"]
    if history is None:
        return {document["verdict"]["state"]}
    return {a["side"] for a in history["alarms"] if a["until"] is None}
