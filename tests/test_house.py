"""The house: imports run one way, modules stay small, every verb is in the README."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import sdtrace
from sdtrace import errors
from sdtrace.cli import VERBS

TOP = Path(__file__).resolve().parents[1]
MODULES = sorted((TOP / "sdtrace").rglob("*.py"))


#: Rooms from the top, as the package's own docstring lists them.
ROOMS = re.findall(r"^    (\w+) +\S", sdtrace.__doc__ or "", re.MULTILINE)

#: Inside a folder of equals (one check, law, reader a file), what several of them may share.
SHARED = {
    "checks": set(),
    "verify/laws": {"greedy"},
    "readers/trace": {"columns", "strict", "validate"},
    "readers/metrics": {"series", "prometheus"},
    "readers/records": {"shape"},
}


def room(module: str) -> str:
    return module.split(".")[1]


@cache
def imports(path: Path) -> set[str]:
    """Every module of sdtrace that the file imports, at its top or in a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("sdtrace"):
            found |= {node.module} if node.module != "sdtrace" else {f"sdtrace.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("sdtrace.")}
    return found


def test_every_room_is_listed_once_and_there() -> None:
    there = {path.stem for path in (TOP / "sdtrace").iterdir() if not path.name.startswith(("__", "."))}
    there -= {"py", "templates", "sample_logs"}
    assert sorted(ROOMS) == sorted(there)
    assert len(ROOMS) <= 31


def test_every_test_stands_in_the_room_of_what_it_tests() -> None:
    """A room of one module has its test beside the folders; house, kit and golden are of the whole."""
    folders = {path.name for path in (TOP / "sdtrace").iterdir() if path.is_dir()}
    heavier = set(pytest_options()["norecursedirs"])
    for path in (TOP / "tests").rglob("test_*.py"):
        place = path.relative_to(TOP / "tests").parts
        if len(place) == 1:
            assert path.stem.removeprefix("test_") in {*ROOMS, "house", "kit", "golden"} - folders, place
        else:
            assert place[0] in {*folders, *heavier, "made"}, place


def test_no_test_module_imports_from_another() -> None:
    """What several of them need stands in tests/made."""
    for path in (TOP / "tests").rglob("*.py"):
        assert not re.findall(r"^(?:from|import) tests\.(?:\w+\.)*test_\w+", path.read_text(), re.MULTILINE), path


def pytest_options() -> dict[str, Any]:
    options: dict[str, Any] = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    return options


@pytest.mark.parametrize("name", ROOMS)
def test_imports_run_down(name: str) -> None:
    for path in MODULES:
        if path.relative_to(TOP / "sdtrace").with_suffix("").parts[0] != name:
            continue
        for other in {room(module) for module in imports(path)} - {name}:
            assert ROOMS.index(other) > ROOMS.index(name), (
                f"{path.relative_to(TOP)} imports {other}, which stands above"
            )


@pytest.mark.parametrize("folder", SHARED)
def test_equals_do_not_know_each_other(folder: str) -> None:
    """A check knows no check, a law no law, a reader of one format no other reader."""
    package = "sdtrace." + folder.replace("/", ".")
    for path in (TOP / "sdtrace" / folder).glob("*.py"):
        if path.stem not in {"__init__"} | SHARED[folder]:
            beside = {m.removeprefix(package + ".").split(".")[0] for m in imports(path) if m.startswith(package + ".")}
            assert beside <= SHARED[folder], path


def test_modules_are_small() -> None:
    texts = {path.relative_to(TOP): path.read_text() for path in MODULES}
    assert [path for path, text in texts.items() if len(text.splitlines()) > 300] == []
    assert [path for path in texts if path.stem in {"utils", "common", "base", "core", "helpers"}] == []
    assert [p for p, text in texts.items() if not text.strip().startswith('"""')] == [], (
        "a module begins with what it is for"
    )


def test_values_that_may_be_anything_are_few() -> None:
    """What travels has a type: `dict[str, Any]` at most five times in a thousand lines."""
    texts = [path.read_text() for path in MODULES]
    assert 1000 * sum(text.count("dict[str, Any]") for text in texts) <= 5 * sum(map(len, map(str.splitlines, texts)))


#: What one parameter may be: a place, a text, a number or many, one or several of a kind, a set of names, an end and its reason.
KINDS = (
    {"str", "Path", "os.PathLike[str]", "IO[bytes]"},
    {"str", "bytes", "bytearray"},
    {"int", "float", "bool", "Ints", "Flags", "slice"},
    {"str", "Sequence[str]"},
    {"str", "Sequence[int]"},
    {"By", "Literal['all']"},
    {"str", "LimitError"},
)


def members(annotation: ast.expr | None) -> set[str]:
    """The types of a union, or the one type that it is."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return members(ast.parse(annotation.value, mode="eval").body)
    if isinstance(annotation, ast.BinOp):
        return members(annotation.left) | members(annotation.right)
    return set() if annotation is None else {ast.unparse(annotation)}


def test_a_parameter_has_one_type_and_a_name_that_says_it() -> None:
    """`found` and `told` are what happened to a value and not what it is: they name no parameter."""
    for path in MODULES:
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for one in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs):
                where = f"{path.relative_to(TOP)}: {function.name}({one.arg})"
                assert one.arg not in ("found", "told"), where
                parts = members(one.annotation) - {"None"}
                assert len(parts) < 2 or any(parts <= kind for kind in KINDS), where


def test_no_code_of_a_model_is_run() -> None:
    """Transformers runs Python that comes with a model where it is not told otherwise, each time it loads something."""
    calls = [
        (path, node)
        for path in [*MODULES, *(TOP / "tests").rglob("*.py"), *(TOP / "sample_logs").rglob("*.py")]
        if "from_pretrained" in path.read_text()  # a tree of each of a thousand files costs seconds
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "from_pretrained"
    ]
    assert len(calls) > 3
    for path, call in calls:
        said = {word.arg: word.value for word in call.keywords}.get("trust_remote_code")
        assert isinstance(said, ast.Constant), (path, call.lineno)
        assert said.value is False, (path, call.lineno)


def test_what_ci_runs_is_there() -> None:
    text = (TOP / ".ci" / "run").read_text()
    for path in re.findall(r"\btests/[\w/.]*\w", text):
        assert (TOP / path).exists(), path


def test_every_verb_is_in_the_readme_and_every_error_in_the_manual() -> None:
    readme, errors_page = (
        (TOP / "README.md").read_text(),
        (TOP / "templates" / "manual" / "troubleshooting.md").read_text(),
    )
    assert len(readme.splitlines()) < 150
    for verb in VERBS:
        assert f"`sdtrace {verb}" in readme
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.SdtraceError) and error is not errors.SdtraceError:
            assert f"**{error.slug}**" in errors_page
