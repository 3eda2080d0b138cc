"""Stock responses: how often a sound engine is accused, and how small a fault is seen.

python -m tests.bench.responses sound [FILES [BEGIN]]    # 1,000 files of sound engines, no two alike in what they ask
python -m tests.bench.responses power            # tokens until a planted fault is named, a row a fault
"""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from sdtrace.readers.responses import responses as parse
from sdtrace.responses.outcomes import best_at_zero, identity, weighed
from sdtrace.responses.readings import readings
from sdtrace.responses.texts import Texts
from sdtrace.results.check import Counts, Outcome
from sdtrace.schema.responses import from_rows
from sdtrace.simulate.responses import Asked, responses

SHAPES = ("completion", "chat", "sglang", "llamacpp")


def asked(n: int) -> Asked:
    """The n-th sound file: everything about it drawn."""
    rng = np.random.default_rng([n, 91])
    shape = SHAPES[n % 4]
    basis = {"sglang": ("scaled", "raw"), "llamacpp": ("raw", "processed")}.get(shape, ("raw", "processed"))
    one = Asked(
        responses=int(rng.integers(4, 30)),
        tokens=int(rng.integers(8, 90)),
        vocab=int(rng.choice([64, 300, 2000])),
        temperature=float(rng.choice([0, 0.1, 0.3, 0.6, 0.8, 1.0, 1.0, 1.2, 1.5])),
        top_k=int(rng.choice([0, 0, 1, 5, 20, 40])),
        top_p=float(rng.choice([1, 1, 0.5, 0.8, 0.95, 0.99])),
        min_p=float(rng.choice([0, 0, 0, 0.02, 0.1])),
        repetition_penalty=float(rng.choice([1, 1, 1, 1.05, 1.3])),
        presence_penalty=float(rng.choice([0, 0, 0, 0.5, 1.5])),
        k=int(rng.integers(1, 21)),
        basis=str(rng.choice(basis)),
        decimals=None if rng.random() < 0.5 else int(rng.choice([2, 3, 4, 6])),
        shape=shape,
        stop=float(rng.choice([0, 0, 0.01, 0.1])),
        flat=float(rng.choice([0.15, 0.4, 1.0, 2.5])),
        seed=n,
    )
    unsaid = tuple(u for u in ("top_p", "top_k", "min_p", "repetition_penalty") if rng.random() < 0.3)
    # a request that leaves the penalty to a server that has one: what is not said is not known
    rng = np.random.default_rng([n, 92])
    return replace(one, unsaid=unsaid, frequency_penalty=float(rng.choice([0, 0, 0, 0.1, 0.6, 1.8])))


def read(one: Asked, *, hide: bool = False) -> Texts:
    """What a file of it says. `hide`: the count of tokens is not told, a token that ended a response is missing."""
    rows = [row for wrapped in responses(one) for row in parse(wrapped)]
    texts = Texts()
    texts.add(from_rows("made", [row | ({"completion_tokens": None} if hide else {}) for row in rows]))
    return texts


def outcomes(texts: Texts) -> dict[str, Outcome]:
    """Every check of responses."""
    held = Counts(0, 0, 0, (), sums=({"texts": texts},))
    found = {code: weighed(code, code)(held) for code in ("rank", "rest", "surprisal", "cut")}
    return found | {
        "greedy": best_at_zero(held),
        "one-hot": identity("one-hot", "", 64)(held),
        "sum": identity("sum", "", 3)(held),
    }


def accused(texts: Texts) -> list[str]:
    """Codes of what fired for certain, and what is suspected with a question mark."""
    found = []
    for code, outcome in outcomes(texts).items():
        if outcome.state == "fired":
            assumed = any(w.get("assumed") for w in outcome.witnesses)
            found.append(code + ("?" if assumed or code == "one-hot" else ""))
    return found


def sound(files: int, begin: int = 0) -> int:
    """Prints accusations of sound engines, of which there should be none; 1 where there is one. `begin`: the first file's number."""
    total, told, tokens, loud = Counter[str](), 0, 0, [-99.0]
    for n in range(begin, begin + files):
        texts = read(asked(n), hide=n % 3 == 0)
        tokens += texts.tokens
        told += not texts.why
        loud += [one.log_e for one in readings(texts)]
        for code in accused(texts):
            total[code] += 1
            print(f"file {n}: {code} {asked(n)}")
    sure = sum(v for k, v in total.items() if not k.endswith("?"))
    print(
        f"{files} files, {tokens:,} tokens, {told} judged whole; accused {sure}, suspected {sum(total.values()) - sure}"
    )
    print(f"largest log10 of an e-value {max(loud) / np.log(10):.1f} (an accusation needs 6)")
    return int(sure > 0)


#: What is planted: a fault with its strength, and what is asked.
PLANTED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("any token, 1%", {"fault": "text-any", "strength": 0.01}),
    ("any token, 5%", {"fault": "text-any", "strength": 0.05}),
    ("forced acceptance, 5%", {"fault": "text-forced", "strength": 0.05}),
    ("forced acceptance, 20%", {"fault": "text-forced", "strength": 0.2}),
    ("stale row", {"fault": "text-stale"}),
    ("neighbours swapped, 10%", {"fault": "text-swapped", "strength": 0.1}),
    ("temperature 0.7 where 1 is asked", {"fault": "text-temperature", "strength": 0.7}),
    (
        "temperature 1 where 0.7 is asked, basis known",
        {"fault": "text-temperature", "temperature": 0.7, "shape": "llamacpp"},
    ),
    ("top-k 10 not applied, basis known", {"fault": "text-uncut", "top_k": 10, "shape": "llamacpp"}),
)


def power(most: int = 40_000) -> Iterator[tuple[str, int | None]]:
    """Tokens until each fault is accused; None = not within `most`."""
    for name, given in PLANTED:
        texts, n = Texts(), 0
        while texts.tokens < most and not [c for c in accused(texts) if not c.endswith("?")]:
            one = Asked(responses=2 if texts.tokens < 1000 else 10, tokens=50, k=20, seed=n, **given)
            texts.add(from_rows("made", [row for wrapped in responses(one) for row in parse(wrapped)]))
            n += 1
        yield name, texts.tokens if texts.tokens < most else None


if __name__ == "__main__":
    if sys.argv[1:2] == ["power"]:
        for what, n in power():
            print(f"| {what} | {'over 40,000' if n is None else f'{n:,}'} |")
    else:
        raise SystemExit(sound(*map(int, sys.argv[2:4])) if len(sys.argv) > 2 else sound(1000))
