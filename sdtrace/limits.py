"""How much an input may ask for. Every limit is an option of the commands that read; one that is met is said, with its option."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace
from typing import Any

_MB, _GB = 1 << 20, 1 << 30
#: Unpacked bytes of an input that are never too many: ratios of small files tell nothing.
FREE = 64 * _MB


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, times in seconds. A field is an option of the same name; its metadata say what it bounds."""

    max_line: int = field(
        default=32 * _MB, metadata={"bounds": "Longest line, and largest JSON document, that is read."}
    )
    max_unpacked: int = field(
        default=256 * _GB, metadata={"bounds": "Largest size of an unpacked file or of a stream."}
    )
    max_ratio: float = field(
        default=200.0, metadata={"bounds": "Largest ratio of unpacked to packed size (64 MB are always read)."}
    )
    http_timeout: float = field(default=30.0, metadata={"bounds": "Seconds for the whole of a server's answer."})
    http_max: int = field(default=64 * _MB, metadata={"bounds": "Size of a server's answer."})


#: What holds where nobody says otherwise.
USUAL = Limits()
#: What inputs are opened with. An opened input keeps its own, so that threads and machines that read it need not know.
_NOW: ContextVar[Limits] = ContextVar("limits", default=USUAL)


def current() -> Limits:
    """The limits that inputs are opened with."""
    return _NOW.get()


@contextmanager
def within(**changed: Any) -> Iterator[Limits]:
    """Inputs that are opened in the block have these limits instead: `with within(max_line=1 << 30): report(path)`."""
    mine = replace(current(), **changed)
    before = _NOW.set(mine)
    try:
        yield mine
    finally:
        _NOW.reset(before)


class LimitError(Exception):
    """A limit was met: what was too much, and which option lifts it."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.what, self.advice = what, advice


def option(name: str) -> str:
    """The option of a limit."""
    assert name in {f.name for f in fields(Limits)}
    return f"--{name.replace('_', '-')}"


def lifted(name: str, value: float) -> str:
    """The advice for a limit that was met: the option, with twice what it is now."""
    return f"what came before was read; {allowing(name, value)}"


def allowing(name: str, value: float) -> str:
    """The same where nothing was read."""
    return f"{option(name)} {size(2 * value)} allows more"


def size(n: float) -> str:
    """Bytes (or a ratio) as one writes them for an option: 32M, 256G."""
    for unit, word in ((_GB, "G"), (_MB, "M"), (1 << 10, "K")):
        if n >= unit and n % unit == 0:
            return f"{n / unit:g}{word}"
    return f"{n:g}"


@dataclass
class Budget:
    """What one packed file may unpack to. `packed` is its size."""

    limits: Limits
    packed: int
    spent: int = 0

    def take(self, n: int) -> None:
        """Count unpacked bytes. Raises LimitError beyond the limits."""
        self.spent += n
        if self.spent <= FREE and self.spent <= self.limits.max_unpacked:
            return
        if self.spent > self.limits.max_unpacked:
            most = self.limits.max_unpacked
            raise LimitError(f"it unpacks to more than {size(most)}", lifted("max_unpacked", most))
        if self.spent > self.limits.max_ratio * self.packed:
            most_times = self.limits.max_ratio
            raise LimitError(f"it unpacks to more than {most_times:g} times its size", lifted("max_ratio", most_times))
