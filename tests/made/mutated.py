"""Lines of a trace with bytes or whole values replaced, by a die."""

import gzip
import json
import random
from typing import Any

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
