"""sdtrace.toml: flags written once. A table a command, a key a long flag; the environment and real flags go over it.

    [report]
    fail-on = "slow"
    [nightly]
    state = "/var/lib/sdtrace"
    fail-if = ["tokens_per_step < -5%"]

The file is `--config FILE`, SDTRACE_CONFIG, or sdtrace.toml in the working folder. SDTRACE_NIGHTLY_STATE=... sets one flag.
"""

import difflib
import importlib
import os
import tomllib
from collections.abc import Mapping
from typing import Any

import click

from sdtrace.errors import UsageError

FILE = "sdtrace.toml"


def defaults(file: str | None, verbs: Mapping[str, str]) -> dict[str, Any]:
    """What click takes as `default_map`: command -> parameter -> value. Raises UsageError for what is not understood."""
    path = file or os.environ.get("SDTRACE_CONFIG") or (FILE if os.path.isfile(FILE) else None)
    if path is None:
        return {}
    try:
        with open(path, "rb") as stream:
            tables = tomllib.load(stream)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}", "name a file that can be read with --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: {error}", 'it must be TOML: [report], then lines such as fail-on = "slow"'
        ) from error
    return {verb: _table(path, verb, table, verbs) for verb, table in tables.items()}


def _table(path: str, verb: str, table: Any, verbs: Mapping[str, str]) -> dict[str, Any]:
    if verb not in verbs or not isinstance(table, dict):
        raise UsageError(f"{path}: [{verb}] is no command", _nearest(verb, verbs))
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
            raise UsageError(f"{path}: [{verb}] has no {key}", _nearest(key, flags))
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


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.5)
    return f"did you mean {near[0]}?" if near else "known: " + ", ".join(known)
