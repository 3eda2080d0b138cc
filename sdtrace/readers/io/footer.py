"""What the footer of a Parquet file says of its row groups, read here: pyarrow ends the process where the histograms that some
writers add (SizeStatistics) do not fit the schema, for it throws where Python is not asked to catch (`RowGroupMetaData.column`).

The footer is a struct of Thrift's compact protocol (thrift-compact-protocol.md); fields by number as in parquet.thrift.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Structs, lists and maps inside each other: a footer needs six.
_DEPTH = 16
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 11, 12
_INTEGERS = frozenset({4, 5, 6})
#: Of FileMetaData, RowGroup, ColumnChunk and ColumnMetaData.
_GROUPS, _COLUMNS, _ROWS, _META = 4, 1, 3, 3
_VALUES, _UNPACKED, _DATA, _DICTIONARY = 5, 6, 9, 11


@dataclass(frozen=True)
class RowGroup:
    """`entries`: bytes that its entries come to at the least, eight each, or what is stored of them; `first_page`: where its
    first column begins in the file, None without columns."""

    rows: int
    entries: int
    first_page: int | None


def row_groups(file: Path) -> list[RowGroup]:
    """The row groups of a file. Raises ValueError where its footer cannot be read, OSError."""
    with file.open("rb") as raw:
        end = raw.seek(0, 2)
        raw.seek(max(end - 8, 0))
        tail = raw.read(8)
        size = struct.unpack("<I", tail[:4])[0] if tail[4:] == b"PAR1" else end
        if size > end - 8:
            raise ValueError("the footer is damaged")
        raw.seek(end - 8 - size)
        text = raw.read(size)
    try:
        found, _ = _struct(text, 0, 0)
        return [_row_group(group) for group in found[_GROUPS]]
    except (LookupError, TypeError, AttributeError, struct.error) as error:
        raise ValueError("the footer is damaged") from error


def _row_group(group: dict[int, Any]) -> RowGroup:
    columns = [chunk[_META] for chunk in group[_COLUMNS]]
    entries = sum(max(8 * column[_VALUES], column[_UNPACKED]) for column in columns)
    pages = [at for at in (columns[0].get(_DICTIONARY), columns[0][_DATA]) if at] if columns else []
    return RowGroup(group[_ROWS], entries, min(pages, default=None))


def _number(text: bytes, at: int) -> tuple[int, int]:
    """An unsigned number of seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = text[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise LookupError("a number of more than 64 bits")


def _struct(text: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """The fields of a struct by number."""
    found: dict[int, Any] = {}
    field = 0
    while (head := text[at]) != _STOP:
        at += 1
        if head >> 4:
            field += head >> 4
        else:
            number, at = _number(text, at)
            field = number >> 1 ^ -(number & 1)
        kind = head & 0x0F
        if kind in (_TRUE, _FALSE):
            found[field] = kind == _TRUE
        else:
            found[field], at = _value(text, at, kind, depth)
    return found, at + 1


def _value(text: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    """A value of one kind, and where it ends. Raises LookupError where there is none."""
    if kind in _INTEGERS:
        number, at = _number(text, at)
        return number >> 1 ^ -(number & 1), at
    if kind == _BINARY:
        size, at = _number(text, at)
        if at + size > len(text):
            raise LookupError("a text beyond the end")
        return text[at : at + size], at + size
    if depth >= _DEPTH:
        raise LookupError("too deep")
    if kind == _STRUCT:
        return _struct(text, at, depth + 1)
    if kind in (_LIST, _SET):
        return _list(text, at, depth + 1)
    if kind == _MAP:
        return None, _map(text, at, depth + 1)
    size = {_TRUE: 1, _FALSE: 1, _BYTE: 1, _DOUBLE: 8}[kind]
    if at + size > len(text):
        raise LookupError("a value beyond the end")
    return text[at : at + size], at + size


def _list(text: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    head, at = text[at], at + 1
    size = head >> 4
    if size == 15:
        size, at = _number(text, at)
    values = []
    for _ in range(size):
        value, at = _value(text, at, head & 0x0F, depth)
        values.append(value)
    return values, at


def _map(text: bytes, at: int, depth: int) -> int:
    """Where a map ends: none is asked for."""
    size, at = _number(text, at)
    if size:
        kinds, at = text[at], at + 1
        for _ in range(size):
            for kind in (kinds >> 4, kinds & 0x0F):
                _, at = _value(text, at, kind, depth)
    return at
