"""Inputs known by their content, so that nothing is counted twice: neither the same file under another name or packed,
nor the lines of a log that was counted before it grew."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from sdtrace.errors import StateError
from sdtrace.history import clock
from sdtrace.history.services import without_credentials
from sdtrace.limits import USUAL, Limits
from sdtrace.readers import Opened
from sdtrace.readers.io.unpack import read, unpacked
from sdtrace.schema.json_values import Json
from sdtrace.schema.trace import Batch

_BLOCK = 1 << 20
#: Before that a time is no Unix time but a clock of the log's own.
_EARLIEST = 1e9


@dataclass(frozen=True)
class Content:
    """What an input is, whatever it is called: `digest` of its unpacked bytes, their number, and the lines in them.

    `skip` lines at its beginning were counted before, as an input of their own; `known` when all of it was. `parts`
    are the digests of the files of a folder of tables.
    """

    digest: str
    size: int
    lines: int
    skip: int = 0
    known: bool = False
    parts: tuple[str, ...] = ()

    def plain(self, path: str) -> Json:
        """As a night's record keeps it."""
        kept = {
            "path": without_credentials(path),
            "digest": self.digest,
            "size": self.size,
            "lines": self.lines,
            "skip": self.skip,
        }
        return kept | ({"parts": list(self.parts)} if self.parts else {})


def content(opened: Opened, night: str, counted: Sequence[Json]) -> Content:
    """Look at an input, given what was `counted` (plain contents of all nights). A server is known by its night.

    Raises StateError for a folder of tables that was counted with fewer of them.
    """
    digests = {c["digest"] for c in counted}
    if opened.format == "prometheus-server":
        digest = hashlib.sha256(f"{opened.path} {night}".encode()).hexdigest()
        return Content(digest, 0, 0, known=digest in digests)
    sizes = {} if opened.source.head.startswith(b"PAR1") else {c["size"]: c for c in counted if not c.get("parts")}
    with opened.at_hand() as src:
        assert src.file is not None
        if src.file.is_dir():
            return _folder(opened.path, src.file, counted)
        return _file(src.file, src.packing, sizes, digests, src.limits)


def _file(
    file: Path, packing: str | None, sizes: dict[int, Json], digests: set[str], limits: Limits = USUAL
) -> Content:
    """One pass over the bytes; at every size that was counted before, whether these are the same bytes."""
    running, size, lines, skip = hashlib.sha256(), 0, 0, 0
    ahead = sorted(n for n in sizes if n)
    with unpacked(file, packing, limits) as stream:
        for block in _blocks(stream):
            at = 0
            while ahead and ahead[0] <= size + len(block):
                stop = ahead.pop(0) - size
                running.update(block[at:stop])
                at = stop
                if running.hexdigest() in digests:
                    skip = lines + block.count(b"\n", 0, stop)
            running.update(block[at:])
            size += len(block)
            lines += block.count(b"\n")
    digest = running.hexdigest()
    return Content(digest, size, lines, 0 if digest in digests else skip, known=digest in digests)


def _blocks(stream: Any) -> Iterator[bytes]:
    """What can be unpacked; the reader tells about the rest."""
    error = None
    while error is None:
        block, error = read(stream, _BLOCK)
        if not block:
            return
        yield block


def _folder(path: str, folder: Path, counted: Sequence[Json]) -> Content:
    told = {file: _file(file, None, {}, set()) for file in sorted(folder.rglob("*.parquet"))}
    parts, size = tuple(one.digest for one in told.values()), sum(one.size for one in told.values())
    whole = hashlib.sha256("".join(parts).encode()).hexdigest()
    if whole in {c["digest"] for c in counted}:
        return Content(whole, size, 0, known=True, parts=parts)
    before = {part for c in counted for part in c.get("parts", ())} & set(parts)
    steps = {told[file].digest for file in [*folder.glob("steps.parquet"), *folder.glob("steps/*.parquet")]}
    if before & steps:
        raise StateError(
            f"{path}: {len(before & steps)} of its {len(steps)} files of steps were counted before",
            "write the tables of a night into a folder of their own",
        )
    return Content(whole, size, 0, parts=parts)


@dataclass
class Rest:
    """An opened input from line `skip` + 1 on; run and request lines before it still explain the steps behind it.

    `last_at` is the latest Unix time that went by and is not ahead of the clock by more than a day, None before reading
    and where nothing is timed; `ahead` is the latest of those that are.
    """

    opened: Opened
    skip: int = 0
    last_at: float | None = field(default=None)
    ahead: float | None = field(default=None)

    @property
    def path(self) -> str:
        """As the user named it."""
        return self.opened.path

    @property
    def format(self) -> str:
        """The reader that claims it."""
        return self.opened.format

    @property
    def engine(self) -> str | None:
        """Which engine wrote it, where the format tells."""
        return self.opened.engine

    @property
    def verified(self) -> bool:
        """A checksum stands over its content."""
        return self.opened.verified

    def batches(self) -> Iterator[Batch]:
        """The batches of the input without what was counted before."""
        for batch in self.opened.batches():
            rest = self._behind(batch) if self.skip else batch
            self._note(rest)
            yield rest

    def _behind(self, batch: Batch) -> Batch:
        steps = batch.steps.filter(pl.col("line") > self.skip)
        windows = batch.windows
        if windows is not None:
            windows = windows.filter(pl.col("line").is_null() | (pl.col("line") > self.skip))
        events = [e for e in batch.events if e.line is None or e.line > self.skip or e.kind in ("config", "version")]
        losses = [x for x in batch.losses if x.line is None or x.line > self.skip]
        records = 0 if windows is None else windows.height
        lost = sum(x.count for x in losses)
        lines = batch.runs.height + batch.requests.height + steps.height + records + lost
        told = batch.responses
        told = None if told is None else told.filter(pl.col("line").is_null() | (pl.col("line") > self.skip))
        rest = replace(batch, lines=lines, steps=steps, windows=windows, responses=told)
        return replace(rest, events=events, losses=losses, records=records)

    def _note(self, batch: Batch) -> None:
        """Times of a batch. What is before _EARLIEST, infinite or no number is no Unix time."""
        most, at = clock.last_time(), pl.col("at")
        for frame in (batch.steps, batch.windows):
            if frame is None or not frame.height:
                continue
            timed = frame.select(at).filter(at.is_finite() & (at > _EARLIEST))
            self.last_at = _later(self.last_at, timed.filter(at <= most)["at"].max())
            self.ahead = _later(self.ahead, timed.filter(at > most)["at"].max())


def _later(one: float | None, other: object) -> float | None:
    known = [float(at) for at in (one, other) if isinstance(at, float | int)]
    return max(known, default=None)
