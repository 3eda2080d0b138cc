"""The folder of a state: what it holds, its lock, and what in it may be removed."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from sdtrace.errors import OutputError, StateError, StateHeldError
from sdtrace.history.manifest import FILE, FOLDER, LOCK, MANIFEST, MARKER, OWNER, PREVIOUS, owner


def kind(place: Path) -> Literal["new", "state"]:
    """Whether a folder holds a state, or nothing, so that one may begin in it. Raises StateError for all others."""
    try:
        names = {child.name for child in place.iterdir()} if os.path.lexists(place) else set()
    except OSError as error:
        raise OutputError(f"{place}: {error.strerror or error}", "name a folder that may be written to") from error
    shown = {name for name in names if not name.startswith(".")}
    if shown <= {LOCK, MARKER}:
        return "new"
    if shown.isdisjoint({MANIFEST, PREVIOUS, MARKER}):
        few = ", ".join(sorted(shown - {LOCK})[:3])
        raise StateError(f"{place}: holds other files and no state ({few})", "give a folder of its own with --state")
    return "state"


@contextmanager
def held(place: Path) -> Iterator[None]:
    """The lock of a state folder, which is made if it is not there. Raises StateHeldError, OutputError."""
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(place / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise OutputError(f"{place}: {error.strerror or error}", "name a folder that may be written to") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StateHeldError(
                f"{place}: another run holds this state", "wait for it to end; a killed run lets go by itself"
            ) from error
        yield
    finally:
        os.close(handle)


def ours(place: Path, id: str) -> bool:
    """Whether a folder is one that a run of this state made."""
    if not FOLDER.fullmatch(place.name) or place.is_symlink() or not place.is_dir():
        return False
    mark = place / OWNER
    try:
        names = {child.name for child in place.iterdir()}
        if names <= {OWNER}:  # killed at the very beginning
            return not names or (mark.is_file() and owner(id).startswith(mark.read_bytes()))
        return mark.is_file() and not mark.is_symlink() and mark.read_bytes() == owner(id)
    except OSError:
        return False


def remove(place: Path, kept: frozenset[str]) -> None:
    """Remove the files of a night's folder except those `kept`; what is no file of a night stays, with its folder."""
    for inside in (place / "audit", place):
        if inside.is_symlink() or not inside.is_dir():
            continue
        for file in sorted(inside.iterdir()):
            name = str(file.relative_to(place))
            if name not in kept and FILE.fullmatch(name) and file.is_file() and name != OWNER:
                file.unlink(missing_ok=True)
        if not kept and inside == place and {f.name for f in place.iterdir()} <= {OWNER}:
            (place / OWNER).unlink(missing_ok=True)  # the last, so that a killed sweep can go on
        with suppress(OSError):
            inside.rmdir()
