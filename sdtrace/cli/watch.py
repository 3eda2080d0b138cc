"""`sdtrace watch`: a live engine in the terminal."""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import click

from sdtrace.cli import options, outputs, results, times

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sdtrace.audit.live import Live


@click.command("watch", cls=outputs.Verb)
@click.argument("url", metavar="URL")
@click.option("--every", callback=times.long, metavar="TIME", default="2s", show_default=True, help="How often to ask.")
@click.option(
    "--for",
    "for_",
    callback=times.long,
    metavar="TIME",
    help="End after that long: 60s, 5m. Else Ctrl-C or SIGTERM ends.",
)
@click.option("--once", is_flag=True, help="One scrape: counts since the engine started.")
@options.limits("http_timeout", "http_max")
@outputs.html("At the end, write the HTML report of what was seen.")
@results.machines
@results.judgement
def command(url: str, **given: Any) -> int:
    """Watch an engine's /metrics: tokens per step, acceptance by position, throughput, queue, what changed.

    URL is that of a vLLM, SGLang, llama.cpp, LMDeploy or TensorRT-LLM server, with or without /metrics. A restart of
    the engine is survived. What was seen ends in a summary and in the exit code of a report, after Ctrl-C too.
    """
    from sdtrace.audit.live import Live, demand, follow
    from sdtrace.errors import UsageError
    from sdtrace.pipeline import diagnosis_and_report
    from sdtrace.redaction import redacted

    every, until = given["every"], given["for_"]
    if every < 0.1:
        raise UsageError("--every is too short", "0.1s is the least")
    if given["once"] and until is not None:
        raise UsageError("--once and --for exclude each other", "leave one of them out")
    address = _address(url)
    live = Live(redacted(address))
    taken = results.to_standard_output(given)
    with contextlib.suppress(KeyboardInterrupt), _stoppable(), _screen(taken=taken) as show:
        for state in follow(live, _fetcher(address), every, until, once=given["once"]):
            show(state)
    demand(live)
    _, found = diagnosis_and_report(live.audit(), {})
    return results.show(found, {**given, "quiet": False, "verbose": False, "content": "none"})


def _address(url: str) -> str:
    """The address of /metrics; a bare host:port is http."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    path = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=path if path.endswith("/metrics") else f"{path}/metrics"))


def _fetcher(url: str) -> Callable[[], str]:
    from sdtrace.readers.io.http import Server  # only for what asks a server

    server = Server()
    return lambda: server.get(url).decode("utf-8", "replace")


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM ends the watch as Ctrl-C does, so that a service that is stopped still writes its report."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _screen(*, taken: bool) -> Any:
    """A screen that is drawn over on a terminal, a line a scrape elsewhere: on standard error where standard output is `taken`."""
    from sdtrace.render import live as drawn

    if taken or not sys.stdout.isatty():
        told = 0

        def say(state: "Live") -> None:
            nonlocal told
            if len(state.restarts) > told:
                click.echo("restarted: counters begin anew, nothing is lost", err=taken)
            told = len(state.restarts)
            click.echo(drawn.line(state), err=taken)

        yield say
        return
    from rich.live import Live as Screen

    with Screen(auto_refresh=False) as screen:

        def show(state: "Live") -> None:
            picture: RenderableType = drawn.screen(state, screen.console.width)
            screen.update(picture, refresh=True)

        yield show
