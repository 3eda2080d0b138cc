"""The commands: exit codes, streams, files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sdtrace.cli import group, run

SAMPLES = Path(__file__).resolve().parents[2] / "sample_logs"
HEALTHY, PLANTED = (str(SAMPLES / f"transformers-{n}.jsonl.gz") for n in ("sampled", "lenient-0.8.planted"))
CASE = str(SAMPLES / "paper-case.csv")


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", HEALTHY]) == 0
    assert run(["report", PLANTED]) == 1
    assert run(["report", PLANTED, "--fail-on", "none"]) == 0
    assert run(["report", PLANTED, "--exit-zero"]) == 0
    assert run(["report"]) == 2
    assert run(["report", HEALTHY, "--where", "colour=red"]) == 2
    assert run(["report", str(tmp_path / "none.jsonl")]) == 3
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    assert run(["report", str(empty)]) == 3
    assert run(["report", HEALTHY, "--where", "tags.task=nothing", "--require-evidence"]) == 4
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.one_of(3)
@pytest.mark.parametrize("only", [["--since", "2020-01-01"], ["--until", "2020-01-01"], ["--where", "temperature=0"]])
@pytest.mark.parametrize("verb", [["report"], ["tune"], ["diff", CASE]])
def test_requests_without_a_line_of_which_no_step_is_left(verb: list[str], only: list[str]) -> None:
    assert run([*verb, CASE, *only, "-q"]) in (0, 3)


@pytest.mark.slow
def test_a_bare_path_is_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([HEALTHY]) == 0  # nothing is wrong with it: a drafter of four fifths of its target is slow
    assert capsys.readouterr().out.startswith("SLOW")


@pytest.mark.slow
def test_report_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, document = tmp_path / "r.html", tmp_path / "r.json"
    assert run(["report", PLANTED, "-o", str(page), "--json", str(document), "-q"]) == 1
    assert capsys.readouterr().out == ""
    assert page.read_bytes().startswith(b"<!doctype html>")
    assert len(page.read_bytes()) < 2_000_000
    found = json.loads(document.read_bytes())
    assert found["causes"][0]["cause"] == "lenient-acceptance"
    assert [c["state"] for c in found["checks"] if c["code"] == "SD101"] == ["fired"]
    assert {p.name for p in tmp_path.iterdir()} == {"r.html", "r.json"}


@pytest.mark.slow
def test_unwritable_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", HEALTHY, "-o", str(tmp_path / "no" / "r.html")]) == 2
    assert "hint:" in capsys.readouterr().err


def test_the_paper_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", CASE, "--json"]) == 0
    step = json.loads(capsys.readouterr().out)["steps"][0]
    assert step["accepted"] == 1
    assert step["last"] is None
    assert [t["decision"] for t in step["tokens"]] == ["accepted", "rejected", "not reached"]
    assert run(["explain", CASE]) == 0
    out = capsys.readouterr().out
    assert "target 0.6 is at least draft 0.5" in out
    assert "r 0.9 is above the ratio 0.5" in out


def test_a_case_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = tmp_path / "case.csv"
    case.write_text("token,target,draft,r\nthe,.6,.5,\n\x1b[31mcat,.4,.8,.9\n7,.9,.4,.1\n")
    assert run(["explain", str(case), "--json"]) == 0
    tokens = json.loads(capsys.readouterr().out)["steps"][0]["tokens"]
    assert [t["token"] for t in tokens] == ["the", "\x1b[31mcat", 7]
    assert run(["explain", str(case)]) == 0
    out = capsys.readouterr().out
    assert "the" in out
    assert "\x1b" not in out


def test_what_was_not_recorded_is_null(tmp_path: Path) -> None:
    document = tmp_path / "r.json"
    assert run(["report", CASE, "-q", "--json", str(document)]) == 0
    figures = json.loads(document.read_bytes())["acceptance"]
    assert figures["drafted"] == 3
    for name in ("accepted", "tokens_per_step", "rate_of_drafted", "rate_of_tested"):
        assert figures[name] is None, name
    assert not [v for v in figures["marginal_by_position"] if v is not None]


@pytest.mark.slow
def test_explain_of_a_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", PLANTED, "--request", "code-100", "--step", "25"]) == 0
    assert "THE RECORD SAYS" in capsys.readouterr().out
    assert run(["explain", PLANTED]) == 0
    listed = capsys.readouterr().out
    assert listed.splitlines()[2].split() == ["code-100", "35", "2", "17%", "lenient-acceptance"]
    assert "sdtrace explain" in listed.splitlines()[-1]
    assert run(["explain", PLANTED, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["requests"][0]["step"] == 25
    assert run(["explain", PLANTED, "--request", "code-100"]) == 0
    whole = capsys.readouterr().out
    assert len(whole.splitlines()) < 40
    assert "steps 0 to 24: nothing contradicts the ratio law" in whole
    assert run(["explain", PLANTED, "--request", "code-100", "-v"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 200
    assert run(["explain", PLANTED, "--request", "nobody"]) == 3


def test_detect_and_checks(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["detect", HEALTHY, CASE, "--why"]) == 0
    out = capsys.readouterr().out
    assert "trace-jsonl" in out
    assert "paper-csv" in out
    assert run(["detect", __file__]) == 3
    assert run(["checks"]) == 0
    assert "SD101" in capsys.readouterr().out
    assert run(["checks", "sd171"]) == 0
    assert "Why it matters" in capsys.readouterr().out
    assert run(["checks", "SD999"]) == 2


def test_since_and_until(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", HEALTHY, "--until", "2001-01-01"]) == 0
    assert "CANNOT TELL" in capsys.readouterr().out
    assert run(["report", HEALTHY, "--since", "yesterday-ish"]) == 2


@pytest.mark.slow
def test_standard_input() -> None:
    data = Path(HEALTHY).read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "sdtrace", "report", "-", "--json", "-"], input=data, capture_output=True, check=False
    )
    assert done.returncode == 0
    assert done.stderr == b""
    assert json.loads(done.stdout)["inputs"][0]["path"] == "-"


def test_help_lists_every_verb_without_heavy_imports() -> None:
    code = (
        "import sys\nfrom sdtrace.cli import run\nrun(['--help'])\n"
        "print({'polars', 'duckdb', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("set()")
    shown = CliRunner().invoke(group, ["--help"]).output
    for verb in ("report", "explain", "detect", "convert", "checks"):
        assert verb in shown


def test_an_internal_error_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import sdtrace.api

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("boom\x1b[31m")

    monkeypatch.setattr(sdtrace.api, "report", broken)
    assert run(["report", HEALTHY]) == 5
    told = capsys.readouterr().err
    assert "boom" in told
    assert "\x1b" not in told
    assert not os.environ.get("SDTRACE_TRACEBACK")
