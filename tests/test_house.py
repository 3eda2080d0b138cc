"""The house: imports run one way, modules stay small, every verb and every error is in the README."""

import ast
from pathlib import Path

import pytest

from sdtrace import errors
from sdtrace.cli import VERBS

TOP = Path(__file__).resolve().parents[1]
MODULES = sorted((TOP / "sdtrace").rglob("*.py"))

#: Storeys from the ground up; a module imports from its own storey's file or lower ones only.
STOREYS = [
    {"errors", "version", "finding", "results", "lottery", "grouped", "pulled", "heap"},
    {"trace", "atomic"},
    {"pseudonyms"},
    {"windows"},
    {"folding"},
    {"positions"},
    {"readers"},
    {"sources", "rosetta"},
    {"reconcile", "agreement"},
    {"laws"},
    {"scope", "convert", "reasons"},
    {"record"},
    {"bundle"},
    {"decisions", "enrich", "loops", "tally", "simulate"},
    {"uniforms", "evidence", "significance", "gathered", "booked"},
    {"measure", "timings", "calibrated"},
    {"checks"},
    {"audit"},
    {"machines"},
    {"refit"},
    {"infer"},
    {"recovered"},
    {"summed"},
    {"outcomes", "acceptance"},
    {"samples", "telling", "wrong"},
    {"cause_words"},
    {"causes", "counted"},
    {"speed"},
    {"pattern"},
    {"verdict"},
    {"diagnose", "tuning"},
    {"viewer", "counted_time"},
    {"counted_sections"},
    {"compose"},
    {"change", "history", "live", "replay"},
    {"render", "fail_if"},
    {"api"},
    {"nightly"},
    {"cli"},
    {"__main__", "__init__"},
]


def room(module: str) -> str:
    return module.split(".")[1]


def storey(name: str) -> int:
    found = [i for i, names in enumerate(STOREYS) if name in names]
    assert found, f"{name} stands on no storey: add it to STOREYS"
    return found[0]


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
def test_imports_run_down(path: Path) -> None:
    parts = path.relative_to(TOP / "sdtrace").with_suffix("").parts
    mine = parts[0]
    for module in imports(path):
        other = room(module)
        if other == mine:
            continue
        assert storey(other) < storey(mine), f"{mine} imports {other}, which stands above it or beside it"


@pytest.mark.parametrize("folder", ["checks", "readers", "laws"])
def test_rooms_do_not_know_each_other(folder: str) -> None:
    """A check knows no check, a reader of one format no other reader."""
    shared = {
        "law",
        "band",
        "precision",
        "greedy",
        "source",
        "validate",
        "careful",
        "lines",
        "ahead",
        "cloud",
        "series",
        "sglang_meta",
        "vllm_meta",
    }
    for path in (TOP / "sdtrace" / folder).glob("*.py"):
        if path.stem == "__init__":
            continue
        beside = {m.split(".")[2] for m in imports(path) if m.startswith(f"sdtrace.{folder}.")}
        assert beside <= shared, path


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


def test_every_module_stands_in_the_readme() -> None:
    readme = (TOP / "README.md").read_text()
    for path in (TOP / "sdtrace").iterdir():
        if path.name.startswith("__") or path.suffix not in ("", ".py") or path.name == "decisions.py":
            continue
        assert (path.name if path.suffix else f"{path.name}/") in readme, path
