"""One flipped bit in a packed trace that convert wrote: a lawful engine is not accused, and the damage is said."""

import random
from pathlib import Path

import pytest

from sdtrace.api import report
from sdtrace.errors import SdtraceError
from sdtrace.schema.trace import DAMAGED
from sdtrace.writers.convert import convert

TRACE = Path(__file__).resolve().parents[2] / "sample_logs" / "transformers-sampled.jsonl.gz"


@pytest.mark.parametrize("suffix", ["zst", "gz"])
def test_a_flipped_bit_proves_nothing(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"trace.jsonl.{suffix}"
    convert([str(TRACE)], path)
    sound, rng = path.read_bytes(), random.Random(20)
    told = 0
    for _ in range(6):
        place = rng.randrange(64, len(sound))
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1 << rng.randrange(8)]) + sound[place + 1 :])
        try:
            found = report(path).document
        except SdtraceError:
            continue
        assert {c["certainty"] for c in found["causes"]} <= {"suspected"}
        assert found["verdict"]["state"] in ("cannot-tell", "healthy")
        told += any(n["what"].startswith(DAMAGED) for n in found["inputs"][0]["notices"])
    assert told >= 3
