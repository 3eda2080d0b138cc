"""Damaged files of every family through every verb that reads: an exit code of the contract, no internal error, no lost line.

    SDTRACE_FUZZ_FILES=20000 SDTRACE_FUZZ_SEED=3 python -m pytest tests/cli/test_fuzz.py

takes the files 3,000,000 to 3,019,999. A failure says its number: `python -m tests.cli.test_fuzz NUMBER` runs that file alone.
"""

import io
import json
import os
import random
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from sdtrace.cli import run
from tests.made.damage import damaged, packed, table
from tests.made.envelope_samples import ENVELOPES, LINES
from tests.made.families import tables, texts

COUNT = int(os.environ.get("SDTRACE_FUZZ_FILES", "12"))
SEED = int(os.environ.get("SDTRACE_FUZZ_SEED", "0"))
#: From here on it pays to start a process for every core.
MANY = 500
#: Seconds of processor time that one file may take.
TIME = 20
#: Exit codes of the contract, without 5, which is an internal error.
CODES = {0, 1, 2, 3, 4}
#: The name of a sound trace beside a damaged file.
SOUND = "sound.jsonl"
WRAPS = {**ENVELOPES, **LINES}


class TookTooLong(BaseException):
    """A file had its time; no guard of a reader takes this for an error of the input."""


def write(rng: random.Random, folder: Path) -> Path:
    """One damaged file, or a folder with one in it."""
    if rng.random() < 0.12:
        name, files = rng.choice(list(tables().items()))
        hurt = rng.choice(list(files))
        for one, data in files.items():
            (folder / name).mkdir(exist_ok=True)
            (folder / name / one).write_bytes(table(rng, data) if one == hurt else data)
        return folder / name if rng.random() < 0.7 else folder / name / hurt
    (name, data), (_, other) = rng.sample(list(texts().items()), 2)
    wrapped = rng.random() < 0.2
    if not wrapped or rng.random() < 0.6:
        data = damaged(rng, data, other)
    if wrapped:
        data = rng.choice(list(WRAPS.values()))(data.decode("utf-8", "replace"))
        if rng.random() < 0.6:
            data = damaged(rng, data, other)
    if rng.random() < 0.12:
        data = packed(rng, data)
    path = folder / (
        name if rng.random() < 0.8 else rng.choice(("x", "x.jsonl", "x.parquet", "x.gz", "x.csv", "x.zip"))
    )
    path.write_bytes(data)
    return path


@cache
def sound() -> bytes:
    """A trace to compare with, of a run that no damaged file is of: a step that is there twice counts once."""
    return texts()["transformers-greedy.jsonl"].replace(b"transformers-greedy", b"sound")


def verbs(rng: random.Random, path: Path, folder: Path) -> list[list[str]]:
    """Two commands for a file: the report, and another verb."""
    out, it = folder / "out", str(path)
    out.mkdir()
    (folder / SOUND).write_bytes(sound())
    report = ["report", it, "--json", str(out / "r.json")]
    report += rng.choice(([], ["-o", str(out / "r.html"), "--content", rng.choice(("none", "ids"))]))
    report += rng.choice(([], ["-v"], ["--markdown", str(out / "r.md"), "--junit", str(out / "r.xml")]))
    report += rng.choice(([], [], ["--sarif", str(out / "r.sarif"), "--prometheus", str(out / "r.prom")]))
    report += rng.choice(
        ([], [], [], ["--where", "temperature=0"], ["--since", "2020-01-01"], ["--until", "2027-01-01"])
    )
    paths = [it, str(folder / SOUND)]
    rng.shuffle(paths)
    others = [
        ["detect", it, *rng.choice(([], ["--why"], ["--json", str(out / "d.json")]))],
        ["convert", it, str(out / rng.choice(("c.jsonl", "c.jsonl.gz", "c.jsonl.zst", "c")))],
        [
            "tune",
            it,
            "--json",
            str(out / "t.json"),
            *rng.choice(([], ["-o", str(out / "t.html")], ["--slo-tpot-ms", "30"])),
        ],
        ["diff", *paths, "--json", str(out / "f.json"), *rng.choice(([], ["-o", str(out / "f.html")]))],
        ["explain", it, *rng.choice(([], ["--request", "0"], ["--request", "a", "--step", "1"]))],
        ["bundle", it, "-o", str(out / "b.zip"), "--content", rng.choice(("none", "ids"))],
        ["nightly", it, "--state", str(out / "s"), "-o", str(out / "pages"), "--json", str(out / "n.json")],
    ]
    beside = ["report", *paths, "--json", str(out / "r.json"), *rng.choice(([], ["-o", str(out / "r.html")]))]
    others += [beside, beside, ["nightly", *paths, "--state", str(out / "s"), "--json", str(out / "n.json")]]
    # a server that answers with the file: what a scrape, or a query, may bring
    others += [
        [
            "watch",
            "127.0.0.1:9",
            "--for",
            "0.1s",
            "--every",
            "0.1s",
            "--json",
            str(out / "w.json"),
            "-o",
            str(out / "w.html"),
        ],
        ["report", "prometheus://127.0.0.1:9", "--json", str(out / "p.json")],
    ]
    return [report, rng.choice(others)] if rng.random() < 0.7 else [rng.choice(others)]


def fault(command: list[str], path: Path, folder: Path) -> str | None:
    """What a command did that none may do."""
    said = io.StringIO()
    answer = path.read_bytes() if path.is_file() else b""
    with (
        patch("sdtrace.readers.io.http.Server", lambda: SimpleNamespace(get=lambda *_: answer)),
        patch("sdtrace.readers.metrics.prometheus_server.Server", lambda: SimpleNamespace(get=lambda *_: answer)),
        redirect_stdout(_Stream(said)),
        redirect_stderr(_Stream(said)),
    ):
        code = run(command)
    text = said.getvalue()
    if code not in CODES or "Traceback" in text or "internal error" in text:
        return f"exit {code}: {text[-600:]}"
    if "reader error" in text:
        return next(line for line in text.splitlines() if "reader error" in line)
    for path in sorted((folder / "out").glob("*.json")):
        found = json.loads(path.read_text("utf-8"), parse_constant=_no_number)
        if why := _unsound(found):
            return why
        read = {Path(one["path"]).name: one for one in found.get("inputs", ())}
        if command[0] == "report" and SOUND in read and read[SOUND]["steps"] != sound().count(b'"kind":"step"'):
            return f"what stands beside it was not read: {read[SOUND]}"
    if command[0] in ("report", "nightly") and any(Path(word).name == SOUND for word in command) and code == 3:
        return "no input, although a sound one stands beside it"
    return None


class _Stream(io.TextIOWrapper):
    """Standard output that takes text and bytes, as a terminal does."""

    def __init__(self, held: io.StringIO) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")
        self.held = held

    def write(self, text: str) -> int:
        self.held.write(text)
        text.encode("utf-8")  # what no terminal can show is no output
        return len(text)


def _no_number(word: str) -> None:
    raise AssertionError(f"{word} in a JSON document")


def _unsound(node: Any) -> str | None:
    """A crashed check, a reader's error, or an input whose lines are not all accounted for."""
    if isinstance(node, dict):
        if node.get("state") == "crashed":
            return f"crashed: {str(node)[:300]}"
        if {"lines", "runs", "requests", "steps", "records", "losses"} <= node.keys():
            lost = sum(loss["count"] for loss in node["losses"])
            if node["lines"] != node["runs"] + node["requests"] + node["steps"] + node["records"] + lost:
                return f"lines unaccounted for: {str(node)[:400]}"
        if isinstance(node.get("what"), str) and node["what"].startswith(("reader error", "tuning: crashed")):
            return str(node["what"])
        node = list(node.values())
    if isinstance(node, list):
        return next((why for one in node if (why := _unsound(one))), None)
    return f"{node}" if isinstance(node, str) and node.startswith("tuning: crashed") else None


@contextmanager
def within_time() -> Iterator[None]:
    """Processor time of this process, all threads together, is bounded."""

    def over(*_: object) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, TIME)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def survives(number: int) -> str | None:
    """What went wrong with a file, made from its number."""
    rng = random.Random(number)
    with tempfile.TemporaryDirectory() as made:
        path = write(rng, Path(made))
        for command in verbs(rng, path, Path(made)):
            told = f"file {number}: sdtrace {' '.join(command)}".replace(made, "")
            try:
                with within_time():
                    why = fault(command, path, Path(made))
            except TookTooLong:
                why = f"more than {TIME} s of processor time"
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                why = f"{type(error).__name__}: {error}"[:400]
            if why:
                return f"{told}: {why}"
    return None


def strictly() -> None:
    """Warnings are errors in a worker too."""
    warnings.simplefilter("error")


@pytest.mark.slow
def test_every_family_through_every_verb() -> None:
    numbers = range(SEED * 1_000_000, SEED * 1_000_000 + COUNT)
    if COUNT < MANY:
        failed = [why for number in numbers if (why := survives(number))]
    else:
        with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=strictly) as pool:
            failed = [why for why in pool.map(survives, numbers, chunksize=20) if why]
    assert not failed, "\n".join(failed[:20])


if __name__ == "__main__":
    strictly()
    first = int(sys.argv[1])
    for one in range(first, first + int(sys.argv[2]) if len(sys.argv) > 2 else first + 1):
        if told := survives(one):
            print(told, flush=True)
