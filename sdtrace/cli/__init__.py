"""The commands: the only place that prints, opens outputs and chooses exit codes. One verb, one file."""

import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from sdtrace.version import VERSION

#: verb -> what it does; the module of the same name holds the command.
VERBS = {
    "report": "Read, audit, check, diagnose: a summary here, -o FILE.html, --json FILE.",
    "diff": "What changed between two traces or logs, by how much, where, and why.",
    "explain": "Why each drafted token of a step was accepted or rejected.",
    "tune": "Which draft length, budget or policy suits this traffic, as far as the trace can tell.",
    "nightly": "One night added to the history: report, trend, alarms.",
    "watch": "A live engine's /metrics in the terminal; --for 60s -o FILE.html ends in a report.",
    "probe": "Ask a running server: is it right, and how fast; --against URL2 compares.",
    "replay": "Run the target model again over a trace and compare.",
    "detect": "Which format, what can be judged from it, what to log to judge more.",
    "bundle": "The evidence of a report in one file: the steps concerned, versions, commands.",
    "convert": "Anything readable to trace format 1 (JSON Lines or Parquet).",
    "simulate": "A made trace with one planted fault (or healthy), for drills.",
    "grafana": "A Grafana dashboard over the engines' own metrics.",
    "alerts": "Prometheus alert rules over the engines' own metrics.",
    "checks": "The catalogue of checks, or one check's manual page.",
    "help": "The manual: a page a topic.",
    "manual": "The manual as a static site.",
}


class _Verbs(click.Group):
    """Loads a verb when it is called: `--help` costs no more than click itself."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"sdtrace.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        # a bare path means report: `sdtrace trace.jsonl`
        if args and args[0] not in VERBS and (args[0] == "-" or os.path.exists(args[0])):
            args = ["report", *args]
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from sdtrace.errors import UsageError, nearest

            hint = nearest(args[0], VERBS, "sdtrace --help lists the commands")
            raise UsageError(f"{args[0]}: no such command, and no such file", hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.command(
    cls=_Verbs,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "auto_envvar_prefix": "SDTRACE",
    },
)
@click.version_option(VERSION, prog_name="sdtrace")
@click.option("--config", metavar="FILE", help="Flags from this file instead of sdtrace.toml here.")
@click.pass_context
def group(ctx: click.Context, config: str | None) -> None:
    """Diagnostics for speculative decoding in LLM serving.

    Is it the drafter, the engine, the traffic, the configuration, or the metric? `sdtrace report TRACE` answers.
    """
    if config or os.environ.get("SDTRACE_CONFIG") or os.path.isfile("sdtrace.toml"):
        from sdtrace.cli.config import load

        ctx.obj = load(config, VERBS)
        ctx.default_map = ctx.obj.tables if ctx.obj else {}


def main(args: list[str] | None = None) -> None:
    """Run a command and leave with its exit code; what a user did wrong is told, never thrown."""
    sys.exit(run(args))


def run(args: list[str] | None = None) -> int:
    """The exit code of a command (vocabulary: exit codes)."""
    from sdtrace.atomic import FULL
    from sdtrace.errors import SdtraceError  # the base of every error; costs nothing

    # Arrow's own pool takes 1 GB of address space at once, which is all that a process with `ulimit -d` may have
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    try:
        with _stoppable():
            result: Any = group.main(args, prog_name="sdtrace", standalone_mode=False)
            sys.stdout.flush()
    except _Stopped as stopped:
        return 128 + int(str(stopped))
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return 2
    except SdtraceError as error:
        _tell(error.message, error.hint)
        return error.exit_code
    except BrokenPipeError:
        _drop_output()
        return 141
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        return 130
    except MemoryError:
        _tell("out of memory", "give fewer inputs at a time, or --since and --until")
        return 5
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:  # standard output; other outputs say so themselves
            _drop_output()
            _tell(f"standard output: {error.strerror}", "free some space, or send it elsewhere")
            return 2
        return _internal(error)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # as a library in Rust ends, which is no Exception
            raise
        return _internal(error)
    return result if isinstance(result, int) else 0


def _internal(error: BaseException) -> int:
    if os.environ.get("SDTRACE_TRACEBACK"):
        raise error
    what, hint = f"internal error: {type(error).__name__}: {error}", "SDTRACE_TRACEBACK=1 shows where it happened"
    _tell(what[:300], f"please report it; {hint}")
    return 5


def _drop_output() -> None:
    """What is left in the buffer of standard output has nowhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Stopped(BaseException):
    """A signal that ends the process: outputs begun and temporary files are removed on the way out."""


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM and SIGHUP end a command as an error does, not at once; what ignores them (nohup) goes on ignoring them."""

    def stop(number: int, _: Any) -> None:
        raise _Stopped(number)

    mine = [s for s in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) == signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        mine = []  # only the main thread may ask
    for number in mine:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)


def _tell(message: str, hint: str) -> None:
    from sdtrace.render.text import clean  # messages quote paths and values from outside

    click.echo(f"error: {clean(message, 600)}", err=True)
    click.echo(f"hint: {clean(hint, 400)}", err=True)
