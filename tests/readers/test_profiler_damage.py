"""A profile that is damaged, nested or cut: what is whole is read at little cost, and the rest is said."""

from pathlib import Path

import pytest

from sdtrace.readers.io.source import source
from sdtrace.readers.profiler import events as reading


@pytest.mark.one_of(3)
@pytest.mark.parametrize(
    "text",
    [
        '{"traceEvents": [' + '{"a":' * 400_000,
        '{"traceEvents": [' + "[" * 1_000_000,
        '{"traceEvents": [' + '{"a": "' + "x" * 3_000_000,
        '{"traceEvents": [' + '{"ts": ' + "9" * 50_000 + "}]}",
        '{"traceEvents": [' + '{"a" ' * 400_000 + "]}",
    ],
    ids=["open braces", "open brackets", "a string without an end", "a number without an end", "damaged events"],
)
def test_what_is_nested_or_cut_costs_little(text: str, tmp_path: Path) -> None:
    """Attempts at damaged events have a budget in characters; behind it the rest is not read, and that is said."""
    (tmp_path / "t.json").write_text(text)
    told = reading.EventFacts()
    assert [e for e in reading.events(source(str(tmp_path / "t.json")), told) if "name" in e] == []
    assert told.damaged <= reading.BUDGET // reading.ATTEMPT + 1
    assert told.damaged or told.events
