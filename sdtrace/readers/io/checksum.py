"""Whether an input carries a checksum over its content: only then is a single odd record the recorder's and no flipped bit's."""

from pathlib import Path

import zstandard

from sdtrace.readers.io.footer import row_groups
from sdtrace.readers.io.source import Source

#: Containers that always carry one: CRC-32 (RFC 1952), CRC of each block (bzip2), CRC-32 or CRC-64 (xz), CRC-32 (zip).
_ALWAYS = frozenset({"gz", "bz2", "xz", "zip"})
#: Fields 1 to 4 of a page's header are integers of 32 bits, each one after the last (Thrift's compact protocol): its type,
#: its size unpacked and packed, and its CRC-32, which may be left out (parquet.thrift, PageHeader).
_NEXT_INTEGER, _BEFORE_CRC, _HEADER = 0x15, 3, 32


def has_checksum(src: Source) -> bool:
    """By the container; a zst frame says in its header whether it has one (RFC 8878 3.1.1.1.1). Other plain files have none."""
    if src.file is None:
        return src.packing in _ALWAYS
    if src.is_folder:
        tables = sorted([*src.file.glob("*.parquet"), *src.file.glob("*s/*.parquet")])
        return bool(tables) and all(map(_pages_have, tables))
    if src.head.startswith(b"PAR1"):
        return _pages_have(src.file)
    if src.packing != "zst":
        return src.packing in _ALWAYS
    try:
        with src.file.open("rb") as raw:
            return bool(zstandard.get_frame_parameters(raw.read(18)).has_checksum)
    except (OSError, zstandard.ZstdError):
        return False


def _pages_have(file: Path) -> bool:
    """Whether the first page of a Parquet file has a CRC-32: a writer gives one to every page or to none. True without pages."""
    try:
        page = next((group.first_page for group in row_groups(file) if group.first_page and group.rows), None)
        if page is None:
            return True
        with file.open("rb") as raw:
            raw.seek(page)
            return _has_crc(raw.read(_HEADER))
    except (OSError, ValueError, OverflowError):
        return False


def _has_crc(header: bytes) -> bool:
    """Whether the fourth field of a page's header is there."""
    at = 0
    for _ in range(_BEFORE_CRC):
        if header[at : at + 1] != bytes([_NEXT_INTEGER]):
            return False
        at += 1
        while at < len(header) and header[at] & 0x80:  # a number goes on while the highest bit is set
            at += 1
        at += 1
    return header[at : at + 1] == bytes([_NEXT_INTEGER])
