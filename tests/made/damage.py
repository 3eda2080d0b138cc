"""Damage to a file of any format: bytes, lines, numbers, JSON values, packings, tables. Every function takes a seeded generator."""

import bz2
import gzip
import io
import json
import lzma
import random
import re
import zipfile
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

#: Largest file that is made: what is tested is what the bytes say, not their number.
LARGEST = 400_000
WORDS = [
    b"\n", b"\r", b"\r\n", b"\0", b"\x1b[31m", b"\x85", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b'"', b"'",
    b"\\", b"{", b"}", b"[", b"]", b"}{", b"],[", b"<", b"|", b"=", b":", b",", b"%", b"> ", b"```\n", b"data: ", b"[DONE]",
    b"NaN", b"-Infinity", b"null", b"None", b"True", b"1e999", b"-1", b"\xc2\xb2", b"\xd9\xa3", b"9" * 25, b"9" * 400, b"1e308",
    b"\xe2\x80\xae", b"\xc2\xa0", b"\xef\xbb\xbf", b"[" * 1200, b'{"a":' * 1200, b"(" * 300, b"A" * 70_000, b"#", b"\t", b"PAR1",
]  # fmt: skip
NUMBERS = [
    b"0", b"-0", b"-1", b"1", b"2", b"4294967296", b"9223372036854775807", b"9223372036854775808", b"18446744073709551616",
    b"9" * 25, b"9" * 400, b"9" * 4400, b"1e308", b"1e309", b"1e-320", b"nan", b"NaN", b"inf", b"-inf", b"Infinity",
    b"1.7976931348623157e308",
    b"0.1.2", b"1,000", b"1e", b"--5", b"0x10", b"\xc2\xb2", b"\xd9\xa3", b"1_000", b"", b"null", b'"5"', b"true", b"253402300800",
    b"1e13", b"-62135596801", b"1000000000000", b"0" * 40 + b"7",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 1e308, -0.0, 0.5, float("nan"), float("inf"), "",
    "x", "0.5", "12", "NaN", "\u00b2", "\u202e", "\ud800", "\0", "<script>",
    [], [None], [1], [[1]], [[[]]], [1, "x"], [0.5] * 3, ["a", None],
    {}, {"a": 1}, {"": {}}, {"0": 5}, {"-1": 5}, {"99999999": 1}, [{}], [{"a": []}], [-1, 1e308], 4097, 10**9,
]  # fmt: skip
_NUMBER = re.compile(rb"(?<![\w.])-?\d+(?:\.\d+)?")


def _span(rng: random.Random, size: int, most: int) -> tuple[int, int]:
    begin = rng.randrange(size + 1)
    return begin, min(size, begin + rng.randint(1, most))


def flip(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """A few single bits."""
    made = bytearray(data)
    for _i in range(rng.choice((1, 1, 2, 8)) if made else 0):
        made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    return bytes(made)


def noise(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """Random bytes over others."""
    begin, end = _span(rng, len(data), 12)
    return data[:begin] + rng.randbytes(rng.randint(1, 12)) + data[end:]


def cut(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """A piece is missing, or an end."""
    begin, end = _span(rng, len(data), rng.choice((3, 80, 3000)))
    return data[:begin] + data[end:] if rng.random() < 0.6 else data[:begin] if rng.random() < 0.5 else data[begin:]


def word(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """Something that means something to some parser, at a few places."""
    for _i in range(rng.randint(1, 3)):
        at = rng.randrange(len(data) + 1)
        data = data[:at] + rng.choice(WORDS) + data[at:]
    return data


def number(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """Numbers are others: huge, negative, no number at all. Now and then every one of a kind."""
    found = list(_NUMBER.finditer(data))
    if not found:
        return data
    if rng.random() < 0.15:
        old = rng.choice(found)[0]
        return data.replace(old, rng.choice(NUMBERS))
    for one in sorted(rng.sample(found, min(len(found), rng.randint(1, 4))), key=lambda m: -m.start()):
        data = data[: one.start()] + rng.choice(NUMBERS) + data[one.end() :]
    return data


def splice(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """A piece of another file stands in this one, at any byte or between lines."""
    begin, end = _span(rng, len(other), rng.choice((40, 400, 4000)))
    piece = other[begin:end]
    if rng.random() < 0.5:
        lines = data.splitlines(keepends=True)
        at = rng.randrange(len(lines) + 1)
        return b"".join(lines[:at]) + piece + b"\n" + b"".join(lines[at:])
    at = rng.randrange(len(data) + 1)
    return data[:at] + piece + data[at:]


def lines(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """Lines are in another order, there again, glued, or ended in another way."""
    found = data.split(b"\n")
    kind = rng.randrange(6)
    if kind == 0:
        rng.shuffle(found)
    elif kind == 1:
        at = rng.randrange(len(found))
        found[at:at] = [found[at]] * rng.choice((2, 50))
    elif kind == 2:
        return data.replace(b"\n", rng.choice((b"", b" ", b"\r", b"\r\n", b"\x85", b"\n\n", b"\\n", b"\0")))
    elif kind == 3:
        return b"\n".join(rng.choice((b"> ", b"  ", b"\t", b"+", b"2026-01-01 ", b"\x1b[0m")) + line for line in found)
    elif kind == 4:
        size = rng.randint(7, 90)
        return b"\n".join(data[i : i + size] for i in range(0, len(data), size))
    else:
        found = found[::-1]
    return b"\n".join(found)


def coded(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """In another encoding, whole or from somewhere on."""
    name = rng.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp1252", "utf-8-sig"))
    at = rng.choice((0, 0, rng.randrange(len(data) + 1)))
    return data[:at] + data[at:].decode("utf-8", "replace").encode(name, "replace")


def _walk(rng: random.Random, node: Any, depth: int = 0) -> tuple[Any, Any]:
    """(holder, key) of some value in a document."""
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    key = rng.choice(keys)
    below = node[key]
    if isinstance(below, dict | list) and below and rng.random() < 0.8:
        return _walk(rng, below, depth + 1)
    return node, key


def _changed(rng: random.Random, document: Any) -> str:
    """A document with something in it changed."""
    for _i in range(rng.choice((1, 1, 2, 4))):
        if not isinstance(document, dict | list) or not document:
            document = rng.choice(VALUES)
            break
        holder, key = _walk(rng, document)
        kind = rng.randrange(8)
        if kind < 4:
            holder[key] = rng.choice(VALUES)
        elif kind == 4:
            del holder[key]
        elif kind == 5 and isinstance(holder, list):
            holder[key:key] = [holder[key]] * rng.choice((1, 40))
        elif kind == 6:
            holder[key] = [holder[key]] if rng.random() < 0.5 else {"a": holder[key]}
        elif isinstance(holder, dict):
            holder[rng.choice((f"{key}x", "", "kind", "id", "0", "choices", "message"))] = holder.pop(key)
    text = json.dumps(document)
    if rng.random() < 0.15 and isinstance(document, dict) and document:  # a key that is there twice
        name = rng.choice(list(document))
        text = text[:-1] + f", {json.dumps(name)}: {json.dumps(rng.choice(VALUES))}}}"
    if rng.random() < 0.05:
        depth = rng.choice((60, 900, 3000))
        text = '{"a":' * depth + text + "}" * depth if rng.random() < 0.5 else "[" * depth + text + "]" * depth
    return text


def values(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """Values of JSON have other types, are gone, there twice, nested; the document whole, or lines of it."""
    try:
        return _changed(rng, json.loads(data)).encode()
    except (ValueError, RecursionError):
        pass
    found = data.split(b"\n")
    for at in rng.sample(range(len(found)), min(len(found), rng.randint(1, 4))):
        before, brace, text = found[at].partition(b"{")
        try:
            found[at] = before + _changed(rng, json.loads(brace + text)).encode("utf-8", "replace")
        except (ValueError, RecursionError):
            continue
    return b"\n".join(found)


def labels(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """Words that readers look for stand elsewhere, twice or not at all."""
    found = sorted(set(re.findall(rb"[A-Za-z_]{4,}", data)))
    if not found:
        return data
    one, two = rng.choice(found), rng.choice(found)
    kind = rng.randrange(4)
    if kind == 0:
        return data.replace(one, two)
    if kind == 1:
        return data.replace(one, one + b" " + one, 3)
    return data.replace(one, b"") if kind == 2 else data.replace(one, one.upper())


TEXT: tuple[Callable[[random.Random, bytes, bytes], bytes], ...] = (
    flip, noise, cut, word, number, number, splice, lines, coded, values, values, values, labels,
)  # fmt: skip


def damaged(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Some of all that, one after the other. `other`: a file to take pieces of."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        data = rng.choice(TEXT)(rng, data, other)[:LARGEST]
    return data


def _zip(data: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("trace.jsonl", data)
    return held.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
    "zst without a checksum": lambda data: zstandard.ZstdCompressor(write_checksum=False).compress(data),
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zip": _zip,
}


def packed(rng: random.Random, data: bytes) -> bytes:
    """Packed, perhaps twice or with a tail, and damaged then in two of three files."""
    pack = rng.choice(list(PACKED.values()))
    made = pack(data)
    if rng.random() < 0.1:
        made = rng.choice(list(PACKED.values()))(made)
    if rng.random() < 0.1:
        made += rng.choice((b"\0" * 9, data[:50], pack(data[:500])))
    if rng.random() < 0.65:
        made = rng.choice((flip, noise, cut))(rng, made, b"")
    return made


def table(rng: random.Random, data: bytes) -> bytes:
    """A Parquet file with a column of another type, name, length or content, or with bytes of its own damaged."""
    if rng.random() < 0.4:
        return rng.choice((flip, flip, noise, cut))(rng, data, b"")
    made = pq.read_table(io.BytesIO(data))
    for _ in range(rng.choice((1, 1, 2))):
        if not made.num_columns:
            break
        at = rng.randrange(made.num_columns)
        name = made.column_names[at]
        kind = rng.randrange(6)
        if kind == 0:
            made = made.drop_columns([name])
        elif kind == 1:
            names = [*made.column_names]
            names[at] = rng.choice(("", "step", "kind", "x\0", "\u202e", "request_id", "hash", "line", name.upper()))
            made = made.rename_columns(names)
        else:
            column = _column(rng, made.column(at), made.num_rows)
            if column is not None:
                made = made.set_column(at, name, column)
    if len(set(made.column_names)) < made.num_columns and rng.random() < 0.5:
        return data
    held = io.BytesIO()
    options = {
        "compression": rng.choice(("none", "zstd", "snappy", "gzip")),
        "row_group_size": rng.choice((1, 7, 10_000)),
    }
    pq.write_table(made, held, write_page_checksum=rng.random() < 0.5, **options)
    return held.getvalue()


def _column(rng: random.Random, column: Any, rows: int) -> Any:
    """As many values of some other kind; None where no table can hold them."""
    kinds: list[Callable[[], Any]] = [
        lambda: pa.nulls(rows),
        lambda: pa.array([rng.choice((0, 1, -1, 2**62)) for _ in range(rows)]),
        lambda: pa.array([rng.choice((0.5, float("nan"), float("inf"), None, 1e308)) for _ in range(rows)], pa.float64()),
        lambda: pa.array([rng.choice(("", "x", "5", None, '{"a":1}', "\u202e")) for _ in range(rows)], pa.string()),
        lambda: pa.array([rng.choice((b"\xff", b"x", None)) for _ in range(rows)], pa.binary()),
        lambda: pa.array([rng.choice(([], [1], [1, None], None, [2**62, -1])) for _ in range(rows)], pa.list_(pa.int64())),
        lambda: pa.array([rng.choice(([], [0.5], [float("nan"), None], None)) for _ in range(rows)], pa.list_(pa.float32())),
        lambda: pa.array([rng.choice(([[1]], [[]], None)) for _ in range(rows)], pa.list_(pa.list_(pa.int32()))),
        lambda: pa.array([{"a": 1} for _ in range(rows)]),
        lambda: pa.array([rng.choice((0, 10**15, None)) for _ in range(rows)], pa.timestamp("us")),
        lambda: pa.array([True] * rows),
        lambda: pa.chunked_array([column.combine_chunks()[::-1]]) if rows else None,
        lambda: column.combine_chunks().dictionary_encode(),
        lambda: column.cast(rng.choice((pa.uint64(), pa.float32(), pa.string(), pa.int8(), pa.decimal128(20, 3)))),
    ]  # fmt: skip
    try:
        return rng.choice(kinds)()
    except pa.ArrowException:
        return None
