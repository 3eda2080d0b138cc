"""What engines say of themselves: every row of the tables in a log of its own, and none of them in healthy logs."""

import re
from pathlib import Path

import polars as pl
import pytest

from sdtrace.diagnosis.accused import accused
from sdtrace.readers import open_one
from sdtrace.readers.logs import DIALECTS
from sdtrace.readers.logs.announcements import BY_KEY, TABLES
from sdtrace.results.cause_words import WORDS
from sdtrace.schema.counters import no_windows
from sdtrace.schema.trace import Batch, Event
from tests.made.simulate import document

SHARED = Path(__file__).resolve().parents[3] / "shared"
RELEASES = {"vllm": "vllm-0.33.0.tsv", "sglang": "sglang-0.5.23.tsv"}

VLLM = "(EngineCore_DP0 pid=77) WARNING 03-02 09:58:00 [vllm.py:1311] "
ENGINE = "(APIServer pid=1) INFO 03-02 10:00:{at:02} [loggers.py:271] "
LOAD = (
    "Engine 000: Avg prompt throughput: 50.0 tokens/s, Avg generation throughput: 18.0 tokens/s, Running: 4 reqs, Waiting: 0 "
    "reqs, GPU KV cache usage: 20.0%, Prefix cache hit rate: 0.0%\n"
)
FIGURES = (
    "SpecDecoding metrics: Mean acceptance length: 1.90, Accepted throughput: 9.00 tokens/s, Drafted throughput: 30.00 tokens/s, "
    "Accepted: 90 tokens, Drafted: 300 tokens, Per-position acceptance rate: 0.500, 0.300, 0.100, Avg Draft acceptance rate: 30.0%\n"
)
SGLANG = "[2026-03-02 09:58:00 TP0] "
DECODE = (
    "[2026-03-02 10:00:{at:02} TP0] Decode batch. #running-req: 4, #token: {n}, token usage: 0.02, accept len: 1.90, accept rate: "
    "0.30, cuda graph: True, gen throughput (token/s): 18.00, #queue-req: 0\n"
)
LLAMA = "0.01.250.741 W "
TIMING = (
    "0.1{at}.000.000 I slot print_timing: id  0 | task {at} | eval time = 3000.00 ms / 300 tokens (10.00 ms per token, 100.00 tokens "
    "per second)\n0.1{at}.000.001 I slot print_timing: id  0 | task {at} | draft acceptance = 0.30000 (   90 accepted /   300 generated)\n"
)


def log(engine: str, message: str, *, drafts: bool = True) -> str:
    """A log in which nothing else is odd: 30% accepted; or plain decoding."""
    if not drafts:
        return re.sub(
            r"^.*(?:SpecDecoding metrics|draft acceptance|accept len).*\n", "", log(engine, message), flags=re.M
        )
    if engine == "vllm":
        begin = message if message.startswith("Engine 0") else VLLM + message
        if message.startswith("Engine 0"):
            begin = ENGINE.format(at=0) + message
        return begin + "\n" + "".join((ENGINE + (LOAD + ENGINE + FIGURES)).format(at=at) for at in (10, 20, 30))
    if engine == "sglang":
        return SGLANG + message + "\n" + "".join(DECODE.format(at=at, n=900 + at) for at in (10, 20, 30))
    return LLAMA + message + "\n" + "".join(TIMING.format(at=at) for at in range(5))


def batches(path: Path) -> list[Batch]:
    return list(open_one(str(path), None).batches())


def events(path: Path) -> list[Event]:
    return [e for batch in batches(path) for e in batch.events]


@pytest.mark.one_of(8)
@pytest.mark.parametrize("key", BY_KEY)
def test_every_announcement_is_named_with_its_line_and_advice(key: str, tmp_path: Path) -> None:
    row = BY_KEY[key]
    engine = next(name for name, rows in TABLES.items() if row in rows)
    path = tmp_path / "server.log"
    path.write_text(log(engine, row.sample, drafts=row.cause != "speculation-off"))
    read = batches(path)
    heard = [e for batch in read for e in batch.events]
    assert [e.key for e in heard if e.kind == "accusation"] == [key]
    frames = [batch.windows for batch in read if batch.windows is not None]
    cause = next(c for c in accused(heard, pl.concat(frames) if frames else no_windows()) if c.cause == row.cause)
    assert (cause.side, cause.advice) == (WORDS[row.cause].side, row.advice)
    assert cause.evidence[0]["line"] == 1
    assert f"{path}:1" in cause.headline
    assert not [loss for batch in read for loss in batch.losses]


@pytest.mark.one_of(3)
@pytest.mark.parametrize("engine", TABLES)
def test_announcements_of_one_log_are_causes_of_its_report(engine: str, tmp_path: Path) -> None:
    """All that an engine may say, in one log: every cause is in the report, with a line that says it."""
    rows = [row for row in TABLES[engine] if row.cause != "speculation-off" and not row.sample.startswith("Engine 0")]
    stamp = {"vllm": VLLM, "sglang": SGLANG, "llama.cpp": LLAMA}[engine]
    path = tmp_path / "server.log"
    path.write_text(log(engine, f"\n{stamp}".join(row.sample for row in rows)))
    found = document(path)
    said = {c["cause"]: c for c in found["causes"] if "SD425" in c["checks"]}
    assert set(said) == {row.cause for row in rows}
    for cause, one in said.items():
        samples = {rows[seen["line"] - 1].cause for seen in one["evidence"]}
        assert samples == {cause}


@pytest.mark.parametrize("engine", TABLES)
def test_large_logs_are_searched_for_them_too(engine: str) -> None:
    """A log beyond 4 MB is searched for few words: each announcement holds one of them, or its stamp does."""
    (dialect,) = (
        d for d in DIALECTS.values() if d.engine == engine and d.name in ("vllm-log", "sglang-log", "llamacpp-log")
    )
    levels = {"vllm": "WARNING", "sglang": "", "llama.cpp": ""}[engine]
    for row in TABLES[engine]:
        text = f"{levels} {row.needle} {row.pattern.pattern}".encode()
        assert any(needle in text for needle in dialect.needles), row.key


@pytest.mark.parametrize("engine", TABLES)
def test_a_request_that_holds_the_words_says_nothing(engine: str, tmp_path: Path) -> None:
    """The engine's words behind its own: a request's text, printed by an access log or a prompt, accuses nobody."""
    stamp = {"vllm": VLLM, "sglang": SGLANG, "llama.cpp": LLAMA}[engine]
    path = tmp_path / "server.log"
    path.write_text(log(engine, f"\n{stamp}".join(f"Received request: {row.sample}" for row in TABLES[engine])))
    assert [e.key for e in events(path) if e.kind == "accusation"] == []


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is not here")
@pytest.mark.parametrize("engine", RELEASES)
def test_samples_are_what_the_releases_write(engine: str) -> None:
    """Each sample begins as a line of the release does; what stands for a value may be anything."""
    lines = (SHARED / "reference" / "engine-lines" / RELEASES[engine]).read_text().splitlines()
    written = [line.split("\t", 2)[2] for line in lines if line.count("\t") >= 2]
    value = r"%[#+]?[\d.]*l?[sdrifgxX]|\{[^}]*\}"
    shapes = [".*?".join(re.escape(part[:60]) for part in re.split(value, w)[:2]) for w in written]
    shapes = [shape for shape in shapes if len(shape) > 20]
    of_others = {"vllm-corrupted", "sglang-canary-violation", "sglang-canary-count"}  # built of several strings
    for row in TABLES[engine]:
        assert row.key in of_others or any(re.match(shape, row.sample) for shape in shapes), row.key


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is not here")
def test_healthy_logs_accuse_nobody() -> None:
    """Every log of the corpus: one of them has synthetic acceptance, and none accuses its engine of anything else."""
    logs = list((SHARED / "corpus").rglob("*.log"))
    assert len(logs) > 10
    for path in logs:
        assert [e.key for e in events(path) if e.kind == "accusation"] == [], path
