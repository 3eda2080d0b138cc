"""Every reader behind every envelope: the same sums come out, or a loss that is said.

SDTRACE_ENVELOPES=N tries each text in N times as many envelopes, SDTRACE_ENVELOPES=all in every one; the default suite tries
each text in one of each table, in turn.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sdtrace.readers import open_one
from sdtrace.readers.envelopes import CERTAIN, unwrapped
from tests.made.engine_texts import RECORDS, TEXTS, plain, written
from tests.made.envelope_samples import ENVELOPES, JSON, LINES, Wrap, folded, sums, wrapped
from tests.made.simulate import document

#: a table that a wrap breaks, and lines that print one decision each
TABLES = {"ik-llama", "ik-llama-bench.md", "aiperf-console", "llama.cpp-coins", "dynamo.log"}
ALL = os.environ.get("SDTRACE_ENVELOPES") == "all"
MORE = 1 if ALL else int(os.environ.get("SDTRACE_ENVELOPES", "1"))


def some(names: list[str], others: list[str], each: int) -> list[tuple[str, str]]:
    """Every name with `each` of the others, all of them in turn."""
    if ALL:
        return [(name, other) for name in names for other in others]
    each = min(each * MORE, len(others))
    return [(name, others[(i * 7 + j * 11) % len(others)]) for i, name in enumerate(names) for j in range(each)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("envelopes")


@pytest.mark.one_of(24)
@pytest.mark.parametrize(("name", "envelope"), some(list(TEXTS), list(ENVELOPES), 1))
def test_every_reader_behind_every_envelope(name: str, envelope: str, folder: Path) -> None:
    inside = written(folder, ENVELOPES[envelope](TEXTS[name]))
    assert sums(inside)[1] == plain(name, folder)[1]


@pytest.mark.one_of(5)
@pytest.mark.parametrize(("name", "envelope"), some(RECORDS, list(JSON), 1))
def test_records_however_they_are_written(name: str, envelope: str, folder: Path) -> None:
    inside = written(folder, JSON[envelope](TEXTS[name]))
    assert sums(inside)[1] == plain(name, folder)[1]


@pytest.mark.one_of(3)
@pytest.mark.parametrize("envelope", list(JSON))
def test_a_trace_however_its_records_are_written(envelope: str, tmp_path: Path) -> None:
    records = [
        {"kind": "run", "format": 1, "run_id": "r", "rule": "ratio"},
        {"kind": "request", "run_id": "r", "request_id": "q"},
    ]
    step = {
        "kind": "step",
        "run_id": "r",
        "request_id": "q",
        "draft_token_ids": [7],
        "num_accepted": 0,
        "output_token_ids": [8],
    }
    text = "".join(f"{json.dumps(one)}\n" for one in [*records, *({**step, "step": i} for i in range(5))])
    batches = list(open_one(str(written(tmp_path, JSON[envelope](text))), None).batches())
    assert [sum(getattr(b, table).height for b in batches) for table in ("runs", "requests", "steps")] == [1, 1, 5]


CUTS: dict[str, Wrap] = {f"edge at {w}": wrapped(w) for w in (80, 100, 120, 160, 200)}
CUTS |= {f"words at {w}": folded(w) for w in (72, 100)} | {"no-break spaces": LINES["no-break spaces"]}


@pytest.mark.one_of(18)
@pytest.mark.parametrize(("name", "cut"), some([n for n in TEXTS if n not in TABLES], list(CUTS), 1))
def test_a_cut_is_mended_or_said(name: str, cut: str, folder: Path) -> None:
    _, found, lost = sums(written(folder, CUTS[cut](TEXTS[name])))
    _, whole, before = plain(name, folder)
    assert found == whole or lost > before or found["said_length"] < whole["said_length"]
    assert all(found[key] <= value + 1e-6 for key, value in whole.items() if key != "steps")


@pytest.mark.one_of(8)
@pytest.mark.parametrize("twice", ["each line twice", "the text twice"])
@pytest.mark.parametrize(
    "name", [n for n, text in TEXTS.items() if len({*text.split("\n")}) > 4][:: 1 if ALL else max(6 // MORE, 1)]
)
def test_what_stands_twice_is_counted_once(name: str, twice: str, folder: Path) -> None:
    path = written(folder, LINES[twice](TEXTS[name]))
    assert sums(path)[1] == plain(name, folder)[1]
    assert any(loss.what == "the same record again" for b in open_one(str(path), None).batches() for loss in b.losses)


@pytest.mark.slow
def test_lines_of_a_stretch_that_stands_twice(tmp_path: Path) -> None:
    """Two exports overlap: three records, of which the second stands in both."""
    lines = TEXTS["vllm-dp2"].split("\n")[:4]
    late = [line.replace("15:45:46", "15:45:56") for line in lines]
    once, twice = tmp_path / "once.log", tmp_path / "twice.log"
    once.write_text("\n".join([*lines, *late]))
    twice.write_text("\n".join([*lines, *late, *late]))
    a, b = document(once), document(twice)
    assert a["acceptance"]["drafted"] == b["acceptance"]["drafted"] == 32
    (again,) = (loss for loss in b["inputs"][0]["losses"] if loss["what"] == "the same record again")
    assert again["count"] == 4


@pytest.mark.slow
def test_lines_that_a_logger_wrote_twice_into_a_container(tmp_path: Path) -> None:
    """Two handlers write one record: the container's runtime stamps each line by itself, microseconds apart."""
    lines = TEXTS["vllm-dp2"].split("\n")[:4]
    lines += [line.replace("15:45:46", "15:45:56") for line in lines]
    second = {"15:45:46": 46, "15:45:56": 56}
    stamped = [
        {"log": f"{line}\n", "stream": "stderr", "time": f"2026-03-02T15:45:{at}.{100 + 40 * i:06d}000Z"}
        for i, line in enumerate(line for line in lines for _ in range(2))
        for at in [next(s for text, s in second.items() if text in line)]
    ]
    path = tmp_path / "container.log"
    path.write_text("\n".join(map(json.dumps, stamped)) + "\n")
    found = document(path)
    assert found["acceptance"]["drafted"] == 32
    assert sum(loss["count"] for loss in found["inputs"][0]["losses"] if loss["what"] == "the same record again") == 8


@pytest.mark.parametrize(
    ("more", "counted"), [({}, 3), ({"predicted_ms": 812.375}, 1)], ids=["repeated runs", "copies"]
)
def test_a_prompt_that_a_benchmark_repeats_is_no_copy(more: dict[str, float], counted: int, tmp_path: Path) -> None:
    """The same prompt decoded greedily gives the same counts each time; the same milliseconds it does not take."""
    record = {"id": "code_sql", "predicted_n": 64, "draft_n": 186, "draft_n_accepted": 15} | more
    path = written(tmp_path, json.dumps({"runs": [record, record, record]}).encode())
    assert document(path)["acceptance"]["drafted"] == 186 * counted


LINE = (
    "(APIServer pid=1) INFO 03-02 10:00:{s:02} [metrics.py:101] SpecDecoding metrics: Mean acceptance length: 2.80, Accepted "
    "throughput: 18.00 tokens/s, Drafted throughput: 30.00 tokens/s, Accepted: 180 tokens, Drafted: 300 tokens, Per-position "
    "acceptance rate: 0.800, 0.600, 0.400, Avg Draft acceptance rate: 60.0%"
)


def figures(path: Path) -> tuple[Any, ...]:
    a = document(path)["acceptance"] or {}
    return a.get("steps"), a.get("drafted"), a.get("accepted")


@pytest.mark.one_of(12)
@pytest.mark.parametrize("width", [*range(60, 240, 9), 119, 120, 121])
def test_a_terminal_of_any_width(width: int, tmp_path: Path) -> None:
    text = "\n".join(LINE.format(s=s) for s in (0, 10, 20)) + "\n"
    assert figures(written(tmp_path, wrapped(width)(text))) == (300, 900, 540)


def test_an_export_from_the_newest_line_on_is_turned(tmp_path: Path) -> None:
    """The engine's line names the engine of the record behind it: turned, it would name the one before."""
    lines = TEXTS["vllm-dp2"].strip("\n").split("\n")
    later = [line.replace("15:45:46", f"15:4{n}:46") for n in (6, 7, 8) for line in lines]
    turned = written(tmp_path, "\n".join(later[::-1]).encode())
    frames = [b.windows for b in open_one(str(turned), None).batches() if b.windows is not None]
    drafted = {(w["series"], w["drafted"]) for f in frames for w in f.to_dicts() if w["drafted"]}
    assert drafted == {("APIServer:19 Engine 000", 4.0), ("APIServer:19 Engine 001", 12.0)}


def test_lines_are_named_as_in_the_file(tmp_path: Path) -> None:
    text = f"HTTP/1.1 200 OK\ncontent-type: text/plain\n\n{LINE.format(s=0)}\n{LINE.format(s=10)[:150]}\n"
    path = written(tmp_path, text.encode())
    batches = list(open_one(str(path), None).batches())
    assert [w["line"] for b in batches if b.windows is not None for w in b.windows.to_dicts()] == [4]
    assert [loss.line for b in batches for loss in b.losses if "incomplete" in loss.what] == [5]


@pytest.mark.parametrize("cut", [False, True])
def test_indented_pages_one_behind_the_other(cut: bool, tmp_path: Path) -> None:
    """Two pages of CloudWatch: the second repeats the last event of the first; a last page that was cut stays a text, and is said."""
    events = [{"timestamp": 1772445600000 + 1000 * s, "message": LINE.format(s=s)} for s in (0, 10, 20, 30)]
    pages = [json.dumps({"events": part, "nextToken": "t"}, indent=4) + "\n" for part in (events[:2], events[1:])]
    path = written(tmp_path, ("".join(pages) + (pages[0][:-200] if cut else "")).encode())
    assert figures(path) == (400, 1200, 720)
    said = {x["what"]: x["count"] for x in document(path)["inputs"][0]["losses"]}
    assert said.pop("the same record again") == 1
    assert bool(said) == cut


def test_streams_of_two_pods_are_kept_apart(tmp_path: Path) -> None:
    streams = [
        {"stream": {"pod": pod}, "values": [["1772445600000000000", LINE.format(s=0)]]} for pod in ("a-0", "a-1")
    ]
    path = written(tmp_path, json.dumps({"data": {"resultType": "streams", "result": streams}}).encode())
    assert figures(path) == (200, 600, 360)


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_in_no_envelope_stays(name: str) -> None:
    found = unwrapped(TEXTS[name], CERTAIN)
    assert found.names == ()
    assert found.text == TEXTS[name]


#: how Prometheus gives series: three steps of 2 drafted tokens, of which 3 of 6 are accepted
SERIES = {"num_drafts": 3, "num_draft_tokens": 6, "num_accepted_tokens": 3}
NAMES = {f'vllm:spec_decode_{n}_total{{engine="0",model_name="m"}}': v for n, v in SERIES.items()}


def _api(kind: str) -> str:
    result = []
    for name, value in SERIES.items():
        sample = [1772445600.5, str(value)]
        values = {"value": sample} if kind == "vector" else {"values": [[1772445590.5, "0"], sample]}
        result.append({"metric": {"__name__": f"vllm:spec_decode_{name}_total", "engine": "0"}, **values})
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}})


def _csv() -> str:
    quoted = ['"' + name.replace('"', '""') + '"' for name in NAMES]
    zeros = ",".join("0" for _ in NAMES)
    return f'"Time",{",".join(quoted)}\n2026-03-02 10:00:00,{zeros}\n2026-03-02 10:00:15,{",".join(map(str, NAMES.values()))}\n'


@pytest.mark.one_of(6)
@pytest.mark.parametrize(
    "text",
    [
        _api("vector"),
        _api("matrix"),
        _csv(),
        "\n".join(f"{name}\t{value}" for name, value in NAMES.items()),
        "\n".join(f"{name} => {value} @[1772445600.5]" for name, value in NAMES.items()),
        "| Element | Value |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in NAMES.items()),
        "\n".join(f"{name} | {value:,}" for name, value in NAMES.items()),
    ],
    ids=["vector", "matrix", "Grafana's CSV", "tabs", "promtool", "Markdown", "page"],
)
def test_series_of_prometheus_in_other_clothes(text: str, tmp_path: Path) -> None:
    assert figures(written(tmp_path, text.encode())) == (3, 6, 3)
