"""Mutated traces through the whole report: never a traceback, never a lost line. SDTRACE_FUZZ sets how many (200 in CI)."""

import gzip
import os
import random
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from sdtrace.api import report
from sdtrace.errors import SdtraceError
from sdtrace.render import html, terminal
from sdtrace.render import json as as_json
from tests.made.mutated import damaged

COUNT = int(os.environ.get("SDTRACE_FUZZ", "3"))
#: From here on it pays to start a process for every core.
MANY = 500
SAMPLES = Path(__file__).resolve().parents[2] / "sample_logs"


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
