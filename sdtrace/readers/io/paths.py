"""What a path stands for: a file, a folder of tables, files below a folder, standard input, or nothing that can be read."""

import errno
import glob
import os
import stat
from pathlib import Path

from sdtrace.errors import NoInputError
from sdtrace.readers.io import cloud

_SERVERS = ("prometheus://", "prometheus+https://")
#: An address whose answer is the input: a scrape of /metrics, a log that a server hands out.
_ADDRESSES = ("http://", "https://")
#: What is neither a file nor a folder nor read once, and why it is no input.
_OTHER = {
    stat.S_IFCHR: ("a device, not a file", "name a file, or send it to standard input: sdtrace report -"),
    stat.S_IFBLK: ("a disk, not a file", "name a file on it"),
    stat.S_IFSOCK: ("a socket, not a file", "to ask a server, name its address: sdtrace watch URL"),
}


def expand(paths: list[str]) -> list[str]:
    """Files, folders of tables, `-`; globs and other folders are walked, hidden files left out, sorted.

    What cannot be read (`trouble`) stays in, so that it is told. Raises NoInputError for a name that nothing has.
    """
    found: list[str] = []
    for path in paths:
        if cloud.is_object(path):
            found.extend(cloud.expand(path))
        elif path == "-" or path.startswith((*_SERVERS, *_ADDRESSES)) or os.path.isfile(path):
            found.append(path)
        elif os.path.isdir(path):
            found.extend(_walk(Path(path), ()))
        elif os.path.lexists(path):
            found.append(path)
        elif matches := sorted(glob.glob(path, recursive=True)):
            found.extend(expand(matches))
        else:
            raise NoInputError("no such file or folder", "check the path; globs are expanded too", path)
    return list(dict.fromkeys(found))


def is_address(path: str) -> bool:
    """Whether an input is what a server answers."""
    return path.startswith(_ADDRESSES)


def is_tables(folder: Path) -> bool:
    """Whether a folder is a Parquet trace: steps.parquet, or parts in steps/."""
    return (folder / "steps.parquet").is_file() or any(folder.glob("steps/*.parquet"))


def _walk(folder: Path, above: tuple[tuple[int, int], ...]) -> list[str]:
    """Files below a folder. A folder that cannot be listed, or that a link leads back to, stands for itself."""
    try:
        known = folder.stat()
        here = known.st_dev, known.st_ino
        if here in above:
            return [str(folder)]
        if is_tables(folder):
            return [str(folder)]
        children = sorted(folder.iterdir())
    except OSError:
        return [str(folder)]
    found: list[str] = []
    for child in children:
        if child.name.startswith("."):
            continue
        if child.is_dir():
            found.extend(_walk(child, (*above, here)))
        else:
            found.append(str(child))
    return found


def trouble(path: str) -> tuple[str, str] | None:
    """Why a path on this machine cannot be read, and what to do about it; None where nothing speaks against it."""
    if is_address(path):
        return None
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
        if stat.S_ISDIR(kind):
            return None if is_tables(Path(path)) else _folder(path)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "links that lead in a circle", "remove them, or name the file itself"
        if os.path.islink(path):
            return "a link to nothing", "what it pointed to is gone: remove the link, or bring the file back"
        return f"cannot be read: {error.strerror or error}", "check the file and its permissions"
    return _OTHER.get(kind)


def _folder(path: str) -> tuple[str, str]:
    """Why a folder that is no trace stands among the inputs."""
    try:
        os.listdir(path)
    except OSError as error:
        return f"a folder that cannot be listed: {error.strerror}", "check its permissions"
    return (
        "a link that leads back to a folder above it",
        "what is below it is read once; remove the link to be rid of this",
    )


def is_stream(path: str) -> bool:
    """Whether a path can be read only once: a FIFO, as `<(command)` and /dev/stdin are, or the answer of a server."""
    if is_address(path):
        return True
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return False
