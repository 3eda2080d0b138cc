"""Outputs: a file or folder appears whole or not at all, and never in place of something that is no plain file.

A symlink stays, and what it points to is replaced. A device, a FIFO or an open descriptor is written to. The mode of an
existing file is kept; a new one has the mode that the umask gives.
"""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sdtrace.errors import OutputError

#: How writing fails where there is no room.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_HINTS = {
    errno.ENOSPC: "free some space, or write to another disk; nothing half-written was left",
    errno.EDQUOT: "the quota is used up: free some space, or write elsewhere; nothing half-written was left",
    errno.EFBIG: "the largest size of a file (ulimit -f) is too small; nothing half-written was left",
    errno.EISDIR: "a folder has that name: name a file",
    errno.ENXIO: "a socket cannot be written to: name a file",
    errno.ELOOP: "the symlinks lead in a circle: name a file",
    errno.EROFS: "the file system is read-only: write elsewhere",
}
_HINT = "check that the folder exists and may be written to"


def write(path: str | Path, data: bytes, *, inside: Path | None = None) -> None:
    """Write a file whole or not at all; see `writing`."""
    with writing(path, inside=inside) as stream:
        stream.write(data)


@contextmanager
def writing(
    path: str | Path, *, inside: Path | None = None, mode: int = 0o666, flush: bool = False
) -> Iterator[IO[bytes]]:
    """A stream whose bytes stand at `path` together, once the block has ended without an error.

    `inside` is a folder that the file must not leave by a symlink. `mode` is that of a new file, less the umask.
    With `flush`, the bytes are on the disk before they have the name. Raises OutputError.
    """
    half: Path | None = None
    try:
        target = _real(Path(path))
        if inside is not None and target is not None and not target.is_relative_to(os.path.realpath(inside)):
            raise OutputError(f"{path}: a symlink leads out of {inside}", "remove the symlink, or name another folder")
        if target is None:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY), "wb") as stream:
                yield stream
            return
        handle, half = _beside(target, mode)
        try:
            with os.fdopen(handle, "wb") as stream:
                yield stream
                stream.flush()
                if flush:
                    os.fsync(stream.fileno())
            os.replace(half, target)
        finally:
            half.unlink(missing_ok=True)
    except OSError as error:
        if error.errno is None or (half is not None and error.filename not in (None, str(half))):
            raise  # of the block: an input that cannot be read
        raise failed(path, error) from error


@contextmanager
def folder(path: str | Path) -> Iterator[Path]:
    """An empty folder that gets the name `path`, with all that is in it, once the block has ended without an error.

    Raises OutputError, also where something of that name is there that is no empty folder.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_dir():
        raise OutputError(f"{path}: a file of that name exists", "name another folder")
    try:
        if target.is_dir() and any(target.iterdir()):
            raise OutputError(f"{path}: the folder is not empty", "name a new folder, or empty this one")
        half = target.with_name(_hidden(target))
        half.mkdir()
        try:
            yield half
            if target.is_dir():
                half.chmod(stat.S_IMODE(target.stat().st_mode))
                target.rmdir()
            os.replace(half, target)
        finally:
            shutil.rmtree(half, ignore_errors=True)
    except OSError as error:
        raise failed(path, error) from error


def failed(path: str | Path, error: OSError) -> OutputError:
    """What is told of an output that could not be written."""
    return OutputError(f"{path}: {error.strerror or error}", _HINTS.get(error.errno or 0, _HINT))


def _real(path: Path) -> Path | None:
    """Where the file is, or would be, that `path` names; None for what is written to as it is: a device, a FIFO, an open
    descriptor such as /dev/stdout."""
    place = path
    for _ in range(40):  # as many as the kernel follows
        if os.path.realpath(place.parent).startswith("/proc/"):
            return None
        if not place.is_symlink():
            break
        place = place.parent / os.readlink(place)
    try:
        kind = os.stat(path).st_mode
    except FileNotFoundError:
        return Path(os.path.realpath(path))
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return Path(os.path.realpath(path)) if stat.S_ISREG(kind) else None


def _beside(target: Path, mode: int) -> tuple[int, Path]:
    """A new file in the folder of `target`, opened, with the mode and owner that the file there has, if there is one."""
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    half = target.with_name(_hidden(target))
    handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with suppress(FileNotFoundError):
        old = target.stat()
        with suppress(PermissionError):  # only root gives files away
            os.fchown(handle, old.st_uid, old.st_gid)
        os.fchmod(handle, stat.S_IMODE(old.st_mode))
    return handle, half


def _hidden(target: Path) -> str:
    return f".{target.name[:60]}.{secrets.token_hex(4)}"
