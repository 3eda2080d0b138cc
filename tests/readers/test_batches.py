"""Batches of a file: columns that begin late, work that is done ahead."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import polars as pl
import pytest

from sdtrace.readers import open_inputs
from sdtrace.readers.io.prefetch import ahead


def test_columns_that_begin_late_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The samples of the file do not show `slot`; it begins on a line between them, and nothing of it is lost."""
    monkeypatch.setattr("sdtrace.readers.trace.jsonl._SAMPLE", 1 << 10)
    monkeypatch.setattr("sdtrace.readers.trace.jsonl.ROWS", 64)
    rows = [
        {"kind": "step", "request_id": "a", "step": i, "draft_token_ids": [1, 2], "num_accepted": 1}
        | ({"slot": i} if 300 < i < 340 else {})
        for i in range(1000)
    ]
    file = tmp_path / "late.jsonl"
    file.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    opened = open_inputs([str(file)])[0]
    batches = list(opened.batches())
    steps = pl.concat([b.steps for b in batches])
    assert steps["step"].to_list() == list(range(1000))
    assert steps["slot"].to_list() == [row.get("slot") for row in rows]
    assert steps["line"].to_list() == list(range(1, 1001))
    assert not any(b.losses or b.notices for b in batches)


def test_work_ahead_ends_with_its_reader_and_raises_where_it_would_have() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for i in range(100):
            if i == 50:
                raise ValueError("fifty")
            made.append(i)
            yield i

    few = ahead(numbers(), 2)
    assert [next(few), next(few)] == [0, 1]
    few.close()
    assert len(made) < 50
    seen: list[int] = []
    with pytest.raises(ValueError, match="fifty"):
        seen.extend(ahead(numbers(), 2))
    assert seen == list(range(50))
