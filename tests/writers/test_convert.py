"""Conversion: there and back is the identity."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdtrace.cli import run
from sdtrace.errors import OutputError, UsageError
from sdtrace.writers.convert import convert

SAMPLES = Path(__file__).resolve().parents[2] / "sample_logs"


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return bool(a == b)


def round_trip(path: Path, folder: Path) -> list[dict[str, Any]]:
    convert([path], folder / "tables")
    convert([folder / "tables"], folder / "back.jsonl.zst")
    convert([folder / "back.jsonl.zst"], folder / "back.jsonl")
    return records(folder / "back.jsonl")


@pytest.mark.one_of(3)
@pytest.mark.parametrize("name", ["sampled", "greedy", "lenient-0.8.planted"])
def test_samples(name: str, tmp_path: Path) -> None:
    source = SAMPLES / f"transformers-{name}.jsonl.gz"
    convert([source], tmp_path / "plain.jsonl")
    before = records(tmp_path / "plain.jsonl")
    order = {"run": 0, "request": 1, "step": 2}
    assert same(sorted(before, key=lambda r: order[r["kind"]]), round_trip(source, tmp_path))


def test_steps_whose_key_is_taken_are_records(tmp_path: Path) -> None:
    """Four answers under one id, or a retry: what that makes of a record, its reader judges."""
    step = {"kind": "step", "request_id": "a", "step": 0, "draft_token_ids": [1, 2], "num_accepted": 1}
    rows = [step, step | {"draft_token_ids": [3, 4]}, step | {"step": 1}, step]
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in [{"kind": "run", "format": 1}, *rows]))
    done = convert([source], tmp_path / "out.jsonl")
    assert (done.steps, done.losses) == (4, [])
    assert records(tmp_path / "out.jsonl")[1:] == rows
    assert round_trip(source, tmp_path)[1:] == rows


numbers = st.floats(allow_nan=True, allow_infinity=True)
ids = st.integers(-1, 2**40)
text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@st.composite
def steps(draw: st.DrawFn) -> list[dict[str, Any]]:
    found = []
    for number in range(draw(st.integers(1, 4))):
        tau = draw(st.integers(1, 3))
        row: dict[str, Any] = {
            "kind": "step",
            "request_id": draw(text),
            "step": number,
            "draft_token_ids": draw(st.lists(ids, min_size=tau, max_size=tau)),
            "target_probs": draw(st.lists(numbers, min_size=tau, max_size=tau)),
        }
        row |= draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "graph": text,
                    "at": numbers,
                    "output_token_ids": st.lists(ids, max_size=3),
                    "target_top_ids": st.lists(st.lists(ids, max_size=2), max_size=2),
                },
            )
        )
        found.append(row)
    return found


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps(), st.dictionaries(text, text, max_size=2))
def test_any_records(
    tmp_path_factory: pytest.TempPathFactory, made: list[dict[str, Any]], tags: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("trip")
    request = {"kind": "request", "request_id": "r", "temperature": 0.5, "tags": tags}
    run = {"kind": "run", "format": 1, "rule": "ratio", "config": {"a": [1, None, {"b": "c"}]}}
    whole = [run, request, *made]
    (folder / "in.jsonl").write_bytes(b"".join(json.dumps(r).encode() + b"\n" for r in whole))
    assert same(round_trip(folder / "in.jsonl", folder), whole)


@pytest.mark.one_of(3)
@pytest.mark.parametrize("blank", ["\u00a0", "\u2003", "\u200b", "\ufeff", "\u3000"])
def test_blanks_of_any_kind_in_ids_and_tags_are_data(blank: str, tmp_path: Path) -> None:
    step = {"kind": "step", "request_id": f"a{blank}b", "step": 0, "draft_token_ids": [1], "graph": blank}
    request = {"kind": "request", "request_id": f"a{blank}b", "tags": {f"x{blank}": blank}}
    (tmp_path / "in.jsonl").write_text(f"{json.dumps(request)}\n{json.dumps(step)}\n")
    assert same(round_trip(tmp_path / "in.jsonl", tmp_path), [request, step])


@pytest.mark.slow
def test_the_option_is_the_same_as_the_last_argument(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case, made = str(SAMPLES / "paper-case.csv"), [tmp_path / f"{i}.jsonl" for i in range(3)]
    assert run(["convert", case, str(made[0])]) == 0
    assert run(["convert", case, "-o", str(made[1])]) == 0
    assert made[0].read_bytes() == made[1].read_bytes()
    assert "1 run, 0 requests, 1 step written to" in capsys.readouterr().err
    trace = str(SAMPLES / "transformers-greedy.jsonl.gz")
    assert run(["convert", case, trace, "-o", str(made[2]), "--openmetrics", str(tmp_path / "x.om"), "-q"]) == 0
    assert len(records(made[2])) == 1 + 1 + 433 - 1 + 1
    assert (tmp_path / "x.om").exists()
    assert capsys.readouterr().err == ""
    assert run(["convert", str(made[0]), str(made[2]), "-o", str(made[2])]) == 2
    assert "is the input" in capsys.readouterr().err


def test_counts_are_no_empty_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "trace.jsonl"
    assert run(["convert", str(SAMPLES / "vllm-server.log.gz"), "-o", str(out)]) == 3
    assert "counts, and no step" in capsys.readouterr().err
    assert not out.exists()


def test_endings_and_occupied_places(tmp_path: Path) -> None:
    sample = SAMPLES / "paper-case.csv"
    assert convert([sample], tmp_path / "case.jsonl").steps == 1
    with pytest.raises(UsageError, match="what format"):
        convert([sample], tmp_path / "case.xlsx")
    (tmp_path / "taken").touch()
    with pytest.raises(OutputError, match="a file of that name"):
        convert([sample], tmp_path / "taken")
    assert {p.name for p in tmp_path.iterdir()} == {"case.jsonl", "taken"}
