"""JSON records of engines and benchmarks: one shape a file; JSON Lines, a JSON document, or server-sent events."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import orjson

from sdtrace.readers.records import (
    aiperf,
    eagle,
    llamacpp_slots,
    llamacpp_timings,
    openvino,
    sglang_bench,
    sglang_request,
    spec_bench,
    specdec_bench,
    specforge,
    tensorrt_dflash,
    tensorrt_requests,
    tensorrt_stats,
    vllm_request,
)
from sdtrace.readers.records.shape import Shape, claims, found
from sdtrace.readers.source import Segment, Source, segments
from sdtrace.trace import OTHER, Batch, Loss, Notice, empty
from sdtrace.windows import from_rows

#: In the order in which they are asked: the more particular ones first.
SHAPES: dict[str, Shape] = {
    m.SHAPE.name: m.SHAPE
    for m in (
        vllm_request, sglang_request, tensorrt_stats, tensorrt_requests, tensorrt_dflash, aiperf, spec_bench, eagle,
        specforge, sglang_bench, specdec_bench, openvino, llamacpp_slots, llamacpp_timings,
    )
}  # fmt: skip

#: A document is read at once; beyond this it must be JSON Lines.
DOCUMENT = 256 << 20
ROWS = 20_000


def shape_of(src: Source) -> str | None:
    """The name of the first shape that the head (or the document) holds."""
    head = src.head.lstrip(b"\xef\xbb\xbf \r\n\t")
    lines = [line for line in head.split(b"\n") if line.strip() and not line.startswith(b"#")]
    if not lines or lines[0].lstrip()[:1] not in (b"{", b"["):
        return None
    values = [v for line in lines[:40] if (v := _json(line)) is not None and isinstance(v, dict | list)]
    if not values:
        document = _document(src)
        values = [] if document is None else [document]
    return next((name for name, shape in SHAPES.items() if any(claims(shape, v) for v in values)), None)


def _document(src: Source) -> Any:
    if src.file is None or src.file.stat().st_size > DOCUMENT:
        return None
    text = b"".join(piece.file.read_bytes() for piece in segments(src))
    return _json(_body(text))


def _body(text: bytes) -> bytes:
    """Without comment lines in front, as collections of samples have them."""
    while text.lstrip().startswith(b"#"):
        text = text.lstrip().partition(b"\n")[2]
    return text


def _json(text: bytes) -> Any:
    """A JSON value; bare NaN and Infinity are taken as numbers. None where it is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return None


def batches(shape: Shape, src: Source) -> Iterator[Batch]:
    """Windows of a file of one shape."""
    lines = _lines(src)
    first = next(lines, None)
    if first is not None and _json(first[1]) is None and (document := _document(src)) is not None:
        count = 1 + sum(1 for _ in lines)
        rows = list(found(shape, document))
        kept, losses = _kept(src.path, shape, [{**row, "line": 1} for row in rows])
        windows = from_rows(src.path, kept)
        lost = sum(loss.count for loss in losses)
        notices = [Notice(src.path, None, loss.what, loss.count, loss.advice) for loss in losses] if lost else []
        yield Batch(src.path, count, empty("run"), empty("request"), empty("step"), [], notices, windows, records=count)
        return
    yield from _by_line(shape, src)


def _lines(src: Source) -> Iterator[tuple[int, bytes, Segment]]:
    for segment in segments(src):
        with segment.file.open("rb") as stream:
            for number, line in enumerate(stream, start=segment.first):
                yield number, line, segment
        if segment.error:
            yield -1, segment.error.encode(), segment


def _by_line(shape: Shape, src: Source) -> Iterator[Batch]:
    rows: list[dict[str, Any]] = []
    losses: list[Loss] = []
    notices: list[Notice] = []
    total = other = records = 0
    for number, line, _ in _lines(src):
        if number < 0:
            advice = "what came before was read; get the file again, the rest of it is missing"
            what = f"the compressed file is damaged: {line.decode('utf-8', 'replace')[:160]}"
            notices.append(Notice(src.path, None, what, 1, advice))
            continue
        total += 1
        value = _json(line) if line.strip() else None
        if value is None or not isinstance(value, dict | list):
            if not line.strip() or line.startswith(b"#"):
                other += 1
            else:
                what = "truncated last line" if not line.endswith(b"\n") else "no JSON"
                losses.append(Loss(src.path, number, what, 1, "mend the writer, or remove the line"))
            continue
        made = [{**row, "line": number} for row in found(shape, value)]
        rows += made
        records, other = records + bool(made), other + (not made)
    kept, bad = _kept(src.path, shape, rows)
    lost = {loss.line for loss in bad}
    records -= len(lost - {row["line"] for row in kept})
    losses += bad
    if other:
        losses.append(Loss(src.path, None, OTHER, other, "expected in a file of records"))
    windows = from_rows(src.path, kept)
    yield Batch(
        src.path, total, empty("run"), empty("request"), empty("step"), losses, notices, windows, records=records
    )


def _kept(path: str, shape: Shape, rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Loss]]:
    """Rows without bad ones and without those that a later record replaces."""
    last = {row["again"]: i for i, row in enumerate(rows) if "again" in row and "bad" not in row}
    kept, losses, told = [], [], set()
    for i, row in enumerate(rows):
        again, bad = row.pop("again", None), row.pop("bad", None)
        if bad is None and (again is None or last[again] == i):
            kept.append(row)
            continue
        if row["line"] in told:
            continue
        told.add(row["line"])
        what = bad or "a later record of the same question replaces this one"
        losses.append(Loss(path, row["line"], what, 1, "counted as a bad record; figures are over the others"))
    return kept, [loss for loss in losses if loss.line not in {row["line"] for row in kept}]


READ = {name: partial(batches, shape) for name, shape in SHAPES.items()}
