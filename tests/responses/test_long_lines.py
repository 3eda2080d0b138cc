"""Answers with many alternatives: a line is longer than what formats are told by, and the file than one document may be."""

import json
from pathlib import Path

import pytest

from sdtrace.api import report
from sdtrace.readers.io.source import HEAD
from sdtrace.readers.records import PASTED
from sdtrace.simulate.responses import Asked, responses


@pytest.mark.one_of(2)
@pytest.mark.parametrize("shape", ["completion", "chat", "sglang", "llamacpp"])
def test_a_long_first_line_is_read(shape: str, tmp_path: Path) -> None:
    made = [json.dumps(one) for one in responses(Asked(responses=16, tokens=300, k=20, shape=shape))]
    assert len(made[0]) > HEAD
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(f"{line}\n" for line in made))
    assert path.stat().st_size > PASTED
    (read,) = report(path).document["inputs"]
    assert (read["format"], read["lines"], read["losses"]) == ("responses", 16, [])
