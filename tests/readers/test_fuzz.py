"""Mutated traces through the whole report: never a traceback, never a lost line. SDTRACE_FUZZ sets how many (200 in CI)."""

import gzip
import json
import os
import random
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from sdtrace.api import report
from sdtrace.errors import SdtraceError
from sdtrace.render import html, terminal
from sdtrace.render import json as as_json

COUNT = int(os.environ.get("SDTRACE_FUZZ", "3"))
#: From here on it pays to start a process for every core.
MANY = 500
SAMPLES = Path(__file__).resolve().parents[2] / "sample_logs"
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


def survives(seed: int) -> None:
    """One mutated file, made from its number, through report and all that shows it."""
    rng = random.Random(seed)
    sample = rng.choice(("sampled", "greedy", "lenient-0.8.planted"))
    lines = gzip.decompress((SAMPLES / f"transformers-{sample}.jsonl.gz").read_bytes()).splitlines()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutated.jsonl"
        path.write_bytes(damaged(rng, lines))
        try:
            found = report(path)
        except SdtraceError:
            return
    (read,) = found.document["inputs"]
    lost = sum(loss["count"] for loss in read["losses"])
    assert read["lines"] == read["runs"] + read["requests"] + read["steps"] + read["records"] + lost, seed
    assert not [check for check in found.document["checks"] if check["state"] == "crashed"], seed
    html.page(found)
    as_json.dumps(found)
    terminal.summary(found, width=100, color=False, verbose=True)


def strictly() -> None:
    """Warnings are errors in a worker too."""
    warnings.simplefilter("error")


def test_whatever_is_in_the_file() -> None:
    seeds = range(COUNT)
    if COUNT < MANY:
        for seed in seeds:
            survives(seed)
        return
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=strictly) as pool:
        assert sum(1 for _ in pool.map(survives, seeds, chunksize=20)) == COUNT
