"""One guard for every input: what goes wrong while it is opened, read or judged ends that input, not the run.

What becomes of it is a loss that says where it happened. Readers need no guard of their own.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb

from sdtrace.atomic import FULL
from sdtrace.errors import NoInputError, SdtraceError
from sdtrace.limits import LimitError
from sdtrace.schema.trace import Batch, Loss, no_tables

#: How the loss of a fault of our own begins; it goes on with the type of the error and its place in the source.
FAULT = "reader error"
_PACKAGE = Path(__file__).resolve().parents[1]


def bears(error: BaseException) -> bool:
    """Whether an error ends one input and no more: what a user called wrongly and what ends the process are not so.

    A panic of a library written in Rust reaches Python as an error that is no Exception.
    """
    if os.environ.get("SDTRACE_TRACEBACK"):  # a developer wants to see it
        return isinstance(error, NoInputError)
    if isinstance(error, SdtraceError):
        return isinstance(error, NoInputError)
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def reason(path: str, error: BaseException) -> tuple[str, str]:
    """What happened, and what to do about it. The text of a library's error is left out: it may quote the input."""
    if isinstance(error, SdtraceError):
        return error.of(path), error.hint
    if isinstance(error, LimitError):
        return error.what, error.advice
    if isinstance(error, MemoryError):
        return f"out of memory{_place(error)}", "give fewer inputs at a time, or lower --max-line"
    if isinstance(error, RecursionError):
        return f"nested too deeply{_place(error)}", "no engine writes such records; leave the input out"
    if isinstance(error, OSError) and error.errno in FULL:
        return f"no room for temporary files: {error.strerror}", "free some space, or name another folder in TMPDIR"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}", "check the file and its permissions"
    return f"{FAULT}: {type(error).__name__}{_place(error)}", "please report it; SDTRACE_TRACEBACK=1 shows more"


def _place(error: BaseException) -> str:
    """The innermost line of ours that was at work."""
    ours = [
        (file.relative_to(_PACKAGE), line)
        for frame, line in walk_tb(error.__traceback__)
        if (file := Path(frame.f_code.co_filename)).is_relative_to(_PACKAGE)
    ]
    return f" at {ours[-1][0].as_posix()}:{ours[-1][1]}" if ours else ""


def failed(path: str, error: BaseException, line: int | None = None, before: int = 0, count: int = 1) -> Batch:
    """The end of an input that failed: one loss, of `count` lines. `before`: how many lines were read before it."""
    what, advice = reason(path, error)
    told = f"{what}; {before:,} lines before it were read" if before else what
    loss = Loss(path, line, told, count, advice)
    return Batch(path, count, *no_tables(), [loss], failed=True)


@contextmanager
def bearing(bear: Callable[[BaseException], None]) -> Iterator[None]:
    """What goes wrong in the block with an input is `bear`, and the run goes on behind it."""
    try:
        yield
    except BaseException as error:
        if not bears(error):
            raise
        bear(error)


def guarded(path: str, batches: Callable[[], Iterator[Batch]], line: Callable[[], int | None]) -> Iterator[Batch]:
    """The batches of an input up to its end, or up to an error, which becomes a last batch of one loss.

    `line` tells which line is being read, where that is known.
    """
    before = 0
    try:
        for batch in batches():
            before += batch.lines
            yield batch
    except BaseException as error:
        if not bears(error):
            raise
        yield failed(path, error, line(), before)
