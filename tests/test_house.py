"""The house: imports run one way, modules stay small, every verb and every error is in the README."""

import ast
from pathlib import Path

import pytest

from sdtrace import errors
from sdtrace.cli import VERBS

TOP = Path(__file__).resolve().parents[1]
MODULES = sorted((TOP / "sdtrace").rglob("*.py"))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("sdtrace."):
            found.add(node.module)
        elif isinstance(node, ast.ImportFrom) and node.module == "sdtrace":
            found |= {f"sdtrace.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("sdtrace.")}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(TOP)))
def test_modules_are_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300
    assert path.stem not in {"utils", "common", "base", "core", "helpers"}
    assert path.read_text().strip().startswith('"""'), "a module begins with what it is for"


def test_every_verb_and_error_is_in_the_readme() -> None:
    readme = (TOP / "README.md").read_text()
    for verb in VERBS:
        assert f"`sdtrace {verb}" in readme
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.SdtraceError) and error is not errors.SdtraceError:
            assert f"**{error.slug}**" in readme
