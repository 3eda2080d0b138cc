"""A Prometheus server as an input: what it is asked for, and what is said where it cannot be."""

import json
from typing import Any

import pytest

from sdtrace.counters.sources import sources
from sdtrace.errors import NoInputError, UsageError
from sdtrace.readers.metrics import prometheus_server


def test_a_prometheus_server_is_asked_for_the_time_that_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    labels: dict[str, str] = {"instance": "h:8000", "engine": "0"}
    names = {"num_drafts": (10, 15), "num_draft_tokens": (40, 60), "num_accepted_tokens": (20, 30)}
    result: list[dict[str, Any]] = [
        {
            "metric": {"__name__": f"vllm:spec_decode_{n}_total", "job": job, **labels},
            "values": [[100, str(a)], [105, str(b)]],
        }
        for n, (a, b) in names.items()
        for job in ("a", "b")  # two jobs scrape one target
    ]

    def get(self: object, url: str, params: dict[str, Any], headers: dict[str, str]) -> bytes:
        asked.append({"url": url, **params})
        return json.dumps({"status": "success", "data": {"result": result}}).encode()

    monkeypatch.setattr("sdtrace.readers.io.http.Server.get", get)
    batch = next(iter(prometheus_server.batches("prometheus://host:9090/prom", 100.0, 7300.0)))
    assert (asked[0]["url"], asked[0]["start"], asked[0]["end"]) == (
        "http://host:9090/prom/api/v1/query_range",
        100.0,
        7300.0,
    )
    assert asked[0]["step"] == 7200 / prometheus_server.POINTS
    assert batch.windows is not None
    found = sources(batch.windows)[0].counts
    assert (found["drafts"], found["drafted"], found["accepted"]) == (5, 20, 10)


def test_a_server_that_cannot_be_asked_is_an_error_with_a_way_out() -> None:
    with pytest.raises(NoInputError, match="no answer"):
        next(iter(prometheus_server.batches("prometheus://127.0.0.1:1", 0.0, 1.0)))
    with pytest.raises(UsageError, match="password"):
        next(iter(prometheus_server.batches("prometheus://user:secret@host:9090")))
