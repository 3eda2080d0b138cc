"""What a report on a sound trace does once, it does once: counted, not timed."""

from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import duckdb
import pytest

import sdtrace.pipeline
import sdtrace.schema.keys
from sdtrace.audit.audit import audit
from tests.made.simulate import Scenario, document, simulate


def test_a_sound_trace_is_read_once_and_its_ids_hashed_three_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = simulate(Scenario())
    path = trace.write(tmp_path / "trace.jsonl")
    document(path)  # whatever is begun once a process has begun
    done: Counter[str] = Counter()

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*given: Any, **named: Any) -> Any:
            done[name] += 1
            return call(*given, **named)

        return counting

    monkeypatch.setattr(sdtrace.schema.keys, "blake2b", counted("digests", blake2b))
    monkeypatch.setattr(sdtrace.pipeline, "audit", counted("passes", audit))
    monkeypatch.setattr(duckdb, "connect", counted("databases", duckdb.connect))
    document(path)
    assert done["passes"] == 1
    assert done["databases"] == 0
    # of the request line, of its steps, and of its id alone for places
    assert 0 < done["digests"] <= 3 * len(trace.requests)
