"""OpenMetrics: what the format's own parser reads are the totals of the report; nothing that is not recorded is there."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics import parser

from sdtrace.api import report
from sdtrace.cli import run

SAMPLES = Path(__file__).resolve().parents[2] / "sample_logs"


def written(path: Path, tmp_path: Path) -> Path:
    out = tmp_path / "out.om"
    assert run(["convert", str(path), "--openmetrics", str(out)]) == 0
    assert out.read_text().endswith("# EOF\n")
    return out


def parsed(text: str) -> dict[str, Any]:
    """Families by name, each with HELP and TYPE; counters never fall, and times of a series rise."""
    read: Callable[[str], Iterator[Any]] = parser.text_string_to_metric_families
    found = {family.name: family for family in read(text)}
    for family in found.values():
        assert family.documentation
        series: dict[str, list[tuple[float, float]]] = {}
        for sample in family.samples:
            at = 0.0 if sample.timestamp is None else float(sample.timestamp)
            series.setdefault(json.dumps(sample.labels), []).append((at, sample.value))
        for points in series.values() if family.type == "counter" else []:
            assert [at for at, _ in points] == sorted({at for at, _ in points})
            assert [value for _, value in points] == sorted(value for _, value in points)
    return found


def last(found: dict[str, Any], name: str) -> float | None:
    return float(found[name].samples[-1].value) if name in found else None


@pytest.mark.one_of(4)
@pytest.mark.parametrize(
    "name", ["transformers-sampled.jsonl.gz", "engines/vllm.log", "engines/llamacpp.log", "paper-case.csv"]
)
def test_the_last_sample_is_the_total(name: str, tmp_path: Path) -> None:
    found, wanted = parsed(written(SAMPLES / name, tmp_path).read_text()), report(SAMPLES / name).document
    for metric, key in (
        ("sdtrace_steps", "steps"),
        ("sdtrace_drafted_tokens", "drafted"),
        ("sdtrace_accepted_tokens", "accepted"),
    ):
        assert last(found, metric) == wanted["acceptance"][key], metric
    assert {s.labels["state"]: s.value for s in found["sdtrace_verdict"].samples}[wanted["verdict"]["state"]] == 1
    assert found["sdtrace_drafted_tokens"].unit == "tokens"


def test_what_is_not_recorded_has_no_sample(tmp_path: Path) -> None:
    rows = [{"kind": "step", "request_id": "a", "step": i, "draft_token_ids": [1, 2]} for i in range(3)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = parsed(written(tmp_path / "t.jsonl", tmp_path).read_text())
    assert last(found, "sdtrace_drafted_tokens") == 6
    assert found["sdtrace_drafted_tokens"].samples[0].timestamp is None
    assert not {"sdtrace_accepted_tokens", "sdtrace_emitted_tokens"} & set(found)


def test_a_label_holds_what_a_log_says_of_itself(tmp_path: Path) -> None:
    run_line = {"kind": "run", "format": 1, "engine": 'a"b\\c\nd'}
    step = {"kind": "step", "request_id": "a", "step": 0, "draft_token_ids": [1], "num_accepted": 1}
    (tmp_path / "t.jsonl").write_text(f"{json.dumps(run_line)}\n{json.dumps(step)}\n")
    found = parsed(written(tmp_path / "t.jsonl", tmp_path).read_text())
    assert found["sdtrace_steps"].samples[0].labels["engine"] == 'a"b\\c\nd'


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool (Debian: apt-get install prometheus)")
def test_prometheus_makes_blocks_of_it(tmp_path: Path) -> None:
    out = written(SAMPLES / "transformers-sampled.jsonl.gz", tmp_path)
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(out), str(tmp_path / "blocks")]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert any((tmp_path / "blocks").iterdir())
