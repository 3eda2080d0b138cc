"""Readers of other packages: found by their entry point, held to the rule that one reader claims an input, never in the way."""

import json
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from sdtrace import readers
from sdtrace.api import report
from sdtrace.cli import run
from sdtrace.errors import SdtraceError
from sdtrace.readers import registry

SAMPLE = str(Path(__file__).resolve().parents[2] / "sample_logs" / "engines" / "llamacpp-synthetic.log")

#: A whole reader: notes of a drafter, `drafts drafted accepted` a line.
NOTES = """
from sdtrace.readers.reader import Reader, of_text
from sdtrace.readers.io.source import Source, segments
from sdtrace.schema.counters import from_rows
from sdtrace.schema.trace import Batch, empty


def sniff(head):
    return None if head.startswith(b"notes of a drafter") else "line 1: no notes"


def batches(src):
    rows = []
    for segment in segments(src):
        for number, line in enumerate(segment.file.read_text().splitlines()[1:], start=2):
            drafts, drafted, accepted = map(float, line.split())
            row = {"engine": "notes", "surface": "notes", "basis": "run", "line": number}
            rows.append(row | {"drafts": drafts, "drafted": drafted, "accepted": accepted})
    tables = empty("run"), empty("request"), empty("step")
    yield Batch(src.path, len(rows) + 1, *tables, [], [], from_rows(src.path, rows), records=len(rows))


READER = Reader("notes", "notes of a drafter", "the words `notes of a drafter`", of_text(sniff), batches, engine="notes")
GREEDY = Reader("greedy", "claims everything", "nothing", lambda src: None, batches)
TAKEN = Reader("vllm-log", "another vllm-log", "nothing", lambda src: None, batches)
NUMBER = 5
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the package installed in it, as pip would leave it."""
    (tmp_path / "sdtrace_notes.py").write_text(NOTES)
    info = tmp_path / "sdtrace_notes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sdtrace-notes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\nnotes = sdtrace_notes:READER\n")
    (tmp_path / "night.notes").write_text("notes of a drafter\n100 500 300\n100 500 200\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def offer(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    points = [EntryPoint("point", f"sdtrace_notes:{name}", registry.GROUP)]
    monkeypatch.setattr(readers, "registered", lambda: registry.gathered(points))


@pytest.mark.slow
def test_an_installed_package_adds_a_reader(package: Path) -> None:
    """In a process of its own, as a user has it; importing the package first is no circle."""
    code = (
        "import sdtrace_notes, json, sdtrace\n"
        "report = sdtrace.report('night.notes')\n"
        "print(json.dumps([report.document['inputs'][0]['format'], report.document['acceptance']['accepted']]))"
    )
    paths = os.pathsep.join([str(package), str(Path(__file__).resolve().parents[2])])
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=package,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        check=True,
    )
    assert json.loads(told.stdout) == ["notes", 500]


def test_two_readers_that_claim_one_input_are_told(
    package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(monkeypatch, "GREEDY")
    assert run(["detect", SAMPLE]) == 2
    assert "claimed by llamacpp-log and greedy" in capsys.readouterr().err
    assert run(["detect", SAMPLE, "--format", "llamacpp-log"]) == 0


@pytest.mark.one_of(2)
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("TAKEN", "its name vllm-log is taken"),
        ("NUMBER", "it is a int, not a Reader"),
        ("NOWHERE", "it cannot be loaded: AttributeError"),
    ],
)
def test_a_reader_of_no_use_says_so_and_stands_in_nobodys_way(
    name: str, why: str, package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(monkeypatch, name)
    assert run(["detect", SAMPLE, "--why"]) == 0
    out = capsys.readouterr().out
    assert "llamacpp-log" in out
    assert f"the reader of sdtrace_notes:{name} is of no use: {why}" in " ".join(out.split())
    assert run(["detect", SAMPLE, "--format", f"point (sdtrace_notes:{name})"]) == 2
    assert "mend or remove the package" in capsys.readouterr().err


def test_every_reader_says_what_it_looks_for() -> None:
    for name, reader in registry.gathered([]).items():
        assert name == reader.name
        assert reader.says
        assert reader.looks_for


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b'[build-system]\nrequires = ["setuptools"]\n', "text"),
        (b"[2026-11-24 10:00:00] a line of some server\n", "text"),
        (b"{{ a template }}\n", "text"),
        (b'{"name": "a", "version": 1}\n', "JSON"),
        (b'[\n  {"name": "a"}\n]\n', "JSON"),
        (b"\x7fELF\x02\x01\x00\x00", "binary"),
    ],
)
def test_what_no_reader_knows_is_called_what_it_is(head: bytes, kind: str, tmp_path: Path) -> None:
    (tmp_path / "foreign").write_bytes(head)
    with pytest.raises(SdtraceError, match=f": {kind} in which none of"):
        report(tmp_path / "foreign")
