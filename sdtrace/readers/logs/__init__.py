"""Text logs: one dialect an engine. A log that several engines wrote into is heard by all of their dialects."""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, partial

from sdtrace.readers.io.source import Source
from sdtrace.readers.logs import (
    aiperf_console,
    bench_serving,
    dynamo,
    gpt_fast,
    ik_llama,
    llamacpp,
    lmdeploy,
    mlx_console,
    mtp_bench,
    ollama,
    openvino_sample,
    sglang,
    spec_bench_console,
    speculators_report,
    speed_bench_console,
    tabbyapi,
    tensorrt,
    tokenspeed,
    vllm,
    vllm_offline,
)
from sdtrace.readers.logs.dialect import Dialect
from sdtrace.readers.logs.envelope import ANSI
from sdtrace.readers.logs.walk import batches
from sdtrace.schema.trace import Batch

DIALECTS: dict[str, Dialect] = {
    d.DIALECT.name: d.DIALECT
    for d in (
        vllm, sglang, llamacpp, tensorrt, lmdeploy, ollama, dynamo, tokenspeed, tabbyapi, aiperf_console, ik_llama,
        bench_serving, vllm_offline, speculators_report, mtp_bench, openvino_sample, gpt_fast, spec_bench_console,
        mlx_console, speed_bench_console,
    )
}  # fmt: skip

_SAMPLE, _SAMPLES = 1 << 15, 16


def spoken(src: Source) -> list[str]:
    """The dialects that samples of a log hold, the one heard first in front."""
    return list(_spoken(src, *_state(src)))


@lru_cache(maxsize=4)
def _spoken(src: Source, size: int, changed: int) -> tuple[str, ...]:
    """Every reader asks; the answer holds as long as the file is the same."""
    text = re.sub(ANSI, "", _samples(src, size, changed).decode("utf-8", "replace"))
    places = {name: m.start() for name, d in DIALECTS.items() if (m := d.mark.search(text))}
    return tuple(sorted(places, key=places.__getitem__))


def _state(src: Source) -> tuple[int, int]:
    if src.file is None:
        return 0, 0
    known = src.file.stat()
    return known.st_size, known.st_mtime_ns


@lru_cache(maxsize=4)
def _samples(src: Source, size: int, changed: int) -> bytes:
    """The head, and pieces of a plain file's rest."""
    if (
        src.file is None
        or src.packing is not None
        or src.encoding is not None
        or src.peel is not None
        or size <= len(src.head)
    ):
        return src.head
    pieces = [src.head]
    with src.file.open("rb") as stream:
        for i in range(1, _SAMPLES + 1):
            stream.seek(max(0, size - _SAMPLE) * i // _SAMPLES)
            pieces.append(stream.read(_SAMPLE))
    return b"\n".join(pieces)


def read(names: list[str], src: Source) -> Iterator[Batch]:
    """Batches of a log in these dialects; a small log is listened to by all."""
    small = src.file is not None and src.file.stat().st_size <= 4 << 20
    chosen = list(dict.fromkeys([*names, *DIALECTS])) if small else names
    dialects = [DIALECTS[name] for name in chosen]
    if small:
        dialects = [replace(d, needles=d.needles + d.asides) if d.asides else d for d in dialects]
    return batches(src, dialects, _samples(src, *_state(src)))


READ = {name: partial(read, [name]) for name in DIALECTS}
