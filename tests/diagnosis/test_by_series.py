"""Acceptance judged from counts: near zero, dead positions, one series against its siblings, and whom none of it may accuse."""

from pathlib import Path
from typing import Any

import pytest

from sdtrace.api import report
from sdtrace.counters.places import named as places
from sdtrace.counters.series import Tally
from sdtrace.diagnosis.by_series import outlier, spread
from tests.healthy.judge import accused, documented, named
from tests.healthy.worlds import TRAFFIC, World
from tests.healthy.writers import NAMED, WRITERS
from tests.made.simulate import document


def window(steps: int, positions: list[int], second: int = 0, engine: str = "000", pid: int = 7) -> str:
    """An Engine and a SpecDecoding line of vLLM 0.24+."""
    head = f"(APIServer pid={pid}) INFO 11-23 15:{second // 60:02d}:{second % 60:02d}"
    accepted, drafted = sum(positions), steps * len(positions)
    return (
        f"{head} [loggers.py:335] Engine {engine}: Avg prompt throughput: 0.0 tokens/s, Avg generation throughput: 9.0 tokens/s, "
        f"Running: 4 reqs, Waiting: 0 reqs, GPU KV cache usage: 2.0%\n{head} [metrics.py:120] SpecDecoding metrics: Mean acceptance "
        f"length: {1 + accepted / steps:.2f}, Accepted throughput: {accepted / 10:.2f} tokens/s, Drafted throughput: {drafted / 10:.2f} "
        f"tokens/s, Accepted: {accepted} tokens, Drafted: {drafted} tokens, Per-position acceptance rate: "
        f"{', '.join(f'{n / steps:.3f}' for n in positions)}, Avg Draft acceptance rate: {100 * accepted / drafted:.1f}%\n"
    )


def log(folder: Path, *windows: str, name: str = "vllm.log") -> dict[str, Any]:
    path = folder / name
    path.write_text("".join(windows))
    return document(path)


NGRAM = (
    "(EngineCore pid=1) INFO 11-23 15:00:00 [core.py:1] Initializing a V1 LLM engine (v0.32.0) with config: "
    "speculative_config=SpeculativeConfig(method='ngram', model=None, num_spec_tokens=3)\n"
)
SYNTHETIC = NGRAM.replace("method='ngram'", "method='eagle', rejection_sample_method='synthetic'")
#: what it is -> windows, the causes that are right, the state that is right
COUNTED: dict[str, tuple[list[str], list[str], str]] = {
    "none of 450": ([window(150, [0, 0, 0])], ["drafter-miswired"], "slow"),
    "9 of 8,100 in ten windows": (
        [window(270, [1, 0, 0], 10 * i) for i in range(9)] + [window(270, [0, 0, 0], 99)],
        ["drafter-miswired"],
        "slow",
    ),
    "none of 60": ([window(20, [0, 0, 0])], [], "cannot-tell"),
    "one request of hard text": ([window(60, [3, 0, 0])], [], "cannot-tell"),
    "the first position alone": ([window(120, [17, 0, 0, 0], 10 * i) for i in range(5)], ["drafter-miswired"], "slow"),
    "positions that fall by a factor": ([window(600, [240, 60, 15, 4])], [], "healthy"),
    "a lookup that finds nothing": ([NGRAM, window(600, [2, 0, 0])], ["low-acceptance"], "slow"),
    "a benchmark that accepts nothing": ([SYNTHETIC, window(600, [0, 0, 0])], ["synthetic-acceptance"], "wrong"),
    "three tokens in a hundred steps": (
        [window(900, [20, 10, 0], 10 * i) for i in range(10)],
        ["drafter-miswired"],
        "slow",
    ),
    "four in a hundred, told by many windows": (
        [window(900, [31, 4, 1], 10 * i) for i in range(20)],
        ["low-acceptance"],
        "slow",
    ),
    "one in five": ([window(600, [110, 20, 5])], ["low-acceptance"], "cannot-tell"),
}


@pytest.mark.one_of(8)
@pytest.mark.parametrize("what", COUNTED)
def test_counts_are_judged(what: str, tmp_path: Path) -> None:
    windows, causes, state = COUNTED[what]
    found = log(tmp_path, *windows)
    assert [c["cause"] for c in found["causes"]] == causes
    assert found["verdict"]["state"] == state
    assert "shorten the draft" not in "".join(c["advice"] for c in found["causes"] if c["cause"] == "drafter-miswired")


@pytest.mark.slow
def test_one_engine_of_four_is_named_with_its_figures(tmp_path: Path) -> None:
    shares = {"000": [85, 60, 45], "001": [84, 62, 44], "002": [17, 5, 2], "003": [86, 61, 43]}
    found = log(
        tmp_path, *(window(100, p, 10 * i, engine, 7 + int(engine)) for i in range(8) for engine, p in shares.items())
    )
    first = found["causes"][0]
    assert first["cause"] == "series-outlier"
    assert "engine 002 accepts 8.0%" in first["headline"]
    assert [row["name"] for row in found["acceptance"]["series"] if row["state"] == "slow"] == ["002"]
    row = found["acceptance"]["series"][0]
    assert {name: row[name] for name in ("by", "name", "steps", "drafted", "accepted", "verdict")} == {
        "by": "engine", "name": "000", "steps": 800, "drafted": 2400, "accepted": 1520, "verdict": "healthy",
    }  # fmt: skip


def test_series_stand_beside_each_other_on_the_page(tmp_path: Path) -> None:
    path = tmp_path / "vllm.log"
    path.write_text("".join(window(400, p, 0, e) for e, p in {"000": [340, 240, 180], "001": [60, 20, 8]}.items()))
    (shown,) = [s for s in report(str(path)).sections if s.id == "series"]
    assert shown.sentence.endswith("slow: engine 001.")
    assert [row[1] for row in shown.rows] == ["001", "000"]


@pytest.mark.slow
def test_a_dead_engine_is_its_own_fault_and_a_dead_server_its_drafters(tmp_path: Path) -> None:
    dead = {"000": [85, 60, 45], "001": [0, 0, 0]}
    one = log(tmp_path, *(window(200, p, 10 * i, e) for i in range(3) for e, p in dead.items()))
    assert one["causes"][0]["headline"].startswith("engine 001: no drafted token is accepted")
    assert one["causes"][0]["blame"] == "scheduler"
    whole = log(tmp_path, *(window(200, [0, 0, 0], 10 * i, e) for i in range(3) for e in dead), name="whole.log")
    assert [c["cause"] for c in whole["causes"]] == ["drafter-miswired"]
    assert whole["causes"][0]["headline"].startswith("no drafted token is accepted: 0 of 3,600")
    assert whole["causes"][0]["blame"] == "drafter"


@pytest.mark.slow
def test_other_draft_lengths_make_no_outlier(tmp_path: Path) -> None:
    lengths = {"000": [85], "001": [85], "002": [85, 40, 20, 10, 5, 2, 1, 0]}
    found = log(tmp_path, *(window(100, p, 10 * i, e) for i in range(8) for e, p in lengths.items()))
    assert [c["cause"] for c in found["causes"] if c["side"] == "slow"] == []


@pytest.mark.slow
def test_files_of_servers_that_run_at_once_are_replicas_and_those_of_one_are_not(tmp_path: Path) -> None:
    def lines(first: int, positions: list[int]) -> str:
        return "".join(window(100, positions, first + 10 * i) for i in range(10))

    at_once, after = tmp_path / "at-once", tmp_path / "after"
    for folder, second in ((at_once, 0), (after, 200)):
        folder.mkdir()
        (folder / "a.log").write_text(lines(0, [85, 60, 45]))
        (folder / "b.log").write_text(lines(second, [40, 16, 6]))
    both = document(at_once)
    assert [c["cause"] for c in both["causes"]] == ["series-outlier"]
    assert {(row["by"], row["name"]) for row in both["acceptance"]["series"]} >= {
        ("replica", "a.log"),
        ("replica", "b.log"),
    }
    assert "replica" not in {row["by"] for row in document(after)["acceptance"]["series"]}


@pytest.mark.slow
def test_coverage_of_every_kind_of_input(tmp_path: Path) -> None:
    good = log(tmp_path, *(window(100, [85, 60, 45], 10 * i) for i in range(3)))
    assert good["verdict"]["coverage"] == {
        "speed": "judged", "acceptance": "judged", "correctness": "not-judged", "metrics": "judged",
    }  # fmt: skip
    assert "speed and acceptance judged; correctness not checked" in good["verdict"]["headline"]
    little = log(tmp_path, window(20, [15, 10, 8]), name="little.log")
    assert little["verdict"]["state"] == "cannot-tell"
    assert little["verdict"]["coverage"]["acceptance"] == "too-little"
    assert "70 more would do" in little["verdict"]["headline"]
    trace = document(Path("sample_logs/transformers-sampled.jsonl.gz"))
    assert trace["verdict"]["coverage"]["correctness"] == "judged"


def scrape(rows: list[tuple[str, int]]) -> str:
    """One scrape of vLLM's counters: labels and accepted tokens, of 1,000 steps with three drafted tokens."""
    return "".join(
        f"vllm:spec_decode_{name}_total{{{labels}}} {n}.0\n"
        for labels, accepted in rows
        for name, n in (("num_drafts", 1000), ("num_draft_tokens", 3000), ("num_accepted_tokens", accepted))
    )


DECODE = (
    "[2026-03-02 10:00:{0:02d} TP0] Decode batch, #running-req: 2, #token: 20{0:03d}, token usage: 0.20, accept len: 1.00, accept "
    "rate: 0.00, cuda graph: True, gen throughput (token/s): 90.00, #queue-req: 0\n"
)
REJECTED = (
    "0.13.076.994 I slot print_timing: id  0 | task {0} | draft acceptance = 0.00000 (    0 accepted /   600 generated), "
    "mean len =  1.00\n"
)
STATISTICS = (
    "0.13.077.038 I spec common_specu: statistics     ngram-simple: #calls(b,g,a) =    1    107     11, #gen drafts =     600, #acc drafts "
    "=    0, #gen tokens =     4800, #acc tokens =    0, #mean acc len = 1.00, dur(b,g,a) = 0.000, 0.165, 0.012 ms\n"
)
#: who could lawfully have written it -> the input, causes that it must not be given
LAWFUL = {
    "another model on another engine": (
        scrape([(f'engine="{e}",model_name="{"ab"[e % 2]}"', (2100, 900)[e % 2]) for e in range(4)]),
        "scrape.prom",
        ["series-outlier", "low-acceptance"],
    ),
    "adaptive drafts that are off": (
        "[2026-03-02 09:59:00] Adaptive spec params updated: steps 3 -> 0\n"
        + "".join(map(DECODE.format, range(0, 50, 4))),
        "sglang.log",
        ["drafter-miswired", "low-acceptance"],
    ),
    "a lookup in text without repetition": (
        "".join(map(REJECTED.format, range(8))) + STATISTICS,
        "llamacpp.log",
        ["drafter-miswired"],
    ),
    "a draft of unknown length": (REJECTED.format(1), "llamacpp.log", ["drafter-miswired"]),
}


@pytest.mark.one_of(4)
@pytest.mark.parametrize("what", LAWFUL)
def test_what_a_lawful_engine_could_have_written_is_not_accused(what: str, tmp_path: Path) -> None:
    text, name, never = LAWFUL[what]
    assert [c["cause"] for c in log(tmp_path, text, name=name)["causes"] if c["cause"] in never] == []


def finished(i: int, prompt: int, accepted: int) -> str:
    """A finished request of SGLang 0.5.11+ whose whole prompt but ten tokens came from the cache."""
    return (
        f"[2026-10-30 12:{i:02d}:00] Finish: obj=GenerateReqInput(rid='{i:08x}'), out={{'meta_info': {{'id': '{i:08x}', 'prompt_tokens': "
        f"{prompt}, 'completion_tokens': {50 + accepted}, 'cached_tokens': {prompt - 10}, 'spec_verify_ct': 50, "
        f"'spec_num_correct_drafts': {accepted}, 'spec_num_proposed_drafts': 150}}}}\n"
    )


def timed(i: int, prompt: int, accepted: int) -> str:
    """A request of llama-server, b11434."""
    head = f"0.{i:02d}.000.000 I slot print_timing: id  0 | task {i} |"
    return (
        f"{head} prompt eval time =     100.00 ms / {prompt:5d} tokens (    0.20 ms per token,  5000.00 tokens per second)\n"
        f"{head}        eval time =    1000.00 ms / {51 + accepted:5d} tokens (   10.00 ms per token,   100.00 tokens per second)\n"
        f"{head} draft acceptance = {accepted / 150:.5f} ({accepted:5d} accepted /   150 generated), mean len = {1 + accepted / 50:5.2f}\n"
    )


@pytest.mark.one_of(4)
@pytest.mark.parametrize("line", [finished, timed])
@pytest.mark.parametrize(("long", "cause"), [(25, "long-context-decay"), (80, None)])
def test_acceptance_that_falls_with_the_prompt_is_named(
    line: Any, long: int, cause: str | None, tmp_path: Path
) -> None:
    rows = (line(i, 9000 + 7 * i, long + i % 5) if i % 3 == 0 else line(i, 100 + i, 90 + i % 5) for i in range(60))
    slow = [c for c in log(tmp_path, *rows, name="server.log")["causes"] if c["side"] == "slow"]
    assert [c["cause"] for c in slow] == ([cause] if cause else [])
    assert all("at 9," in c["headline"] for c in slow)


SERIES = [
    ("gpu-3 APIServer:300 Engine 002", "SpecDecoding metrics", {"pod": "gpu-3", "engine": "002"}),
    ("APIServer:1 Engine 000", "SpecDecoding metrics", {"engine": "000"}),
    ("Engine 001", "SpecDecoding metrics", {"engine": "001"}),
    ("engine=2 model_name=org/m pod=a-1", "metrics", {"engine": "2", "model": "org/m", "pod": "a-1"}),
    ("ReplicaId=r1 WorkerId=w1 engine=0", "metrics", {"replica": "r1", "engine": "0"}),
    ("WorkerId=w1 engine=0", "metrics", {"replica": "w1", "engine": "0"}),
    ("host=b k8s_pod_name=a-1", "metrics", {"pod": "a-1", "replica": "b"}),
    ("host=b instance=b:8000", "metrics", {"replica": "b:8000"}),
    ("pod/decode-0/sglang DP3", "Decode batch", {"pod": "pod/decode-0/sglang", "rank": "3"}),
    ("DP1", "Decode batch", {"rank": "1"}),
    ("port 8081 slot 3", "request", {"replica": "port 8081", "slot": "3"}),
    ("draft-mtp", "statistics", {"drafter": "draft-mtp"}),
    ("rank 0", "dflash", {"rank": "0"}),
    ("", "request", {}),
]


@pytest.mark.parametrize(("series", "surface", "wanted"), SERIES)
def test_a_series_names_its_places(series: str, surface: str, wanted: dict[str, str]) -> None:
    assert places(series, surface) == wanted


@pytest.mark.one_of(8)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("traffic", TRAFFIC)
def test_a_healthy_server_is_accused_of_nothing(traffic: str, seed: int, tmp_path: Path) -> None:
    engines = list(WRITERS)
    engine = engines[(TRAFFIC.index(traffic) + seed) % len(engines)]
    found = documented(World(traffic, 4, 12, seed), engine, tmp_path)
    assert accused(found, "wrong") + accused(found, "slow") == [], (engine, traffic, seed)


@pytest.mark.one_of(4)
@pytest.mark.parametrize("engine", NAMED)
def test_an_engine_at_half_its_siblings_acceptance_is_named_alone(engine: str, tmp_path: Path) -> None:
    assert named(documented(World("mixed", 4, 20, 3, half=2), engine, tmp_path), 2)


@pytest.mark.slow
def test_siblings_are_measured_once_each(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Comparing every series with every other one asks nothing of the rows again: 120 series, 120 ratios."""
    names = ("num_drafts", "num_draft_tokens", "num_accepted_tokens")
    lines = [f'vllm:spec_decode_{name}_total{{engine="{i}"}} {300 + i}.0\n' for name in names for i in range(120)]
    path = tmp_path / "many.prom"
    path.write_text("".join(lines))
    asked: list[str] = []

    def counted(t: Tally, below: str) -> spread.Ratio | None:
        asked.append(t.name)
        return spread.ratio(t, below)

    monkeypatch.setattr(outlier, "ratio", counted)
    report(path)
    assert len(asked) == len(set(asked)) == 120
