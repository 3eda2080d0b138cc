"""Text logs: every sample by every reader, behind every prefix, damaged; no figure that the file does not have.

SDTRACE_FUZZ sets how many damaged logs (200 in CI).
"""

import json
import os
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sdtrace.api import report
from sdtrace.cli import run
from sdtrace.errors import SdtraceError
from sdtrace.readers import open_one, refusals
from sdtrace.readers.detection import detect
from sdtrace.readers.io.source import source
from sdtrace.readers.registry import registered
from sdtrace.render import html, terminal
from sdtrace.schema.counters import no_windows
from sdtrace.schema.trace import Batch, Event, Loss
from tests.made.log_samples import LLAMA_D, OLLAMA, SAMPLES, SGLANG_NEW, VLLM_011, VLLM_032
from tests.made.pairs import in_turn

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
TEXTS = sorted(p for p in CORPUS.rglob("*") if p.suffix in (".log", ".txt", ".md") and p.name.upper() != "README.MD")
COUNT = int(os.environ.get("SDTRACE_FUZZ", "4"))


def written(folder: Path, text: str, name: str = "server.log") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def read(path: Path) -> tuple[list[Batch], pl.DataFrame, list[Event], list[Loss]]:
    batches = list(open_one(str(path), None).batches())
    frames = [b.windows for b in batches if b.windows is not None and b.windows.height]
    windows = pl.concat(frames) if frames else no_windows()
    return batches, windows, [e for b in batches for e in b.events], [x for b in batches for x in b.losses]


def accounted(batches: list[Batch]) -> bool:
    """Lines are records, rows of tables or losses."""
    lines = sum(b.lines for b in batches)
    taken = sum(b.runs.height + b.requests.height + b.steps.height + b.records for b in batches)
    return lines == taken + sum(loss.count for b in batches for loss in b.losses)


def invented(text: str, windows: pl.DataFrame) -> Iterator[str]:
    """Figures of windows that neither stand in the text nor follow from figures that do."""
    numbers = {float(n) for n in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", text)}
    known = numbers | {round(n / 100, 9) for n in numbers} | {n * 1000 for n in numbers} | {0.0, 1.0}

    def stands(value: float) -> bool:
        return value in known or round(value, 9) in known

    for row in windows.iter_rows(named=True):
        where = f"line {row['line']} {row['surface']}"
        for name in (
            "drafted",
            "said_length",
            "said_rate",
            "generation_tps",
            "running",
            "waiting",
            "kv_usage",
            "draft_ms",
            "busy_ms",
        ):
            if row[name] is not None and not stands(row[name]):
                yield f"{where}: {name} {row[name]}"
        for name in ("said_positions", "histogram"):
            if not all(stands(v) for v in row[name] or []):
                yield f"{where}: {name} {row[name]}"
        drafts, accepted, emitted, length = (row[n] for n in ("drafts", "accepted", "emitted", "length"))
        # V0 prints emitted tokens, a fork of SGLang prints tokens of all rounds: accepted ones are what is left
        counted = sum(j * n for j, n in enumerate(row["histogram"] or []))
        if accepted not in (None, counted) and not stands(accepted) and not stands(accepted + (drafts or 0)):
            yield f"{where}: accepted {accepted}"
        steps = row["steps"] if drafts is None else drafts
        if emitted is not None and not stands(emitted) and (accepted is None or emitted != accepted + steps):
            yield f"{where}: emitted {emitted}"
        if None not in (drafts, accepted, row["said_length"]) and abs(1 + accepted / max(drafts, 1) - length) > 0.011:
            yield f"{where}: {drafts} drafts do not give the length {length}"


@pytest.mark.one_of(9)
@pytest.mark.parametrize("name", SAMPLES)
def test_one_reader_claims_each_sample(name: str, tmp_path: Path) -> None:
    text, reader, engine = SAMPLES[name]
    path = written(tmp_path, text)
    whys = refusals(source(str(path)))
    assert [n for n in registered() if whys[n] is None] == [reader]
    batches, windows, events, losses = read(path)
    assert accounted(batches)
    assert windows.height + len(events) + sum(b.steps.height for b in batches)
    assert {*windows["engine"], *(e.engine for e in events)} == {engine}
    if name != "llama.cpp-coins":
        assert {loss.kind for loss in losses} <= {"other"}
    assert not list(invented(text, windows))


@pytest.mark.one_of(18)
@pytest.mark.skipif(not TEXTS, reason="../shared/corpus is not here")
@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.name)
def test_corpus_is_read_or_lost_and_never_invented(path: Path) -> None:
    whys = refusals(source(str(path)))
    claims = [n for n in registered() if whys[n] is None]
    assert len(claims) == 1, claims
    batches, windows, _, losses = read(path)
    assert accounted(batches)
    text = re.sub(r"\x1b\[[\d;]*m", "", path.read_text(errors="replace"))
    if claims[0].endswith(("-log", "-console", "-bench")):
        assert not list(invented(text, windows))
        silent = _speaking(text) - {*windows["line"], *(loss.line for loss in losses)}
        assert not {n for n in silent if not _repeats(text.splitlines()[n - 1])}


def _speaking(text: str) -> set[int]:
    """Lines that hold a figure of acceptance."""
    figure = r"SpecDecoding metrics: \w|Speculative metrics: \w|accept len: \d|draft acceptance.* = \d|#acc tokens = *\d|accepted +\d+/"
    return {n for n, line in enumerate(text.splitlines(), 1) if re.search(figure, line)}


def _repeats(line: str) -> bool:
    """Lines that repeat what another one says: replays, debug lines of traced rounds, other ranks, wrapped records."""
    return bool(re.search(r"accepted +\d+/ ?\d+ draft tokens(?:$|, new)|\[TP[1-9]\]|^ +mamba num", line))


PREFIXES: dict[str, Callable[[int, str], str]] = {
    "docker json": lambda n, s: json.dumps(
        {"log": s + "\n", "stream": "stderr", "time": f"2026-11-23T15:40:{n:02d}.5Z"}
    ),
    "kubernetes": lambda n, s: f"2026-11-23T15:40:{n:02d}.123456789Z stdout F {s}",
    "journald": lambda n, s: f"Nov 23 15:40:{n:02d} node-7 serve.sh[3116]: {s}",
    "journald json": lambda n, s: json.dumps({"MESSAGE": s, "__REALTIME_TIMESTAMP": f"17954484{n:02d}123456"}),
    "journald iso": lambda n, s: f"2026-11-23T15:40:{n:02d}+0100 node-7 serve[3116]: {s}",
    "compose": lambda _, s: f"engine-1  | {s}",
    "kubectl": lambda _, s: f"[pod/engine-0/server] {s}",
    "iso": lambda n, s: f"2026-11-23 15:40:{n:02d}.517 | {s}",
    "colour": lambda _, s: f"\x1b[0;36m{s[:6]}\x1b[0;0m{s[6:]}",
}
_FIGURES = [
    "drafts",
    "drafted",
    "accepted",
    "emitted",
    "length",
    "rate",
    "said_length",
    "said_rate",
    "running",
    "busy_ms",
]


_STAMPED = (
    "vllm-v0", "vllm-0.11", "vllm-dp2", "sglang-0.5.3", "sglang-0.5.20", "llama.cpp-c", "llama.cpp-d", "ollama", "tensorrt-llm",
)  # fmt: skip


@pytest.mark.one_of(12)
@pytest.mark.parametrize(("name", "prefix"), in_turn(_STAMPED, list(PREFIXES), of=3))
def test_a_prefix_changes_no_figure(name: str, prefix: str, tmp_path: Path) -> None:
    text = SAMPLES[name][0]
    plain = read(written(tmp_path, text))[1]
    lines = [PREFIXES[prefix](n, line) for n, line in enumerate(text.splitlines())]
    path = written(tmp_path, "\n".join(lines) + "\n", "prefixed.log")
    batches, windows, _, _ = read(path)
    assert accounted(batches)
    assert windows.select(_FIGURES).equals(plain.select(_FIGURES))
    if prefix.startswith(("docker", "kubernetes", "iso", "journald ")) and name != "ollama":
        at = windows["at"].drop_nulls().to_list()
        assert len(at) == windows.height
        assert all(1795444000 <= t < 1795456000 or name == "tensorrt-llm" for t in at)


@pytest.mark.slow
def test_a_log_of_two_engines_is_told_apart(tmp_path: Path) -> None:
    path = written(tmp_path, VLLM_032 + LLAMA_D + VLLM_011 + OLLAMA + SGLANG_NEW)
    (found,) = detect([str(path)])
    assert found["format"] == "mixed-log"
    assert {part["engine"] for part in found["engines"]} == {"vllm", "llama.cpp", "ollama", "sglang"}
    sglang = next(part for part in found["engines"] if part["engine"] == "sglang")
    assert sglang["version"] == "0.5.11+"
    assert sglang["to"] - sglang["from"] == 4
    assert any("--export-metrics-to-file" in flag for flag in sglang["log"])
    together = read(path)[1]
    for name in ("vllm-0.32", "vllm-0.11", "llama.cpp-d", "ollama", "sglang-0.5.20"):
        alone = read(written(tmp_path, SAMPLES[name][0], "one.log"))[1]
        kept = together.select(_FIGURES).rows()
        assert all(row in kept for row in alone.select(_FIGURES).rows())


def test_detect_tells_release_time_and_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, VLLM_011)
    os.utime(path, (1795448449, 1795448449))  # 23 November 2026: the year that the stamps lack
    (found,) = detect([str(path)])
    assert found["version"] == "V1 0.10.2-0.11.0"
    assert found["from"] == 1793018176.0
    assert "acceptance by position" in found["judged"]
    assert run(["detect", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "from 2026-10-26 12:36:16 UTC" in shown
    assert "--per-request-spec-decode-metrics detailed" in shown


def test_december_is_of_the_year_before_january(tmp_path: Path) -> None:
    text = VLLM_011.replace("10-26", "12-31") + VLLM_011.replace("10-26", "01-01")
    path = written(tmp_path, text)
    os.utime(path, (1767312000, 1767312000))  # 2 January 2026
    at = read(path)[1]["at"].to_list()
    assert at == sorted(at)
    assert at[-1] - at[0] == 86400


def test_why_names_line_and_field(tmp_path: Path) -> None:
    path = written(tmp_path, "# a remark\n\n" + SGLANG_NEW)
    (found,) = detect([str(path)], why=True)
    whys = found["refused"]
    assert set(whys) == set(registered()) - {"sglang-log"}
    placed = {name: why for name, why in whys.items() if "PAR1" not in why}
    assert all(re.match(r"line \d+: ", why) for why in placed.values()), placed
    assert whys["vllm-log"].startswith("line 3: no `SpecDecoding metrics:`")
    assert "`metrics.speculative_decoding`" in whys["vllm-responses"]
    hook = written(tmp_path, '# keys of a probe\n{"t": 1.5, "draft": [3], "out": [[3, 4]]}\n', "hook.jsonl")
    (found,) = detect([str(hook)], why=True)
    assert found["format"] == "unrecognised"
    assert found["refused"]["trace-jsonl"] == "line 2: kind is null, expected run, request or step"


def damaged(rng: random.Random, lines: list[str]) -> str:
    """Lines cut, joined, wrapped, prefixed, swapped or repeated."""
    picked = rng.sample(lines, min(len(lines), rng.randint(2, 14)))
    for _ in range(rng.randint(1, 6)):
        i = rng.randrange(len(picked))
        at = rng.randrange(len(picked[i]) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            picked[i] = picked[i][:at]
        elif kind == 1:
            picked[i] = picked[i][at:]
        elif kind == 2:
            picked[i] += rng.choice([" ", ""]) + rng.choice(picked)
        elif kind == 3:
            picked[i : i + 1] = [picked[i][:at], rng.choice(["", "    "]) + picked[i][at:]]
        elif kind == 4:
            picked[i] = rng.choice(list(PREFIXES.values()))(rng.randrange(60), picked[i])
        else:
            other = rng.choice(lines)
            picked[i] = picked[i][:at] + other[: rng.randrange(len(other))] + picked[i][at:]
        if not picked:
            picked = [""]
    return "\n".join(picked) + rng.choice(["\n", ""])


@pytest.mark.slow
def test_damaged_logs_crash_nothing_and_invent_nothing(tmp_path: Path) -> None:
    rng = random.Random(5)
    lines = [line for text, _, _ in SAMPLES.values() for line in text.splitlines()]
    by_engine = [text.splitlines() for text, _, _ in SAMPLES.values()]
    known = 0
    for number in range(COUNT):
        text = damaged(rng, rng.choice([lines, lines, *by_engine]))
        path = written(tmp_path, text)
        batches, windows, _, _ = read(path)
        assert accounted(batches), text
        known += windows.height
        assert not list(invented(_unescaped(text), windows)), text
        if number % 10 == 0:
            _report(path)
    assert known > COUNT // 2


def _unescaped(text: str) -> str:
    """Without colours and wrapped lines, as a reader may put them together: at a blank, or within a number."""
    return "\n".join([re.sub(r"\x1b\[[\d;]*m", "", text), re.sub(r"\\n|\n", " ", text), re.sub(r"\n *", "", text)])


def _report(path: Path) -> None:
    try:
        found: Any = report(path)
    except SdtraceError:
        return
    assert not [check for check in found.document["checks"] if check["state"] == "crashed"]
    html.page(found)
    terminal.summary(found, width=100, color=False, verbose=True)
