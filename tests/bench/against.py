"""Two servers compared (`sdtrace probe URL --against URL2`): how often two that are alike are told apart, and two that are not.

python -m tests.bench.against [PAIRS]    # of each kind; answers as probes get them, without HTTP
"""

import sys
from typing import Any

from sdtrace.probe.ask import OTHER_SEED, SEED, TEMPERATURES
from sdtrace.probe.two_sample import LEVEL, two_sample
from sdtrace.readers.responses import responses
from tests.made.fake_engine import Engine, completion, seeded

#: Name, both engines by number, whether they draw alike.
KINDS: tuple[tuple[str, Any, bool], ...] = (
    ("with and without speculation", lambda n: (Engine(model=n), Engine(k=0, model=n)), True),
    ("the same twice", lambda n: (Engine(k=0, model=n), Engine(k=0, model=n)), True),
    ("temperature ignored", lambda n: (Engine(fault="temperature", model=n), Engine(k=0, model=n)), False),
    ("stale row", lambda n: (Engine(fault="stale", model=n), Engine(k=0, model=n)), False),
    ("another model", lambda n: (Engine(model=n), Engine(k=0, model=n + 10_000)), False),
    ("forced acceptance, 5%", lambda n: (Engine(fault="forced", model=n), Engine(k=0, model=n)), False),
)
SIZE, TOKENS = 30, 64


def rows(engine: Engine, begin: int) -> list[dict[str, Any]]:
    """Sampled answers of a probe of SIZE requests."""
    found = []
    for i in range(SIZE):
        t = TEMPERATURES[i % len(TEMPERATURES)]
        if t:
            asked = seeded(TOKENS) | {"prompt": [i // 3, 7, 9], "temperature": t, "seed": begin + i}
            found += list(responses({"request": asked, "response": completion(engine, asked)}))
    return found


def main(pairs: int) -> int:
    """Prints a row a kind; 1 where more than a twentieth of the alike are told apart."""
    wrong = tried = 0
    for name, engines, same in KINDS:
        told = 0
        for n in range(pairs):
            one, other = engines(1000 + n)
            found = two_sample(list(zip(rows(one, SEED), rows(other, OTHER_SEED), strict=True)))
            told += found is not None and found.p <= LEVEL
        wrong, tried = wrong + told * same, tried + pairs * same
        print(f"| {name} | {'alike' if same else 'not alike'} | {told} of {pairs} told apart |", flush=True)
    return int(wrong > 0.05 * tried)


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
