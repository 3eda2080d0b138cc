"""Every check, one a file: found by its module, in the order of the codes."""

import importlib
import pkgutil
from dataclasses import replace

from sdtrace.errors import UsageError, nearest
from sdtrace.results.cause_words import WORDS
from sdtrace.results.check import Check


def _load() -> tuple[Check, ...]:
    found = []
    for module in pkgutil.iter_modules(__path__):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        found.append(replace(loaded.CHECK, text=loaded.__doc__ or ""))
    return tuple(sorted(found, key=lambda check: check.code))


CHECKS: tuple[Check, ...] = _load()


def by_code(code: str) -> Check:
    """The check of that code or name. Raises UsageError where there is none."""
    for check in CHECKS:
        if code.lower() in (check.code.lower(), check.name):
            return check
    known = [word for check in CHECKS for word in (check.name, check.code)]
    raise UsageError(
        f"{code}: no such check or cause", nearest(code, [*known, *WORDS], "sdtrace checks lists them all")
    )
