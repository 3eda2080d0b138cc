"""Every fault in every part of the traffic: python -m tests.power.sliced [--faults a,b] [--parts a,b] [--sizes 20000] [--blocks 2].

A cell has one word a log level (basic/sums/draws) and in it one letter a made trace (SYNTHETIC): S the cause is right and its part is
named, s the part is named under another cause, c the cause is right without its part, x another cause, - nothing.
"""

import argparse
import time

from sdtrace.diagnosis.diagnose import Diagnosis
from sdtrace.simulate import FAULTS, PARTS, Settings
from tests.power.judge import at_level, diagnosed, made

LEVELS = ("basic", "sums", "draws")

#: What a report calls each part, and its value; () where any will do.
PLACES: dict[str, tuple[str, tuple[str, ...]]] = {
    "one-adapter": ("tags.adapter", ("a3",)),
    "one-tenant": ("tags.tenant", ("t1",)),
    "one-hour": ("hour", ()),
    "one-rank": ("rank", ("3",)),
    "large-batches": ("batch_size", ("> 8", "> 15")),
    "long-contexts": ("context_len", ()),
    "prefix-hits": ("prefix_hit", ("yes",)),
    "behind-the-first": ("position", ("> 0",)),
    "first-steps": ("step", ("0",)),
}

#: Faults that decisions, drafts, recovered or bonus tokens show. Law and strength where they are not the fault's own.
PLANTED: dict[str, tuple[str, float | None, str | None]] = {
    "lenience 0.7": ("lenience", 0.7, None),
    "block lenience 0.5": ("lenience", 0.5, "block"),
    "force-accept 30%": ("force-accept", 0.3, None),
    "flip": ("flip", None, None),
    "typical-test": ("typical-test", None, None),
    "inverted-ratio": ("inverted-ratio", None, None),
    "target-temperature": ("target-temperature", None, None),
    "target-row": ("target-row", None, None),
    "draft-row": ("draft-row", None, None),
    "draft-temperature": ("draft-temperature", None, None),
    "draft-top-k": ("draft-top-k", None, None),
    "raw-q": ("raw-q", None, None),
    "argmax-draft": ("argmax-draft", None, None),
    "peeking-trim": ("peeking-trim", None, None),
    "recovered-from-target": ("recovered-from-target", None, None),
    "recovered-minus-x": ("recovered-minus-x", None, None),
    "recovered-other-q": ("recovered-other-q", None, None),
    "residual-squared": ("residual-squared", None, None),
    "residual-argmax": ("residual-argmax", None, None),
    "residual-stops": ("residual-stops", None, None),
    "block-recovered-from-target": ("block-recovered-from-target", None, None),
    "one-draw-a-step": ("one-draw-a-step", None, None),
    "one-sequence": ("one-sequence", None, None),
    "greedy-flip": ("greedy-flip", None, None),
    "bonus-row": ("bonus-row", None, None),
    "bonus-missing": ("bonus-missing", None, None),
}


def letter(found: Diagnosis, cause: str, part: str) -> str:
    """What a diagnosis says of a fault with that cause in that part."""
    by, values = PLACES[part]
    wrong = [c for c in found.causes if c.side in ("wrong", "metric")]
    if not wrong:
        return "-"
    first = next((c for c in wrong if c.cause == cause), wrong[0])
    named = [row["where"] for row in first.evidence if row.get("where")]
    right = any(by in where and where[by] in (values or (where[by],)) for where in named)
    return ("S" if right else "c") if first.cause == cause else "s" if right else "x"


def cell(name: str, part: str, tested: int, blocks: int, vocab: int, levels: tuple[str, ...] = LEVELS) -> str:
    """The letters of some traces at each log level."""
    fault, strength, law = PLANTED[name]
    words = [""] * len(levels)
    for block in range(blocks):
        seed = 1000 * tested + block
        trace = made(Settings(fault, strength, law, tested, vocab, level=levels[-1], seed=seed, only=part))
        for i, level in enumerate(levels):
            least = at_level(trace, level, law or FAULTS[fault].laws[0])
            words[i] += letter(diagnosed(least), FAULTS[fault].cause, part)
    return "/".join(words)


def main() -> None:
    """Print a table a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", default=",".join(PLANTED))
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--sizes", default="20000")
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--vocab", type=int, default=64)
    given = parser.parse_args()
    parts, begin = given.parts.split(","), time.monotonic()
    for size in map(int, given.sizes.split(",")):
        print(f"| {size:,} | " + " | ".join(parts) + " |\n|---|" + "---|" * len(parts))
        for name in given.faults.split(","):
            row = [cell(name, part, size, given.blocks, given.vocab) for part in parts]
            print(f"| {name} | " + " | ".join(row) + " |", flush=True)
    print(f"{time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
