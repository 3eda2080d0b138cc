"""Mutated traces through the whole report: never a traceback, never a lost line. SDTRACE_FUZZ sets how many (2,000 in CI)."""

import gzip
import json
import os
import random
from pathlib import Path
from typing import Any

from sdtrace.api import report
from sdtrace.errors import SdtraceError
from sdtrace.render import html, terminal
from sdtrace.render import json as as_json

COUNT = int(os.environ.get("SDTRACE_FUZZ", "120"))
SAMPLES = Path(__file__).resolve().parents[1] / "sample_logs"
BYTES = [
    b"\n",
    b"\r\n",
    b"NaN",
    b"-Infinity",
    b"null",
    b'"',
    b"1e999",
    b"\\ud800",
    b"\0",
    b"}{",
    b"[[",
    b"-1",
    b"9" * 25,
]
VALUES: list[Any] = [
    None,
    -1,
    0,
    2**62,
    1e308,
    float("nan"),
    "",
    "x",
    [],
    [1],
    [[1]],
    {},
    True,
    [None, 0.5],
    1.5,
    "\u202e",
]


def damaged(rng: random.Random, lines: list[bytes]) -> bytes:
    """A few lines with bytes or whole values replaced."""
    picked = [bytearray(line) for line in lines[:2] + rng.sample(lines[2:], min(len(lines) - 2, rng.randint(3, 14)))]
    for _ in range(rng.randint(1, 5)):
        line = rng.choice(picked)
        kind = rng.randrange(6)
        at = rng.randrange(len(line)) if line else 0
        if kind == 0 and line:
            line[at] = rng.randrange(256)
        elif kind == 1:
            del line[at : at + rng.randint(1, 80)]
        elif kind == 2:
            line[at:at] = rng.choice(BYTES)
        elif kind == 3:
            line[at:at] = rng.randbytes(rng.randint(1, 9))
        else:
            _value(rng, line)
    data = b"\n".join(picked)
    return gzip.compress(data)[: rng.randint(20, 4000)] if rng.random() < 0.05 else data


def _value(rng: random.Random, line: bytearray) -> None:
    try:
        record = json.loads(line)
    except ValueError:
        return
    if isinstance(record, dict) and record:
        record[rng.choice(list(record))] = rng.choice(VALUES)
        line[:] = json.dumps(record).encode()


def test_whatever_is_in_the_file(tmp_path: Path) -> None:
    rng = random.Random(11)
    names = ("sampled", "greedy", "lenient-0.8.planted")
    samples = [gzip.decompress((SAMPLES / f"transformers-{n}.jsonl.gz").read_bytes()).splitlines() for n in names]
    path = tmp_path / "mutated.jsonl"
    for _ in range(COUNT):
        path.write_bytes(damaged(rng, rng.choice(samples)))
        try:
            found = report(path)
        except SdtraceError:
            continue
        (read,) = found.document["inputs"]
        lost = sum(loss["count"] for loss in read["losses"])
        assert read["lines"] == read["runs"] + read["requests"] + read["steps"] + lost
        assert not [check for check in found.document["checks"] if check["state"] == "crashed"]
        html.page(found)
        as_json.dumps(found)
        terminal.summary(found, width=100, color=False, verbose=True)
