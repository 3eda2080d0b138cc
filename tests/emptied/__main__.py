"""See the package."""

import argparse
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.emptied.modules import APART, PACKAGE, TOP, emptied, holds_functions, load, name_of, tests_of

#: In place of a test, where the child was ended by its clock.
OUT_OF_TIME = "out of time"


@dataclass(eq=False)  # a plugin has a hash
class Emptying:
    """Tests are collected once; then each module is emptied in a child process, which runs them until one fails."""

    paths: Sequence[Path]
    each: int
    counts: Counter[str] = field(default_factory=Counter)
    failed: str = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of running them all."""
        functions = load()
        print(f"{len(session.items)} tests, {len(self.paths)} modules", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            if untouched := self._noticed(PACKAGE / "version.py", [], session.items, Path(folder) / "note"):
                raise RuntimeError(f"with nothing emptied {untouched} fails")
            for path in self.paths:
                mine = functions.get(str(path), [])
                test = self._noticed(path, mine, session.items, Path(folder) / "note") if mine else ""
                said = "noticed" if test else "silent" if mine else "absent"
                if test == OUT_OF_TIME:
                    said, test = "undecided", f"{self.each} s of processor time are not enough"
                self.counts[said] += 1
                print(f"{path.relative_to(TOP)}\t{said}\t{test}", flush=True)
        return True

    def _noticed(self, path: Path, functions: Sequence[Any], items: Sequence[pytest.Item], note: Path) -> str:
        """The first test that fails with the module emptied; "" where none does."""
        note.write_text("")
        child = os.fork()
        if child == 0:
            try:
                self._until_one_fails(path, functions, items)
                note.write_text(self.failed)
                os._exit(0)
            finally:  # an error of this program is none of the module
                os._exit(1)
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status):
            return OUT_OF_TIME
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            raise RuntimeError(f"the child that emptied {path} ended by an error of its own")
        return note.read_text()

    def _until_one_fails(self, path: Path, functions: Sequence[Any], items: Sequence[pytest.Item]) -> None:
        signal.setitimer(signal.ITIMER_PROF, self.each)  # processor time: a busy machine makes no module silent
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        emptied(functions)
        for name in (name for tests in tests_of(path) for name in tests):
            for item in items:
                if item.nodeid.partition("::")[0] == name and not self.failed:
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.emptied")
    parser.add_argument("under", nargs="*", type=Path, default=[PACKAGE], help="folders or files of the package")
    parser.add_argument(
        "--each", type=int, default=60, metavar="SECONDS", help="of processor time for the tests of one module"
    )
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
    emptying = Emptying(paths, asked.each)
    pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-s"], plugins=[emptying])
    counts = emptying.counts
    print(
        f"{len(paths) - counts['absent']} modules emptied: {counts['noticed']} noticed, {counts['silent']} not, "
        f"{counts['undecided']} undecided; "
        f"{counts['absent']} need what is not installed, {len(data)} hold data alone"
    )
    return 0 if counts["noticed"] and not counts["silent"] + counts["undecided"] else 1


if __name__ == "__main__":
    sys.exit(main())
