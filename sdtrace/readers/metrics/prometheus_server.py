"""A Prometheus server as an input: prometheus://host:9090, the engine's series over a stretch of time."""

import os
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from sdtrace.errors import NoInputError, UsageError
from sdtrace.readers.io.http import Server, Unanswered
from sdtrace.readers.json_value import parsed
from sdtrace.readers.metrics.series import Scrape, pattern, place, wanted
from sdtrace.redaction import redacted
from sdtrace.schema.counters import Row, from_rows
from sdtrace.schema.trace import Batch, Loss, no_tables

#: Points asked for of each series.
POINTS = 2_000
#: What is asked for when no --since is given.
SPAN = 3600.0
#: Windows of one batch.
ROWS = 5_000


def is_server(path: str) -> bool:
    """Whether an input names a Prometheus server."""
    return path.startswith(("prometheus://", "prometheus+https://"))


def batches(url: str, since: float | None = None, until: float | None = None) -> Iterator[Batch]:
    """Samples of every series of an engine. Raises NoInputError where the server cannot be asked."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise UsageError(
            "prometheus://: a password in an address would stand in the report",
            "leave it out and set PROMETHEUS_TOKEN, or let a proxy add it",
        )
    scheme = "https" if parts.scheme.endswith("https") else "http"
    base = f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    url = redacted(url)  # as it is shown from here on
    end = until if until is not None else time.time()
    start = since if since is not None else end - SPAN
    query = {"query": f'{{__name__=~"{pattern()}"}}', "start": start, "end": end}
    token = os.environ.get("PROMETHEUS_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        step = max((end - start) / POINTS, 1.0)
        answer = Server().get(f"{base}/api/v1/query_range", query | {"step": step}, headers)
    except Unanswered as error:
        hint = f"{error.hint}; the address is prometheus://HOST:PORT, prometheus+https:// for TLS"
        raise NoInputError(str(error), hint, url) from None
    document = parsed(answer)
    if not isinstance(document, dict) or document.get("status") != "success":
        said = document.get("error") if isinstance(document, dict) else None
        why = str(said)[:200] if said else "the answer is not one of Prometheus"
        raise NoInputError(why, "check the address, or narrow the time with --since and --until", url)
    data = document.get("data")
    yield from _batches(url, data.get("result") if isinstance(data, dict) else None)


def _batches(url: str, series: Any) -> Iterator[Batch]:
    """Windows of the samples, at most ROWS or so in a batch; what is no sample is counted."""
    scrapes: dict[float, Scrape] = {}
    count = odd = 0
    for one in series if isinstance(series, list) else ():
        metric = one.get("metric") if isinstance(one, dict) else None
        values = one.get("values") if isinstance(one, dict) else None
        if not isinstance(metric, dict) or not isinstance(values, list):
            odd += 1
            continue
        labels = {str(k): str(v) for k, v in metric.items()}
        found = wanted(labels.pop("__name__", ""))
        if found is None:
            continue
        where = place(labels)
        for pair in values:
            sample = _sample(pair)
            if sample is None or (sample[0] not in scrapes and len(scrapes) > 4 * POINTS):
                odd += 1
                continue
            count += 1
            scrapes.setdefault(sample[0], Scrape()).take(*found, labels, where, sample[1], None)
    tables = no_tables()
    losses = [] if not odd else [Loss(url, None, "what is no sample, or was not asked for", odd, "check the server")]
    if not count:
        advice = "the server may scrape no engine, or the time asked for lies before it did (--since)"
        losses.append(Loss(url, None, "no series of an engine in this time", 1, advice))
    rows: list[Row] = []
    for at in sorted(scrapes):
        rows += scrapes.pop(at).rows(at)
        if len(rows) >= ROWS:
            yield Batch(url, 0, *tables, [], [], from_rows(url, rows))
            rows = []
    lines = count + sum(loss.count for loss in losses)
    yield Batch(url, lines, *tables, losses, [], from_rows(url, rows), records=count)


def _sample(pair: Any) -> tuple[float, float] | None:
    """(time, value) of a pair of the answer."""
    try:
        at, value = float(pair[0]), float(pair[1])
    except (TypeError, ValueError, IndexError, KeyError, OverflowError):
        return None
    return (at, value) if at - at == 0 else None
