"""Every pattern takes steps in proportion to the text: counted, on texts made from the pattern to be as slow as they can be."""

import ast
import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import sdtrace
from sdtrace.readers.envelopes import wrapped_json
from sdtrace.readers.logs.announcements import BY_KEY
from tests.made.backtracking import worst

ROOT = Path(sdtrace.__file__).parent
USES = {"match", "fullmatch", "search", "finditer", "findall", "sub", "split"}
#: Modules that need what a test run may lack.
EXTRA = ("sdtrace.replay", "sdtrace.record", "sdtrace.__main__")


@cache
def sources() -> dict[Path, str]:
    """The text of every module; read by the worker that runs these tests, not by each that collects them."""
    return {path: path.read_text() for path in sorted(ROOT.rglob("*.py"))}


def used() -> dict[str, set[str]]:
    """Methods that a variable of each name is used with."""
    found: dict[str, set[str]] = {}
    for text in sources().values():
        for name, use in re.findall(rf"\b(\w+)(?:\[\w+\])?\.({'|'.join(USES)})\(", text):
            found.setdefault(name, set()).add(use)
    return found


def held(value: Any, name: str, depth: int = 4) -> Iterator[tuple[str, re.Pattern[Any]]]:
    """Compiled patterns in a module's value, with the name of the variable."""
    if isinstance(value, re.Pattern):
        yield name, value
    elif depth and isinstance(value, Mapping):
        for one in value.values():
            yield from held(one, name, depth - 1)
    elif depth and isinstance(value, tuple | list | set | frozenset):
        for one in value:
            yield from held(one, name, depth - 1)
    elif depth and is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            yield from held(getattr(value, one.name, None), one.name, depth - 1)


_CALLS = re.compile(rf"\bre\.({'|'.join(USES)})\(")


@cache
def patterns() -> dict[tuple[Any, int], tuple[str, set[str]]]:
    """(pattern, flags) -> where it is, and the methods that it is used with."""
    found: dict[tuple[Any, int], tuple[str, set[str]]] = {}
    uses = used()
    for info in pkgutil.walk_packages([str(ROOT)], "sdtrace."):
        if info.name.startswith(EXTRA):
            continue
        for variable, value in vars(importlib.import_module(info.name)).items():
            for name, pattern in held(value, variable):
                found.setdefault((pattern.pattern, pattern.flags), (f"{info.name}.{variable}", uses.get(name, set())))
    # what engines say of themselves stands at the beginning of a message; other rows with a field `pattern` are searched for
    assert "row.pattern.match(message)" in sources()[ROOT / "readers" / "logs" / "announcements" / "__init__.py"]
    for key, row in BY_KEY.items():
        found[row.pattern.pattern, row.pattern.flags] = (f"announcement {key}", {"match"})
    for path, text in sources().items():
        if not _CALLS.search(text):  # a tree of each of 650 modules costs seconds
            continue
        for call in ast.walk(ast.parse(text)):
            if (told := written(call, path)) is not None:
                pattern, use = told
                found.setdefault((pattern.pattern, pattern.flags), (f"{path.name}: {ast.unparse(call)[:80]}", {use}))
    return found


def written(call: ast.AST, path: Path) -> tuple[re.Pattern[Any], str] | None:
    """Pattern and method of a call `re.search("...", ...)`; None where the call is another, or its pattern no constant."""
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.args):
        return None
    module, first, use = call.func.value, call.args[0], call.func.attr
    if not (isinstance(module, ast.Name) and module.id == "re") or use not in USES:
        return None
    if isinstance(first, ast.Constant):
        return re.compile(first.value), use
    if isinstance(first, ast.Name) and first.id.isupper():
        name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
        return re.compile(getattr(importlib.import_module(name), first.id)), use
    return None


def test_patterns_are_found() -> None:
    where = {name for name, _ in patterns().values()}
    assert len(patterns()) > 100
    assert {"sdtrace.readers.logs.llamacpp._BEFORE", "sdtrace.readers.logs.user_text._OPENS"} <= where


@pytest.mark.one_of(8)
@pytest.mark.parametrize("part", range(8))
def test_every_pattern_is_linear(part: int) -> None:
    slow = {}
    for (pattern, flags), (where, uses) in list(patterns().items())[part::8]:
        growth, text = worst(re.compile(pattern, flags), uses)
        if growth > 2.6:
            slow[where] = f"steps grow {growth:.1f} times for twice as much of {text}"
    assert not slow


@pytest.mark.one_of(8)
@pytest.mark.parametrize(
    ("pattern", "linear"),
    [
        (r"(?:a|ab|b)*c", False),
        (r"a.*b", False),
        (r"a\s*[\s]+$", False),
        (r"\b(\w+)=", True),
        (r"x(?:(?!x).)*+y", True),
        (r"^(?:a|b)*+c", True),
        (r"a{0,100}b{0,100}c", True),
        (r"(?<![\d.])[\d.]++%", True),
    ],
)
def test_the_counter_tells_linear_from_not(pattern: str, linear: bool) -> None:
    growth, _ = worst(re.compile(pattern), {"search"})
    assert (growth <= 2.6) is linear


@pytest.mark.slow
def test_records_that_never_end_are_looked_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text of lines that open a record and close none: each would be looked at once for every one before it."""
    real, looks = wrapped_json._state, Counter[str]()

    def counted(text: str, depth: int, inside: bool) -> tuple[int, bool]:
        looks[text] += 1
        return real(text, depth, inside)

    monkeypatch.setattr(wrapped_json, "_state", counted)
    costs = []
    for n in (6_000, 12_000):
        looks.clear()
        assert wrapped_json.wrapped([(i, '{"kind": "step", "a": [1,') for i in range(n)]) is None
        costs.append(looks.total())
    assert costs[1] - costs[0] <= 3 * 6_000
