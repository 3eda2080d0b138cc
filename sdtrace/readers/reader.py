"""What a reader is: how to know an input of its format, how to read it, and what else it can do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sdtrace.readers.io.source import Source
from sdtrace.readers.refusal import PARQUET
from sdtrace.schema.trace import Batch

Refuse = Callable[[Source], str | None]


@dataclass(frozen=True)
class Reader:
    """A format. A package of its own offers one through the entry-point group `sdtrace.readers`.

    `refuse` tells why an input is not of the format (None = it is); of all readers exactly one may claim an input.
    `batches` reads one in bounded batches; every line of it is a record or a Loss.
    `looks_for` says what `refuse` looks for, in the words that the lines or records have.
    """

    name: str
    says: str
    looks_for: str
    refuse: Refuse
    batches: Callable[[Source], Iterator[Batch]]
    #: the engine whose counts these are, where the format is one engine's
    engine: str | None = None
    #: the files of a table (`run`, `request`, `step`), where the format is a folder of Parquet tables
    tables: Callable[[Path, str], list[Path]] | None = None
    #: tokens as they were written, by id, where an input is one step that is explained whole
    words: Callable[[Source], dict[int, str]] | None = None


def of_text(sniff: Callable[[bytes], str | None]) -> Refuse:
    """`refuse` of a text format by its first bytes."""

    def refuse(src: Source) -> str | None:
        if src.is_folder:
            return "a folder"
        return PARQUET if src.head.startswith(b"PAR1") else sniff(src.head)

    return refuse


def of_parquet(sniff: Callable[[Path], str | None], *, folders: bool) -> Refuse:
    """`refuse` of a format of Parquet files, or of folders of them too."""

    def refuse(src: Source) -> str | None:
        if src.is_folder:
            return None if folders else "a folder of tables"
        if src.packing or not src.head.startswith(b"PAR1") or src.file is None:
            return "does not begin with PAR1"
        return sniff(src.file)

    return refuse
