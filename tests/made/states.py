"""States of nights in tests: runs of the command, what a folder holds."""

import os
from pathlib import Path

from sdtrace.cli import run
from sdtrace.history.state import opened


def nightly(state: Path, *args: str | Path) -> int:
    return run(["nightly", *map(str, args), "--state", str(state), "-q"])


def tree(folder: Path) -> dict[str, bytes | str | None]:
    """Every name in a folder with what it holds, but for the lock, which holds nothing."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


def nights(state: Path) -> list[str]:
    with opened(state) as found:
        return found.nights()
