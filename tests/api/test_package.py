"""The package as a program meets it: nothing heavy before it is needed, names that stay what they are, types that are useful."""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mypy import api as mypy

import sdtrace

TOP = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("user_script.py")


def test_nothing_heavy_is_loaded_before_it_is_needed() -> None:
    code = (
        "import sys, sdtrace\n"
        "assert set(sdtrace.__all__) <= set(dir(sdtrace))\n"
        "assert issubclass(sdtrace.NoInputError, sdtrace.SdtraceError) and sdtrace.__version__\n"
        "assert not {'polars', 'numpy', 'duckdb', 'jinja2', 'httpx'} & set(sys.modules)\n"
        "sdtrace.report\n"
        "assert not {'torch', 'transformers', 'jinja2', 'duckdb'} & set(sys.modules)\n"
        "rooms = {tuple(name.split('.')[1:3]) for name in sys.modules if name.count('.') > 1 and name.startswith('sdtrace.')}\n"
        "assert {room for room, _ in rooms} >= {'api', 'audit', 'diagnosis'}\n"
        "assert not {'comparison', 'replay', 'probe'} & {room for room, _ in rooms} and ('responses', 'ids') not in rooms"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_functions_keep_their_names_beside_the_rooms() -> None:
    """The import system puts a loaded subpackage into its parent, under the name of a function here."""
    import sdtrace.probe.run
    import sdtrace.replay.setup

    assert [type(getattr(sdtrace, name)).__name__ for name in ("probe", "replay")] == ["function", "function"]
    assert all(getattr(sdtrace, name) is not None for name in sdtrace.__all__)
    wrong = "reprot"
    with pytest.raises(AttributeError, match=f"no attribute {wrong!r}"):
        getattr(sdtrace, wrong)


@pytest.mark.slow
def test_types_tell_a_user_of_mistakes(tmp_path: Path) -> None:
    """The script is right under mypy --strict, from another folder; the one with slips is told of each."""
    shutil.copy(SCRIPT, tmp_path)
    wrong = tmp_path / "wrong.py"
    slips = {
        'report.verdict.state == "helthy"': "comparison-overlap",
        "report.acceptance.steps": "union-attr",
        "report.answer": "attr-defined",
        'sdtrace.report("a", sinse=0.0)': "call-arg",
        'report.save("x", format="pdf")': "arg-type",
    }
    wrong.write_text('import sdtrace\nreport = sdtrace.report("a")\n' + "\n".join(slips) + "\n")
    cache = ["--strict", "--no-error-summary", "--config-file=", f"--cache-dir={tmp_path}/cache"]
    assert mypy.run([*cache, str(tmp_path / SCRIPT.name)])[:2] == ("", "")
    told = mypy.run([*cache, str(wrong)])[0].splitlines()
    errors = {int(found[1]): found[2] for line in told if (found := re.search(r":(\d+): error: .*\[([\w-]+)\]$", line))}
    assert errors == dict(enumerate(slips.values(), start=3))


def evaluated(cells: Iterator[str], names: dict[str, Any]) -> Iterator[Any]:
    """Cells run one after another; the value of the last line of each, as a notebook shows it."""
    for number, cell in enumerate(cells):
        tree = ast.parse(cell)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"cell {number}", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
            yield getattr(value, "_repr_html_", lambda shown=value: repr(shown))()


@pytest.mark.slow
def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = json.loads((TOP / "sample_logs" / "tour.ipynb").read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    monkeypatch.chdir(TOP / "sample_logs")
    names: dict[str, Any] = {}
    shown = list(evaluated((cell["source"] for cell in code), names))
    assert shown[1].startswith("<iframe")
    assert "no such file" in capsys.readouterr().out
    assert names["bad"].verdict.state == "wrong"


@pytest.mark.slow
def test_snippets_of_the_manual_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One after another in one program, as they stand on the page."""
    page = (TOP / "templates" / "manual" / "api.md").read_text()
    snippets = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(snippets) > 6
    (tmp_path / "sample_logs").symlink_to(TOP / "sample_logs")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    list(evaluated(iter(snippets), names))
    assert (tmp_path / "report.html").read_bytes().startswith(b"<!doctype html>")
    names["test_the_draft_pays"]()
    assert "sdtrace explain" in capsys.readouterr().out


def test_the_page_names_everything_that_is_public() -> None:
    page = (TOP / "templates" / "manual" / "api.md").read_text()
    named = set(re.findall(r"\b\w+\b", page))
    functions = {name for name in sdtrace.__all__ if name.islower() and not name.startswith("_")}
    attributes = {
        name for name, value in vars(sdtrace.Report).items() if not name.startswith("_") and value is not None
    }
    frames = {name for name in vars(sdtrace.Frames) if not name.startswith("_")}
    errors = {name for name in sdtrace.__all__ if name.endswith("Error")}
    assert not (functions | attributes | frames | errors) - named - {"kept", "document"}
