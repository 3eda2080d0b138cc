"""JSON records of engines and benchmarks: one shape a file; JSON Lines, a JSON document, or server-sent events."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sdtrace.readers.io.source import Source, lines, whole
from sdtrace.readers.json_value import parsed
from sdtrace.readers.records import (
    aiperf,
    bench_serving,
    eagle,
    exllamav3,
    llamacpp_slots,
    llamacpp_timings,
    lm_studio,
    mlc_llm,
    openai_usage,
    openvino,
    responses,
    sglang_bench,
    sglang_dspark,
    sglang_request,
    spec_bench,
    specdec_bench,
    specforge,
    speculators,
    speed_bench,
    tensorrt_dflash,
    tensorrt_requests,
    tensorrt_stats,
    trtllm_bench,
    vllm_request,
)
from sdtrace.readers.records.shape import Rows, Shape, claims, found
from sdtrace.readers.responses import answered
from sdtrace.readers.responses import responses as tokens
from sdtrace.schema.counters import Row, from_rows
from sdtrace.schema.responses import from_rows as from_responses
from sdtrace.schema.trace import BARE, Batch, Loss, Notice, no_tables, other_lines

#: In the order in which they are asked: the more particular ones first.
SHAPES: dict[str, Shape] = {
    m.SHAPE.name: m.SHAPE
    for m in (
        vllm_request, sglang_dspark, sglang_request, tensorrt_stats, tensorrt_requests, tensorrt_dflash, trtllm_bench,
        aiperf, spec_bench, eagle, specforge, sglang_bench, bench_serving, speculators, specdec_bench, speed_bench,
        openvino, mlc_llm, lm_studio, exllamav3, llamacpp_slots, llamacpp_timings, openai_usage, responses,
    )
}  # fmt: skip

ROWS = 20_000
#: Responses with logprobs that are held at a time: each has lists by token.
RESPONSES = 500
_REMARK = re.compile(rb"\s*#[^\n]*\n?")
_ASK = (
    "ask for them (OpenAI and vLLM: logprobs, SGLang: return_logprob, llama.cpp: n_probs), or let an engine score what was answered: "
    "sdtrace replay FILE --verifier http://HOST:PORT"
)
#: A Python dict that somebody pasted is short.
PASTED = 1 << 20


def shape_of(src: Source) -> str | None:
    """The name of the first shape that the head (or the document) holds."""
    head = src.head.lstrip(b"\xef\xbb\xbf \r\n\t")
    told = [line for line in head.split(b"\n") if line.strip() and not line.startswith(b"#")]
    pasted_only = not told and b"spec_verify_ct" in head
    if not pasted_only and (not told or told[0].lstrip()[:1] not in (b"{", b"[", b"'")):
        return None
    values = [v for line in told[:40] if (v := parsed(line)) is not None and isinstance(v, dict | list)]
    if 2 * len(values) < len(told[:40]):  # records that a log holds are somebody's text
        values = []
    if not values:
        document = _first_line(src) if b"\n" not in src.head else None
        document = _document(src) if document is None else document
        values = [] if document is None else [document]
    return next((name for name, shape in SHAPES.items() if any(claims(shape, v) for v in values)), None)


def _first_line(src: Source) -> Any:
    """The first line, of which the head holds a part only: 50 tokens with 20 alternatives each are 75 KB."""
    _, first = next(lines(src), (1, b""))
    value = parsed(first)
    return value if isinstance(value, dict | list) else None


def _document(src: Source) -> Any:
    text = None if src.file is None else whole(src, src.limits.max_line)
    if text is None:
        return None
    document = parsed(_body(text))
    return pasted(text) if document is None and len(text) <= PASTED else document


def pasted(text: bytes) -> Any:
    """A Python dict as people paste it (comment signs in front, braces cut off); None where it is none."""
    stripped = [line.lstrip("# ") for line in text.decode("utf-8", "replace").splitlines()]
    begins = [line for line in stripped if line[:1] in ("'", "{")]
    if 2 * len(begins) < sum(1 for line in stripped if line.strip()):
        return None
    try:
        return ast.literal_eval("".join(begins) if begins[:1] and begins[0][0] == "{" else "{" + "".join(begins) + "}")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _body(text: bytes) -> bytes:
    """Without comment lines in front, as collections of samples have them."""
    at = 0
    while found := _REMARK.match(text, at):
        at = found.end()
    return text[at:]


def batches(shape: Shape, src: Source) -> Iterator[Batch]:
    """Windows of a file of one shape."""
    numbered = lines(src)
    first = next(numbered, None)
    if first is not None and parsed(first[1]) is None and (document := _document(src)) is not None:
        count = 1 + sum(1 for _ in numbered)
        rows = list(found(shape, document))
        bad = Counter(str(row["bad"]) for row in rows if "bad" in row)
        kept, _, notices = _kept(src.path, shape, [{**row, "line": 1} for row in rows])
        told = from_responses(src.path, ({**row, "line": 1} for row in tokens(document)))
        advice = "a bad record is counted here and left out of the figures"
        notices += [Notice(src.path, None, what, n, advice) for what, n in bad.items()]
        tables = no_tables()
        windows = from_rows(src.path, kept)
        yield Batch(src.path, count, *tables, [], notices, windows, records=count, responses=told)
        return
    yield from _by_line(shape, src)


@dataclass
class _Held:
    """Rows of the lines read so far, and what the lines without rows were."""

    rows: list[Row] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    responses: list[Row] = field(default_factory=list)
    total: int = 0
    other: int = 0
    bare: int = 0
    records: int = 0


def _by_line(shape: Shape, src: Source) -> Iterator[Batch]:
    """Bounded batches; where a later record replaces an earlier one, the file is one batch."""
    held = _Held()
    for number, line in lines(src):
        _hear(held, shape, src.path, number, line)
        many = len(held.rows) >= ROWS and "again" not in held.rows[-1]
        if many or len(held.losses) >= ROWS or len(held.responses) >= RESPONSES:
            yield _batch(held, shape, src.path)
            held = _Held()
    yield _batch(held, shape, src.path)


def _hear(held: _Held, shape: Shape, path: str, number: int, line: bytes) -> None:
    held.total += 1
    value = parsed(line) if line.strip() else None
    if isinstance(value, dict | list):
        made = [{**row, "line": number} for row in found(shape, value)]
        told = [{**row, "line": number} for row in tokens(value)]
        held.rows += made
        held.responses += told
        some = bool(made or told)
        held.records, held.other = held.records + some, held.other + (not some)
        held.bare += not some and isinstance(value, dict) and answered(value)
    elif not line.strip() or line.startswith(b"#"):
        held.other += 1
    else:
        what = "truncated last line" if not line.endswith(b"\n") else "no JSON"
        held.losses.append(Loss(path, number, what, 1, "mend the writer, or remove the line"))


def _batch(held: _Held, shape: Shape, path: str) -> Batch:
    kept, bad, odd = _kept(path, shape, held.rows)
    losses = [*held.losses, *bad]
    if held.other:
        losses.append(other_lines(path, held.other, "expected in a file of records"))
    tables = no_tables()
    records, notices = held.records - len(bad), [*held.notices, *odd]
    if held.bare and shape is responses.SHAPE:
        notices.append(Notice(path, None, BARE, held.bare, _ASK, "bare"))
    told = from_responses(path, held.responses)
    return Batch(path, held.total, *tables, losses, notices, from_rows(path, kept), records=records, responses=told)


def _kept(path: str, shape: Shape, rows: Rows) -> tuple[Rows, list[Loss], list[Notice]]:
    """Rows without bad ones and without those that a later record replaces; one loss a line that has no other row."""
    last = {row["again"]: i for i, row in enumerate(rows) if "again" in row and "bad" not in row}
    kept: Rows = []
    refused: dict[int, str] = {}
    notes: Counter[str] = Counter()
    for i, row in enumerate(rows):
        again, bad, note = row.pop("again", None), row.pop("bad", None), row.pop("note", None)
        if bad is None and (again is None or last[again] == i):
            kept.append(row)
            notes.update([note] if note else [])
        else:
            refused.setdefault(row["line"], bad or "a later record of the same question replaces this one")
    counted = {row["line"] for row in kept}
    advice = "a bad record is counted here and left out of the figures"
    losses = [Loss(path, line, what, 1, advice) for line, what in refused.items() if line not in counted]
    odd = [Notice(path, None, what, n, "see the records of the benchmark") for what, n in notes.items()]
    return shape.settle(kept) if shape.settle else kept, losses, odd


READ = {name: partial(batches, shape) for name, shape in SHAPES.items()}
