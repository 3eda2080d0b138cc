"""Server-sent events of a llama.cpp stream: cumulative draft counts change once a round, so their differences are rounds."""

from collections.abc import Iterator
from typing import Any

import orjson

from sdtrace.readers.source import Source, segments
from sdtrace.trace import OTHER, Batch, Loss, empty
from sdtrace.windows import from_rows


def sniff(head: bytes) -> str | None:
    """None where the head holds `data: {` lines."""
    lines = [line for line in head.split(b"\n") if line.strip() and not line.startswith(b"#")]
    if any(line.startswith(b"data: {") for line in lines[:5]):
        return None
    return "no line begins with `data: {`"


def batches(src: Source) -> Iterator[Batch]:
    """One window a round that drafted; the last chunk's totals are what they add up to."""
    rows: list[dict[str, Any]] = []
    before: dict[str, tuple[int, int]] = {}
    losses: list[Loss] = []
    total = records = 0
    for segment in segments(src):
        with segment.file.open("rb") as stream:
            for number, line in enumerate(stream, start=segment.first):
                total += 1
                if not line.startswith(b"data: {"):
                    continue
                try:
                    chunk = orjson.loads(line[6:])
                except orjson.JSONDecodeError:
                    losses.append(Loss(src.path, number, "no JSON behind `data:`", 1, "the stream was cut there"))
                    continue
                records += 1
                rows += _rounds(chunk, number, before)
    other = total - records - len(losses)
    if other:
        losses.append(Loss(src.path, None, OTHER, other, "expected in a stream"))
    windows = from_rows(src.path, rows)
    yield Batch(src.path, total, empty("run"), empty("request"), empty("step"), losses, [], windows, records=records)


def _rounds(chunk: dict[str, Any], number: int, before: dict[str, tuple[int, int]]) -> list[dict[str, Any]]:
    timings = chunk.get("timings")
    if not isinstance(timings, dict):
        return []
    name = str(chunk.get("id"))
    now = int(timings.get("draft_n") or 0), int(timings.get("draft_n_accepted") or 0)
    drafted, accepted = (a - b for a, b in zip(now, before.get(name, (0, 0)), strict=True))
    before[name] = now
    if drafted <= 0:
        return []
    row: dict[str, Any] = {"line": number, "engine": "llama.cpp", "surface": "stream", "basis": "round", "drafts": 1}
    row |= {"drafted": drafted, "accepted": accepted, "emitted": accepted + 1, "request_id": name}
    return [row | {"said": {"draft_n": now[0], "draft_n_accepted": now[1]}}]
