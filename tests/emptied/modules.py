"""Emptying a module that is imported: whoever holds one of its functions, by whatever name, gets an error from it."""

import ast
import gc
import importlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType

TOP = Path(__file__).resolve().parents[2]
PACKAGE = TOP / "sdtrace"
#: Modules that need what a test run may lack, or that are only run as a program.
APART = ("sdtrace.replay.engine.transformers", "sdtrace.__main__")


class EmptiedError(RuntimeError):
    """A function of the emptied module was called."""


def name_of(path: Path) -> str:
    """The dotted name of a module's file."""
    return ".".join(path.relative_to(TOP).with_suffix("").parts).removesuffix(".__init__")


def holds_functions(path: Path) -> bool:
    """Whether there is anything to empty: what a module of data alone holds is made when it is imported."""
    return any(isinstance(node, ast.FunctionDef) for node in ast.walk(ast.parse(path.read_text())))


@cache
def _raising(free: int) -> CodeType:
    """Code that raises, with as many variables of an outer function as the code it stands for."""
    names = [f"v{i}" for i in range(free)]
    lines = ["def outer():", *(f"    {name} = None" for name in names), "    def emptied(*args, **kwargs):"]
    lines += [f"        {name}" for name in names] + ["        raise error('emptied')", "    return emptied"]
    made: dict[str, Callable[[], FunctionType]] = {}
    exec("\n".join(lines), {"error": EmptiedError}, made)
    return made["outer"]().__code__


def load() -> dict[str, list[FunctionType]]:
    """Import every module of the package; file -> the functions that were made of it. What needs torch may have none."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if not name_of(path).startswith(APART):
            with suppress(ModuleNotFoundError):
                importlib.import_module(name_of(path))
    found: dict[str, list[FunctionType]] = {}
    for one in gc.get_objects():
        if isinstance(one, FunctionType):
            found.setdefault(one.__code__.co_filename, []).append(one)
    return found


def emptied(functions: Iterable[FunctionType]) -> None:
    """Empty what an imported module holds, in place."""
    for function in functions:
        function.__globals__.setdefault("error", EmptiedError)
        function.__code__ = _raising(len(function.__code__.co_freevars))


def tests_of(path: Path) -> list[list[str]]:
    """Test files, those first that are likeliest to notice; what is in a later list is run where an earlier one passed."""
    name, room = name_of(path), path.relative_to(PACKAGE).with_suffix("").parts[0]
    parent, _, last = name.rpartition(".")
    spoken = (f"from {name} import", f"import {name}", f"from {parent} import {last}")
    tests = sorted(p for p in (TOP / "tests").rglob("test_*.py") if "browser" not in p.parts)
    own = [p for p in tests if any(words in p.read_text() for words in spoken)]
    named = [p for p in tests if p.stem == f"test_{last}" or (room == "cli" and f'run(["{last}"' in p.read_text())]
    golden = TOP / "tests" / "test_golden.py"
    faces = [f"from {face} import" for face in dict.fromkeys((parent, f"sdtrace.{room}")) if face != "sdtrace"]
    near = [p for p in tests if any(face in p.read_text() for face in faces) or path.parent.name in p.parts[:-1]]
    rest = [p for p in tests if p.relative_to(TOP / "tests").parts[0] in (room, f"test_{room}.py")]
    found: list[list[str]] = []
    for stage in ([*named, golden], own, near, rest):
        before = {name for names in found for name in names}
        names = [str(p.relative_to(TOP)) for p in stage]
        found.append([name for name in names if name not in before])
    return [names for names in found if names]
