"""Checks of responses: for every one a file that fires it, one that leaves it clear, one that cannot tell."""

from typing import Any

import pytest

from sdtrace.checks import CHECKS, by_code
from sdtrace.readers.responses import responses as parse
from sdtrace.responses.texts import Texts
from sdtrace.schema.responses import from_rows
from tests.made.fake_engine import Engine, completion, seeded
from tests.made.responses import counts, texts

CODES = [check.code for check in CHECKS if check.code.startswith("SD3")]

SMALL: dict[str, Any] = {"responses": 12, "vocab": 200, "k": 8}
FIRES: dict[str, dict[str, Any]] = {
    "SD301": {"fault": "text-second", "temperature": 0.0},
    "SD302": {"fault": "text-stale"},
    "SD303": {"fault": "text-stale"},
    "SD304": {"fault": "text-temperature", "strength": 0.5, "responses": 30},
    "SD305": {"fault": "text-uncut", "top_k": 5, "shape": "llamacpp"},
    "SD306": {"fault": "text-healthy", "basis": "processed", "top_k": 1, "k": 5, "unsaid": ("top_k",), "flat": 2.0},
    "SD307": {"fault": "text-zero"},
}
CLEAR: dict[str, dict[str, Any]] = {
    "SD301": {"temperature": 0.0},
    "SD305": {"top_k": 5, "top_p": 0.9, "shape": "llamacpp"},
}
CANNOT: dict[str, dict[str, Any]] = {
    code: {"responses": 1, "tokens": 3, "unsaid": ("temperature",)} for code in CODES
} | {
    "SD307": {"responses": 0},
}


def drawn(fault: str) -> Texts:
    """Seeded answers of an engine that draws by its seeds."""
    asked = seeded(250)
    found = Texts()
    found.add(from_rows("made", parse({"request": asked, "response": completion(Engine(fault=fault), asked)})))
    return found


@pytest.mark.one_of(3)
@pytest.mark.parametrize("code", CODES)
def test_fires(code: str) -> None:
    outcome = by_code(code).read(counts(drawn("forced") if code == "SD311" else texts(**SMALL | FIRES[code])))
    assert outcome.state == "fired"
    assert outcome.witnesses
    assert outcome.witnesses[0]["path"] == "made"


@pytest.mark.one_of(3)
@pytest.mark.parametrize("code", CODES)
def test_stays_clear(code: str) -> None:
    outcome = by_code(code).read(counts(drawn("") if code == "SD311" else texts(**SMALL | CLEAR.get(code, {}))))
    assert outcome.state == "clear", outcome.headline


@pytest.mark.parametrize("code", CODES)
def test_cannot_tell(code: str) -> None:
    outcome = by_code(code).read(counts(texts(**SMALL | CANNOT[code])))
    assert outcome.state == "cannot-tell"
    assert outcome.headline
