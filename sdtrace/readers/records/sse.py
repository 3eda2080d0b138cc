"""Server-sent events of a streamed response: llama.cpp's timings, SGLang's meta_info, vLLM's last chunk.

llama.cpp's draft counts are cumulative and change once a round, so their differences are rounds. SGLang repeats its
totals in every chunk: the last one of a request counts. vLLM sends its figures once, with the usage.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sdtrace.readers import sglang_meta, vllm_meta
from sdtrace.readers.inputs import add
from sdtrace.readers.io.source import Source, lines
from sdtrace.readers.json_value import parsed
from sdtrace.readers.reader import Reader, of_text
from sdtrace.readers.responses.stream import Stream
from sdtrace.schema.counters import Row, from_rows
from sdtrace.schema.json_values import Json
from sdtrace.schema.responses import from_rows as from_responses
from sdtrace.schema.trace import Batch, Loss, no_tables, other_lines

_EVENT = b"data: {"


def sniff(head: bytes) -> str | None:
    """None where the head holds `data: {` lines."""
    lines = [line for line in head.split(b"\n") if line.strip() and not line.startswith((b"#", b":", b"event:"))]
    return None if any(line.startswith(_EVENT) for line in lines[:5]) else "no line begins with `data: {`"


@dataclass
class _Stream:
    """Rows made so far; totals of llama.cpp requests and last meta_info of SGLang ones, by id."""

    rows: list[Row] = field(default_factory=list)
    before: dict[str, tuple[int, int]] = field(default_factory=dict)
    last: dict[str, Json] = field(default_factory=dict)
    responses: Stream = field(default_factory=Stream)


def batches(src: Source) -> Iterator[Batch]:
    """One window a round that drafted (llama.cpp) or a request (SGLang, vLLM)."""
    stream, losses = _Stream(), list[Loss]()
    total = records = 0
    for number, line in lines(src):
        total += 1
        if not line.startswith(_EVENT):
            continue
        chunk = parsed(line[6:])
        if not isinstance(chunk, dict):
            add(losses, [Loss(src.path, number, "no JSON object behind `data:`", 1, "the stream was cut there")])
            continue
        records += 1
        _take(stream, chunk, number)
        stream.responses.take(chunk, number)
    other = total - records - sum(loss.count for loss in losses)
    if other:
        losses.append(other_lines(src.path, other, "expected in a stream"))
    windows = from_rows(src.path, [*stream.rows, *stream.last.values()])
    told = from_responses(src.path, stream.responses.responses())
    tables = no_tables()
    yield Batch(src.path, total, *tables, losses, [], windows, records=records, responses=told)


def _take(stream: _Stream, chunk: Json, number: int) -> None:
    if isinstance(timings := chunk.get("timings"), dict):
        stream.rows += _round(timings, str(chunk.get("id")), number, stream.before)
    elif isinstance(meta := chunk.get("meta_info"), dict):
        name = str(meta.get("id"))
        if (row := sglang_meta.request_window(meta)) is not None:
            stream.last[name] = row | {"line": number, "request_id": name}
    elif (row := vllm_meta.request_window(chunk)) is not None:
        stream.rows.append(row | {"line": number, "request_id": str(chunk.get("id"))})


def _round(timings: Json, name: str, number: int, before: dict[str, tuple[int, int]]) -> list[Json]:
    drafted, accepted = timings.get("draft_n"), timings.get("draft_n_accepted")
    if not isinstance(drafted, int) or not isinstance(accepted, int):
        return []
    now, old = (drafted, accepted), before.get(name, (0, 0))
    if now[0] <= old[0]:
        return []
    before[name] = now
    row: Row = {"line": number, "engine": "llama.cpp", "surface": "stream", "basis": "round", "drafts": 1}
    row |= {"drafted": now[0] - old[0], "accepted": now[1] - old[1], "emitted": now[1] - old[1] + 1, "request_id": name}
    return [row | {"said": {"draft_n": now[0], "draft_n_accepted": now[1]}}]


READER = Reader(
    name="event-stream",
    says="server-sent events of a streamed response (llama.cpp, SGLang, vLLM)",
    looks_for="lines that begin with `data: {`",
    refuse=of_text(sniff),
    batches=batches,
)
