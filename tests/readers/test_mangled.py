"""Any record behind any envelope, cut at any width, doubled, reordered: the same sums, or a loss that is said.

SDTRACE_MANGLED sets how many mangled texts are tried (each of them is drawn from its own number, which the test's name shows).
"""

import os
import random
from functools import cache
from pathlib import Path

import pytest

from sdtrace.readers import open_one
from tests.made.engine_texts import RECORDS, TEXTS, plain, written
from tests.made.envelope_samples import ENVELOPES, JSON, folded, sums, wrapped

COUNT = int(os.environ.get("SDTRACE_MANGLED", "40"))


@cache
def timed(name: str, folder: Path) -> bool:
    """Whether every record of a text carries its time: only then is the same record again no chance."""
    path = written(folder, TEXTS[name].encode(), "timed")
    frames = [b.windows for b in open_one(str(path), None).batches() if b.windows is not None and b.windows.height]
    return bool(frames) and not any(f["at"].null_count() for f in frames)


def doubled(text: str, draw: random.Random) -> str:
    """A stretch of lines stands twice, as where two exports overlap."""
    lines = text.splitlines(keepends=True)
    begin = draw.randrange(len(lines))
    end = draw.randrange(begin, len(lines)) + 1
    return "".join([*lines[:end], *lines[begin:end], *lines[end:]])


def cut_off(text: str, draw: random.Random) -> str:
    """The last line stops in its middle, as under `head -c`."""
    lines = text.rstrip("\n").split("\n")
    lines[-1] = lines[-1][: draw.randrange(1, len(lines[-1]) + 1)]
    return "\n".join(lines)


def mangled(seed: int) -> tuple[str, str, bytes]:
    """(name of the text, what was done to it, the file)."""
    draw = random.Random(seed)
    name = draw.choice(list(TEXTS))
    text = TEXTS[name]
    kind = draw.choice(["edge", "words", "envelope", "doubled", "cut off", "json"])
    if kind == "json" and name in RECORDS:
        wrap = draw.choice(list(JSON))
        return name, wrap, JSON[wrap](text)
    if kind in ("edge", "json"):
        width = draw.randrange(40, 201)
        return name, f"edge at {width}", wrapped(width)(text)
    if kind == "words":
        width = draw.randrange(40, 201)
        return name, f"words at {width}", folded(width)(text)
    if kind == "envelope":
        wrap = draw.choice(list(ENVELOPES))
        return name, wrap, ENVELOPES[wrap](text)
    change = doubled if kind == "doubled" else cut_off
    return name, kind, change(text, draw).encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mangled")


@pytest.mark.one_of(16)
@pytest.mark.parametrize("seed", range(COUNT))
def test_the_same_sums_or_a_loss_that_is_said(seed: int, folder: Path) -> None:
    name, what, data = mangled(seed)
    if what == "doubled" and not timed(name, folder):
        pytest.skip("records without a time may be alike")
    _, whole, before = plain(name, folder)
    _, found, lost = sums(written(folder, data))
    loose = {"steps", "drafts"} if what == "cut off" else {"steps"}  # steps of a shortened record follow from its mean
    more = {key for key, value in whole.items() if found[key] > value + 1e-6} - loose
    assert not more, f"{name}, {what}: counted more than there is"
    # a record that a hard tail took whole leaves nothing behind that could be said
    assert found == whole or lost > before or what == "cut off", f"{name}, {what}: silent"
