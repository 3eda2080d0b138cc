"""What vLLM 0.33.0 and SGLang 0.5.23 can log about speculation: each line is read, or ignored with its reason beside it.

day_zero/*.tsv hold the templates of the releases' own sources (fate, template): `figure`, `announced`, or `ignored: why`. A new
release is a new file; a line without a fate fails here.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from sdtrace.readers import open_one
from sdtrace.readers.metrics.series import wanted
from sdtrace.schema.trace import Event

FOLDER = Path(__file__).parent / "day_zero"
VLLM = "(EngineCore pid=2) {level} 11-23 15:00:{s:02d} [x.py:1] {message}\n"
SGLANG = "[2026-11-23 15:00:{s:02d} TP0] {message}\n"
STARTS = {
    "vllm": VLLM.format(level="INFO", s=0, message="vLLM API server version 0.33.0"),
    "sglang": "[2026-11-23 15:00:00] server_args=ServerArgs(model_path='m', speculative_algorithm='EAGLE', speculative_num_steps=3, "
    "speculative_num_draft_tokens=4)\n",
}
LINES = [
    (path.name.partition("-")[0], *line.split("\t"))
    for path in sorted(FOLDER.glob("*.tsv"))
    for line in path.read_text().splitlines()
]


def rendered(template: str) -> str:
    """A template with values: 7 for a whole number, 0.5 for a broken one, x for words."""
    text = re.sub(r"%[-+0-9.]*[df]", lambda m: "0.5" if m[0].endswith("f") else "7", template)
    text = re.sub(r"%[-+0-9.]*[srx]", "x", text).replace("%%", "%")
    return re.sub(r"\{[^{}]*\}", "7", text)


def heard(folder: Path, text: str) -> tuple[list[Event], list[dict[str, Any]], int]:
    """(events, windows, losses that speak of acceptance) of a log."""
    path = folder / "server.log"
    path.write_text(text)
    batches = list(open_one(str(path), None).batches())
    rows = [row for b in batches if b.windows is not None for row in b.windows.to_dicts()]
    said = sum("acceptance" in loss.what for b in batches for loss in b.losses if loss.line is not None)
    return [e for b in batches for e in b.events], rows, said


def test_the_lists_are_whole() -> None:
    assert {engine for engine, _, _ in LINES} == set(STARTS)
    assert len(LINES) > 300
    fates = {fate for _, fate, _ in LINES}
    assert all(fate in ("figure", "announced") or re.fullmatch(r"ignored: .{20,}", fate) for fate in fates)


@pytest.mark.one_of(2)
@pytest.mark.parametrize("engine", STARTS)
def test_every_line_has_its_fate(engine: str, tmp_path: Path) -> None:
    """All lines of a release in one log: what is announced has an event, what is ignored no figure."""
    mine = [(fate, message) for of, fate, message in LINES if of == engine]
    metrics = {message.split(" | ")[0]: fate for fate, message in mine if message.startswith(f"{engine}:")}
    assert {name: wanted(name) is not None for name in metrics} == {n: fate == "figure" for n, fate in metrics.items()}
    rows = [(fate, message) for fate, message in mine if not message.startswith(f"{engine}:")]
    shape = VLLM if engine == "vllm" else SGLANG
    text = [shape.format(level="WARNING", s=i % 60, message=rendered(m)) for i, (_, m) in enumerate(rows)]
    events, windows, _ = heard(tmp_path, STARTS[engine] + "".join(text))
    told, figures = {e.line for e in events}, {row["line"] for row in windows}
    said = {e.what for e in events}
    for n, (fate, message) in enumerate(rows, start=2):
        if fate.startswith("ignored"):
            assert n not in figures, message
        elif fate == "figure":
            assert n in figures, message
        else:  # the same announcement in other words is told once
            again = heard(tmp_path, STARTS[engine] + text[n - 2])[0] if n not in told else []
            assert n in told or any(e.line == 2 and e.what in said for e in again), message


#: record -> (steps, drafted, accepted, tokens per step, running, tokens/s)
FIGURES: dict[str, tuple[str, dict[str, Any]]] = {
    # 300 drafted in 100 steps of 3; 150 accepted: 1 + 150/100
    "vllm": (
        VLLM.format(level="INFO", s=10, message=(
            "SpecDecoding metrics: Mean acceptance length: 2.50, Accepted throughput: 15.00 tokens/s, Drafted throughput: 30.00 "
            "tokens/s, Accepted: 150 tokens, Drafted: 300 tokens, Per-position acceptance rate: 0.700, 0.500, 0.300, Avg Draft "
            "acceptance rate: 50.0%"
        )).replace("[x.py:1]", "[metrics.py:123]"),
        {"drafts": 100.0, "drafted": 300.0, "accepted": 150.0, "length": 2.5, "said_positions": [0.7, 0.5, 0.3]},
    ),
    # printed as it is: bonus counted, 2 running at 180.1 tokens/s
    "sglang": (
        SGLANG.format(s=10, message=(
            "Decode batch, #running-req: 2, #token: 2600, token usage: 0.42, accept len: 2.50, accept rate: 0.50, cuda graph: True, "
            "gen throughput (token/s): 180.10, #queue-req: 1"
        )),
        {"length": 2.5, "running": 2.0, "waiting": 1.0, "generation_tps": 180.1, "kv_usage": 0.42},
    ),
    # a mean since the server began
    "sglang, average": (SGLANG.format(s=10, message="avg_spec_accept_length=2.75"), {"basis": "gauge", "length": 2.75}),
}  # fmt: skip


@pytest.mark.one_of(2)
@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_the_releases(name: str, tmp_path: Path) -> None:
    line, figures = FIGURES[name]
    _, rows, said = heard(tmp_path, STARTS[name.partition(",")[0]] + line)
    (row,) = rows
    assert {key: row[key] for key in figures} == figures
    assert said == 0


CHOSEN = [
    ("vllm", "Defaulted num_speculative_tokens to 24 for suffix decoding.", "config", "method=suffix k=24"),
    ("vllm", "Loaded custom proposer class 'a.B' with num_speculative_tokens=5", "config", "method=custom k=5"),
    ("sglang", "DSpark gamma is not set; defaulting to 7.", "config", "7"),
    ("sglang", "speculative_num_draft_tokens is not set; defaulting to 16 for DFLASH.", "config", "16"),
    ("sglang", "DSpark: sampled verify accepts use block-wise rejection", "note", None),
]


@pytest.mark.one_of(3)
@pytest.mark.parametrize(("engine", "message", "kind", "value"), CHOSEN)
def test_what_the_engine_chose_is_announced(
    engine: str, message: str, kind: str, value: str | None, tmp_path: Path
) -> None:
    shape = VLLM if engine == "vllm" else SGLANG
    events, _, _ = heard(tmp_path, STARTS[engine] + shape.format(level="INFO", s=1, message=message))
    assert (kind, value) in {(e.kind, e.value) for e in events if e.line == 2}
