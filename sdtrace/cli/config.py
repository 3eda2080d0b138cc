"""sdtrace.toml: flags written once. A table a command, a key a long flag; the environment and real flags go over it.

    [report]
    fail-on = "slow"
    [nightly]
    state = "history"
    fail-if = ["tokens_per_step < -5%"]

The file is `--config FILE`, SDTRACE_CONFIG, or sdtrace.toml in the working folder. SDTRACE_NIGHTLY_STATE=... sets one flag.
A folder may be somebody else's (a download, a clone): its file is found, not named, so it may not write outside the folder,
delete, or send the work elsewhere, and what it sets is told.
"""

import importlib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from sdtrace.cli.outputs import Output
from sdtrace.errors import UsageError, nearest
from sdtrace.render.text import clean, configuration

FILE = "sdtrace.toml"
#: Bytes of a file beyond which it is none of ours.
LONGEST = 1 << 20
#: Where the command of a context keeps what of the configuration is in force.
_IN_FORCE = "sdtrace.configuration"

#: What the file of a folder may not set, and why.
_BY_HAND = {
    "retention": "it deletes nights",
    "recover": "it sets nights aside",
    "acknowledge": "a person acknowledges an alarm, once",
    "engine": "it sends the inputs to other machines",
    "address": "it sends the inputs to other machines",
    "webhook": "it sends the night to another machine",
    "verifier": "it names a model to load",
    "drafter": "it names a model to load",
    "suspect": "it names a model to load",
}


@dataclass(frozen=True)
class Configuration:
    """A configuration file. `named` by the user, or else found in the working folder; `tables`: command -> parameter -> value."""

    file: str
    named: bool
    tables: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class InForce:
    """What of a configuration file a command runs under: long flag -> value, less what real flags and the environment set."""

    file: str
    flags: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """The key `configuration` of a report."""
        return {"file": self.file, "flags": self.flags}


def load(file: str | None, verbs: Mapping[str, str]) -> Configuration | None:
    """The configuration; None where there is none. Raises UsageError for what is not understood."""
    named = file or os.environ.get("SDTRACE_CONFIG")
    path = named or (FILE if os.path.isfile(FILE) else None)
    if path is None:
        return None
    try:
        with open(path, "rb") as stream:
            text = stream.read(LONGEST + 1)
        if len(text) > LONGEST:
            raise UsageError(f"{path}: longer than {LONGEST:,} bytes", "it is no configuration of sdtrace")
        tables = tomllib.loads(text.decode())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}", "name a file that can be read with --config") from error
    except (ValueError, RecursionError) as error:  # TOML, UTF-8, numbers of too many digits, nesting
        raise UsageError(
            f"{path}: {str(error)[:200]}", 'it must be TOML: [report], then lines such as fail-on = "slow"'
        ) from error
    return Configuration(path, bool(named), {verb: _table(path, verb, table, verbs) for verb, table in tables.items()})


def enforce(command: click.Command, ctx: click.Context) -> None:
    """Tell what the configuration sets for this command. Raises UsageError where a folder's file sets what it may not."""
    found: Configuration | None = ctx.obj
    options = [
        option
        for option in command.params
        if option.name and ctx.get_parameter_source(option.name) is click.core.ParameterSource.DEFAULT_MAP
    ]
    if found is None or not options:
        return
    flags = {}
    for option in options:
        name, flag = str(option.name), option.opts[-1].removeprefix("--")
        value = ctx.params[name] if name in ctx.params else ctx.lookup_default(name)  # a limit is no parameter
        if not found.named:
            _allowed(found.file, flag, option, value)
        flags[flag] = list(value) if isinstance(value, tuple) else value
    ctx.meta[_IN_FORCE] = InForce(found.file, flags)
    shown = ("quiet", "verbose", *(o.name for o in options if isinstance(o.type, Output)))
    judges = any(option.name not in shown for option in options)
    if not (ctx.params.get("quiet") and (found.named or not judges)):
        click.echo(clean(f"configuration in force: {found.file}: {configuration(flags)}", 1000), err=True)


def in_force() -> InForce | None:
    """What of a configuration file the running command obeys."""
    ctx = click.get_current_context(silent=True)
    return None if ctx is None else ctx.meta.get(_IN_FORCE)


def _allowed(file: str, flag: str, option: click.Parameter, value: Any) -> None:
    """Raises UsageError where the file of a folder may not set a flag so."""
    way = f"give --{flag} on the command line, or name the file: --config {file}"
    if flag in _BY_HAND:
        raise UsageError(f"{file}: {flag} is not taken from the file of a folder: {_BY_HAND[flag]}", way)
    if not isinstance(option.type, Output) or value == "-":
        return
    here, there = os.path.realpath("."), os.path.realpath(value)
    inside = not os.path.isabs(value) and os.path.commonpath([here, there]) == here
    hidden = any(part.startswith(".") for part in os.path.relpath(there, here).split(os.sep) if part != ".")
    if not inside or hidden:
        raise UsageError(f"{file}: {flag} = {value}: leads out of this folder, or to a hidden file of it", way)


def _table(path: str, verb: str, table: Any, verbs: Mapping[str, str]) -> dict[str, Any]:
    if verb not in verbs or not isinstance(table, dict):
        raise UsageError(f"{path}: [{verb}] is no command", nearest(verb, verbs))
    command: click.Command = importlib.import_module(f"sdtrace.cli.{verb}").command
    flags = {
        flag.removeprefix("--"): option
        for option in command.params
        if isinstance(option, click.Option)
        for flag in option.opts
        if flag.startswith("--")
    }
    found = {}
    for key, value in table.items():
        if key not in flags:
            raise UsageError(f"{path}: [{verb}] has no {key}", nearest(key, flags))
        found[str(flags[key].name)] = _fitting(f"{path}: [{verb}] {key}", flags[key], value)
    return found


def _fitting(where: str, option: click.Option, value: Any) -> Any:
    if option.multiple:
        values = value if isinstance(value, list) else [value]
        if all(isinstance(v, str) for v in values):
            return values
        raise UsageError(f"{where}: {value!r} does not fit", "write a list of strings")
    if option.is_flag and not isinstance(option.flag_value, str):
        if isinstance(value, bool):
            return value
        raise UsageError(f"{where}: {value!r} does not fit", "write true or false")
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise UsageError(f"{where}: {value!r} does not fit", "write what the flag takes, as a string or a number")
