"""A Prometheus server as an input: prometheus://host:9090, the engine's series over a stretch of time."""

import os
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from sdtrace.errors import NoInputError, UsageError
from sdtrace.readers.metrics.series import Scrape, pattern, place, wanted
from sdtrace.redaction import redacted
from sdtrace.schema.counters import from_rows, no_windows
from sdtrace.schema.trace import Batch, Loss, empty

#: Points asked for of each series.
POINTS = 2_000
#: What is asked for when no --since is given.
SPAN = 3600.0


def is_server(path: str) -> bool:
    """Whether an input names a Prometheus server."""
    return path.startswith(("prometheus://", "prometheus+https://"))


def batches(url: str, since: float | None = None, until: float | None = None) -> Iterator[Batch]:
    """Samples of every series of an engine. Raises NoInputError where the server cannot be asked."""
    import httpx  # only here: the rest of the tool opens no connection

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
    step = max((end - start) / POINTS, 1.0)
    query: dict[str, str | float] = {
        "query": f'{{__name__=~"{pattern()}"}}',
        "start": start,
        "end": end,
        "step": step,
    }
    try:
        token = os.environ.get("PROMETHEUS_TOKEN")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = httpx.get(f"{base}/api/v1/query_range", params=query, timeout=60.0, headers=headers)
        document = answer.json()
    except (httpx.HTTPError, ValueError, httpx.InvalidURL) as error:
        raise NoInputError(
            f"{url}: the server did not answer ({type(error).__name__})",
            "check host and port; the address is prometheus://HOST:PORT, prometheus+https:// for TLS",
        ) from error
    if document.get("status") != "success":
        raise NoInputError(f"{url}: {str(document.get('error'))[:200]}", "narrow the time with --since and --until")
    yield _batch(url, document["data"]["result"])


def _batch(url: str, series: list[dict[str, Any]]) -> Batch:
    scrapes: dict[float, Scrape] = {}
    count = 0
    for one in series:
        labels = dict(one.get("metric", {}))
        found, where = wanted(str(labels.pop("__name__", ""))), place(labels)
        if found is None:
            continue
        engine, bare = found
        for at, value in one.get("values", []):
            count += 1
            scrapes.setdefault(float(at), Scrape()).take(engine, bare, labels, where, float(value), None)
    rows = [row for at in sorted(scrapes) for row in scrapes[at].rows(at)]
    tables = empty("run"), empty("request"), empty("step")
    if not rows:
        advice = "the server may scrape no engine, or the time asked for lies before it did (--since)"
        return Batch(
            url, 1, *tables, [Loss(url, None, "no series of an engine in this time", 1, advice)], [], no_windows()
        )
    return Batch(url, count, *tables, [], [], from_rows(url, rows), records=count)
