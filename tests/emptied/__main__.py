"""See the package."""

import argparse
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.emptied.modules import APART, PACKAGE, TOP, emptied, holds_functions, name_of, tests_of


class First:
    """Remembers which test failed first."""

    failed = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.failed:
            self.failed = f"{report.nodeid} (collected)"


def noticed(path: Path, each: int, note: Path) -> str:
    """The first test that fails with the module emptied; "" where none does, or not within `each` seconds."""
    child = os.fork()
    if child == 0:
        signal.alarm(each)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        first = First()
        emptied(name_of(path))
        for tests in tests_of(path):
            if not first.failed:
                pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests], plugins=[first])
        note.write_text(first.failed)
        os._exit(0)
    note.write_text("")
    os.waitpid(child, 0)
    return note.read_text()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.emptied")
    parser.add_argument("under", nargs="*", type=Path, default=[PACKAGE], help="folders or files of the package")
    parser.add_argument("--each", type=int, default=240, metavar="SECONDS", help="for the tests of one module")
    parser.add_argument("--sample", type=int, help="so many modules, drawn")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    under = [one.resolve() for one in asked.under]
    paths = [p for one in under for p in (sorted(one.rglob("*.py")) if one.is_dir() else [one])]
    paths = [p for p in paths if not name_of(p).startswith(APART)]
    data = [p for p in paths if not holds_functions(p)]
    paths = [p for p in paths if p not in data]
    if asked.sample is not None:
        paths = random.Random(asked.seed).sample(paths, min(asked.sample, len(paths)))
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            test = noticed(path, asked.each, Path(folder) / "note")
            counts["noticed" if test else "silent"] += 1
            print(f"{path.relative_to(TOP)}\t{test or 'NO TEST FAILED'}", flush=True)
    print(
        f"{len(paths)} modules emptied: {counts['noticed']} noticed, {counts['silent']} not; {len(data)} hold data alone"
    )
    return 1 if counts["silent"] else 0


if __name__ == "__main__":
    sys.exit(main())
