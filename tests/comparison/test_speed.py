"""Diff of speeds that stand in logs: at one load, sure of what few rows show only where the ratio is huge, never of noise."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from sdtrace.api import diff
from sdtrace.comparison import MARGIN
from sdtrace.comparison.answer import answer
from sdtrace.comparison.speed import compared
from sdtrace.counters.speed import Speed
from tests.made.pairs import one_of
from tests.made.speed_lines import DECODE, llama, vllm


def written(folder: Path, *texts: str, name: str = "server.log") -> list[str]:
    paths = []
    for side, text in zip(("base", "candidate"), texts, strict=True):
        path = folder / side / name
        path.parent.mkdir()
        path.write_text(text)
        paths.append(str(path))
    return paths


def timings(n: int, ms: float, **more: int) -> str:
    return json.dumps({"predicted_n": n, "predicted_ms": ms, **more})


SGLANG = "".join(DECODE.format(s=s) + "\n" for s in range(5, 55, 5))
#: name -> (base, candidate, answer, tokens/s of a request on both sides)
TABLE: dict[str, tuple[str, str, str, tuple[float, float] | None]] = {
    "the same, seven times slower": (
        vllm([(74.4, 1)] * 10, spec=True), vllm([(10.7, 1)] * 10, spec=True), "regressed", (74.4, 10.7)
    ),
    "two lines a side, seven times slower": (
        vllm([(74.4, 1)] * 2, spec=True), vllm([(10.7, 1)] * 2, spec=True), "regressed", (74.4, 10.7)
    ),
    "plain against speculation": (vllm([(341.0, 1)] * 9, spec=False), vllm([(127.0, 1)] * 9, spec=True), "regressed", (341, 127)),
    "speculation helps": (vllm([(127.0, 1)] * 9, spec=False), vllm([(341.0, 1)] * 9, spec=True), "improved", (127, 341)),
    "the same": (vllm([(74.0, 1), (75.0, 1)] * 15, spec=True), vllm([(75.0, 1), (74.0, 1)] * 15, spec=True), "fine", (74.5, 74.5)),
    "a little, from two lines": (vllm([(74.0, 1)] * 2, spec=True), vllm([(70.0, 1)] * 2, spec=True), "inconclusive", (74, 70)),
    "another load": (vllm([(74.0, 1)] * 9, spec=True), vllm([(200.0, 16)] * 9, spec=True), "inconclusive", None),
    # 4 at once on both sides, 12 on one of them alone
    "the load that both had": (
        vllm([(100.0, 4), (300.0, 12)] * 6, spec=False), vllm([(40.0, 4)] * 9, spec=False), "regressed", (25, 10)
    ),
    "idle between requests": (
        vllm([(74.0, 1)] * 10, spec=False), vllm([(74.0, 1), (20.0, 1), (10.0, 1), (30.0, 1)] * 3, spec=False), "inconclusive",
        (74, 33.5),
    ),
    "sglang": (SGLANG, SGLANG.replace("200.00", "90.00"), "regressed", (50, 22.5)),
    "one request a side": (llama(1, 7000, 256, 10), llama(1, 9000, 256, 10), "regressed", (256 / 7, 256 / 9)),
    "one request a side, little": (llama(1, 7000, 256, 10), llama(1, 7700, 256, 10), "inconclusive", (256 / 7, 256 / 7.7)),
    "timings": (timings(200, 8000.0), timings(200, 11000.0, draft_n=347, draft_n_accepted=65), "regressed", (25, 200 / 11)),
    # other text is accepted otherwise: one request with drafts on either side is no comparison
    "timings, both draft": (
        timings(200, 8000.0, draft_n=347, draft_n_accepted=95), timings(200, 11000.0, draft_n=347, draft_n_accepted=65),
        "inconclusive", (25, 200 / 11),
    ),
}  # fmt: skip


@pytest.mark.one_of(6)
@pytest.mark.parametrize("name", one_of(3, TABLE))
def test_answer(name: str, tmp_path: Path) -> None:
    base, candidate, word, speeds = TABLE[name]
    kind = "r.json" if base.startswith("{") else "server.log"
    found = diff(*written(tmp_path, base, candidate, name=kind)).document
    told: dict[str, Any] = {m["name"]: m for m in found["diff"]["metrics"]}
    assert found["diff"]["answer"] == word, found["verdict"]["headline"]
    if speeds is None:
        assert "tokens_per_second" not in told
        assert any("ran at once" in note for note in found["verdict"]["not_checked"])
    else:
        metric = told["tokens_per_second"]
        assert (metric["base"], metric["candidate"]) == (pytest.approx(speeds[0]), pytest.approx(speeds[1]))
    assert found["verdict"]["state"] == {"regressed": "slow", "inconclusive": "cannot-tell"}.get(word, "healthy")


def made(rng: np.random.Generator, n: int, level: float, spread: float, alike: float, kind: str) -> list[Speed]:
    """Rows whose log speed wanders; each start of the engine has a level of its own, 1% apart."""
    noise = np.zeros(n)
    for i in range(n):
        noise[i] = alike * noise[i - 1] + np.sqrt(1 - alike**2) * rng.normal()
    speed = level * np.exp(spread * noise + 0.01 * rng.normal())
    columns = {"tokens": speed * 10, "seconds": np.full(n, 10.0), "running": np.ones(n), "length": np.full(n, 2.0)}
    rows = pl.DataFrame({**columns, "at": np.arange(n) * 10.0}).with_columns(drafting=pl.lit(value=True))
    return [Speed(kind, "vllm", "Engine", rows)]


#: rows a side, spread of log speed, likeness of neighbours
WORLDS = [(1, 0.2, 0.0), (2, 0.2, 0.0), (5, 0.2, 0.0), (20, 0.05, 0.0), (20, 0.2, 0.5), (60, 0.1, 0.8)]


@pytest.mark.one_of(6)
@pytest.mark.parametrize("world", WORLDS)
def test_an_engine_against_itself_is_not_regressed(world: tuple[int, float, float]) -> None:
    """60 pairs of one engine: at most 3 are called regressed (2.5% by the interval's level); a fourth of the speed always is."""
    rng = np.random.default_rng(7)
    words: dict[float, list[str]] = {1.0: [], 0.2: []}
    for ratio, found in words.items():
        for _ in range(60 if ratio == 1 else 10):
            base, other = (made(rng, world[0], level, *world[1:], "request") for level in (100.0, 100.0 * ratio))
            found.append(answer(compared(base, other, MARGIN).metrics, MARGIN, 1).word)
    assert words[1.0].count("regressed") <= 3
    assert words[0.2] == ["regressed"] * 10
