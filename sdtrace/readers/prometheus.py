"""Prometheus text exposition of an engine: one scrape, or several after one another."""

import re
from collections.abc import Iterator
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from sdtrace.readers.series import NAME, Scrape
from sdtrace.readers.source import Source, segments
from sdtrace.trace import OTHER, Batch, Loss, empty
from sdtrace.windows import from_rows


def sniff(head: bytes) -> str | None:
    """None where the head holds a sample or a type line of an engine's metric."""
    for line in head.split(b"\n"):
        text = line.decode("utf-8", "replace")
        if re.match(r"# (?:TYPE|HELP) ", text):
            text = text.split(" ", 3)[2]
        if NAME.match(text) and (line.startswith(b"#") or re.search(r"(?:\}| )\s*[\d.eE+-]+(?: \d+)?\s*$", text)):
            return None
    return "no metric named vllm:, sglang:, llamacpp:, trtllm_, lmdeploy:"


def batches(src: Source) -> Iterator[Batch]:
    """Samples of a file; a metric that comes again begins the next scrape."""
    at = _named_time(src.path)
    total = used = number = 0
    losses: list[Loss] = []
    rows: list[dict[str, Any]] = []
    scrape = Scrape()
    for segment in segments(src):
        with segment.file.open("rb") as stream:
            for number, raw in enumerate(stream, start=segment.first):
                total += 1
                text = raw.decode("utf-8", "replace").strip()
                if not NAME.match(text):
                    continue
                try:
                    sample = next(iter(next(iter(text_string_to_metric_families(text + "\n"))).samples))
                except (ValueError, StopIteration, KeyError, IndexError):
                    losses.append(Loss(src.path, number, "a sample that is no exposition line", 1, "it was cut"))
                    continue
                used += 1
                key = (sample.name, tuple(sorted(sample.labels.items())))
                if key in scrape.seen:
                    rows += scrape.rows(at)
                    scrape = Scrape()
                scrape.take(sample.name, sample.labels, sample.value, number, _stamp(sample.timestamp))
    rows += scrape.rows(at)
    other = total - used - len(losses)
    if other:
        losses.append(Loss(src.path, None, OTHER, other, "expected in an exposition"))
    yield Batch(
        src.path,
        total,
        empty("run"),
        empty("request"),
        empty("step"),
        losses,
        [],
        from_rows(src.path, rows),
        records=used,
    )


def scraped(text: str, at: float) -> list[dict[str, Any]]:
    """The windows of one scrape of a running engine, as rows; lines that are no samples are left out."""
    scrape = Scrape()
    for number, raw in enumerate(text.splitlines(), start=1):
        if not NAME.match(raw):
            continue
        try:
            sample = next(iter(next(iter(text_string_to_metric_families(raw + "\n"))).samples))
        except (ValueError, StopIteration, KeyError, IndexError):
            continue
        scrape.take(sample.name, sample.labels, sample.value, number, None)
    return scrape.rows(at)


def _named_time(path: str) -> float | None:
    """Scrapes are often named by their Unix time."""
    found = re.search(r"(?<!\d)(1\d{9})(\d{3})?(?!\d)", path.rsplit("/", 1)[-1])
    return float(found[1]) + (float(found[2]) / 1e3 if found[2] else 0.0) if found else None


def _stamp(value: Any) -> float | None:
    """Exposition stamps are milliseconds; the parser divides them by 1000."""
    return None if value is None else float(value)
