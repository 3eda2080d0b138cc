"""What an author touches to add something: each piece is added to a copy of the package, used there, and its files are counted."""

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sdtrace.version import VERSION

PACKAGE = Path(__file__).resolve().parents[1] / "sdtrace"
TOP = PACKAGE.parent

CHECK = '''"""A step of a thousand drafted tokens.

## Why it matters
Nobody drafts so many.
"""

import polars as pl

from sdtrace.checks import sd131_appended_count as like
from sdtrace.results.check import Check

CHECK = Check(**{**vars(like.CHECK), "code": "SD139", "name": "thrown-away"})
'''

LAW = '''"""A law that accepts what the ratio law accepts, under another word."""

from dataclasses import replace

from sdtrace.verify.laws import ratio

LAW = replace(ratio.LAW, name="thrown-away")
'''

SHAPE = '''"""Records of an engine that does not exist."""

from sdtrace.readers.records.shape import Node, Rows, Shape, value


def rows(node: Node) -> Rows | None:
    """One window a record."""
    if "thrown_away" not in node:
        return None
    row = {"engine": "none", "surface": "record", "basis": "run", "drafts": 10.0, "drafted": 50.0}
    return [row | {"accepted": value(node, "thrown_away")}]


SHAPE = Shape("thrown-away", "none", "records thrown away", "`thrown_away`", rows)
'''

SECTION = """

def _thrown_away(audit: Audit) -> Section:
    return Section("thrown-away", "Thrown away", "Nothing.", ["inputs"], [[len(audit.inputs)]])
"""


def edit(package: Path, name: str, old: str, new: str) -> None:
    file = package / name
    text = file.read_text()
    assert old in text, f"{name} has no place for it any more"
    file.write_text(text.replace(old, new, 1))


def check(package: Path) -> None:
    (package / "checks" / "sd139_thrown_away.py").write_text(CHECK)


def law(package: Path) -> None:
    (package / "verify" / "laws" / "thrown_away.py").write_text(LAW)


def reader(package: Path) -> None:
    (package / "readers" / "records" / "thrown_away.py").write_text(SHAPE)
    listed = "readers/records/__init__.py"
    edit(package, listed, "    vllm_request,\n)", "    vllm_request,\n    thrown_away,\n)")
    edit(package, listed, "        vllm_request, ", "        thrown_away, vllm_request, ")


def cause(package: Path) -> None:
    row = '    "thrown-away": ("wrong", "sampler", "it was thrown away", "pick it up", "SD131"),\n'
    edit(package, "results/cause_words.py", '    "invalid-probabilities": (', row + '    "invalid-probabilities": (')


def section(package: Path) -> None:
    edit(package, "document/document.py", "    made = [\n", "    made = [\n        _thrown_away(audit),\n")
    file = package / "document" / "document.py"
    file.write_text(file.read_text() + SECTION)


SAMPLE = "sdtrace.report('sample_logs/transformers-sampled.jsonl.gz')"
#: piece -> how it is added, files of the package that this touches, what shows that it works.
PIECES = {
    "check": (check, 1, "from sdtrace.checks import by_code; assert by_code('thrown-away').code == 'SD139'; "
              f"assert 'SD139' in [c['code'] for c in {SAMPLE}.document['checks']]"),
    "law": (law, 1, "from sdtrace.verify.laws import LAWS; assert LAWS['thrown-away'].name == 'thrown-away'"),
    "reader": (reader, 2, "assert sdtrace.report('x.jsonl').document['inputs'][0]['format'] == 'thrown-away'"),
    "cause": (cause, 1, "from sdtrace.diagnosis.causes import causes; from sdtrace.results.check import Outcome; "
              "found = {'SD131': Outcome('fired', 1, 1, (), 1.0, 'it was')}; "
              "assert 'thrown-away' in [c.cause for c in causes(found, [], None)]"),
    "section": (section, 1, f"assert 'thrown-away' in [s.id for s in {SAMPLE}.sections]"),
}  # fmt: skip


def touched(copy: Path) -> list[str]:
    """Files that differ from the package's own or are new."""
    files = {p.relative_to(copy) for p in copy.rglob("*.py")}
    return [
        str(f)
        for f in sorted(files)
        if not ((PACKAGE / f).is_file() and filecmp.cmp(PACKAGE / f, copy / f, shallow=False))
    ]


@pytest.mark.slow
@pytest.mark.parametrize("piece", PIECES)
def test_files_touched_to_add(piece: str, tmp_path: Path) -> None:
    add, files, shown = PIECES[piece]
    copy = tmp_path / "sdtrace"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("templates", "sample_logs"):
        (tmp_path / folder).symlink_to(TOP / folder)
    (tmp_path / "x.jsonl").write_text('{"thrown_away": 30}\n')
    add(copy)
    assert len(touched(copy)) == files, touched(copy)
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    code = f"import sdtrace; assert sdtrace.__file__.startswith({str(tmp_path)!r}); {shown}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_newest_changes_are_those_of_this_version() -> None:
    headings = [
        line
        for line in (TOP / "templates" / "manual" / "changelog.md").read_text().splitlines()
        if line.startswith("## ")
    ]
    assert headings[0] == f"## {VERSION}"
