"""What can be read only once (standard input, a FIFO, a server's answer) as a temporary file, which goes when the process ends."""

import atexit
import os
import select
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit, urlunsplit

from sdtrace.errors import NoInputError
from sdtrace.limits import LimitError, Limits, lifted, size
from sdtrace.readers.io.paths import is_address

_BLOCK = 1 << 20
#: Seconds that a FIFO which a user named is waited for until somebody opens it to write.
WAIT = 5.0
#: Stream -> what keeps its identity, its copy, and the limit that was met while it was copied.
_KEPT: dict[object, tuple[object, Path, LimitError | None]] = {}


def kept(path: str, limits: Limits, *, wait: bool) -> tuple[Path, LimitError | None]:
    """The copy of a stream; the second time the same one, but for the answer of a server.

    Raises OSError, NoInputError where there is nothing to read.
    """
    if is_address(path):  # each opening asks anew: what a server answers changes
        answer = _copied(_answer(path), limits)
        _KEPT[object()] = (path, *answer)
        return answer
    known = os.stat(path) if path != "-" else None
    key: object = (known.st_dev, known.st_ino) if known is not None else id(sys.stdin.buffer)
    if key not in _KEPT:
        blocks = _blocks(path, WAIT if wait else 0.0) if known is not None else _standard_input()
        _KEPT[key] = (sys.stdin.buffer, *_copied(blocks, limits))
    return _KEPT[key][1:]


def forget() -> None:
    """Remove the copies."""
    for _, file, _ in _KEPT.values():
        shutil.rmtree(file.parent, ignore_errors=True)
    _KEPT.clear()


atexit.register(forget)


def _copied(blocks: Iterator[bytes], limits: Limits) -> tuple[Path, LimitError | None]:
    """A stream without an end fills neither the disk nor the time of anybody beyond the limit."""
    folder = Path(tempfile.mkdtemp(prefix="sdtrace-"))
    try:
        room, written = shutil.disk_usage(folder).free // 2, 0
        with (folder / "stream").open("wb") as out:
            for block in blocks:
                written += len(block)
                if written > limits.max_unpacked:
                    most = limits.max_unpacked
                    met = LimitError(f"a stream of more than {size(most)}", lifted("max_unpacked", most))
                    return folder / "stream", met
                if written > room:
                    what = f"a stream of more than half of the free space of {folder.parent}"
                    return folder / "stream", LimitError(what, "set TMPDIR to a folder with more space")
                out.write(block)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder / "stream", None


def _answer(address: str) -> Iterator[bytes]:
    """What a server answers now; an address without a path is that of an engine, whose scrape is at /metrics."""
    from sdtrace.readers.io.http import Server, Unanswered  # only for what asks a server

    parts = urlsplit(address)
    try:
        yield Server().get(urlunsplit(parts._replace(path="/metrics")) if parts.path in ("", "/") else address)
    except Unanswered as error:
        raise NoInputError(str(error), error.hint) from None


def _standard_input() -> Iterator[bytes]:
    stream = sys.stdin.buffer
    first = stream.read(_BLOCK)
    if first and _is_device(stream):
        raise NoInputError("a device, not a file", "send a file or the output of a command to standard input", "-")
    while first:
        yield first
        first = stream.read(_BLOCK)


def _is_device(stream: IO[bytes]) -> bool:
    """A device that is no terminal, such as /dev/zero, has no end."""
    with suppress(OSError, ValueError):
        return stat.S_ISCHR(os.fstat(stream.fileno()).st_mode) and not stream.isatty()
    return False


def _blocks(path: str, wait: float) -> Iterator[bytes]:
    """What is written into a FIFO up to its end; one that nobody has opened to write yet is waited for."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        until, begun = time.monotonic() + wait, False
        while True:
            try:
                block = os.read(handle, _BLOCK)
            except BlockingIOError:  # somebody has it open and has written nothing yet
                select.select([handle], [], [])
                continue
            if block:
                begun = True
                yield block
            elif begun or time.monotonic() > until:
                break
            else:
                time.sleep(0.02)
        if not begun:
            raise NoInputError("a FIFO that nobody writes into", "start what writes into it first", path)
    finally:
        os.close(handle)
