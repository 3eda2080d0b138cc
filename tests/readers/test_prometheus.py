"""Expositions of engines: counters to what was added, restarts, ranks and label sets, gauges, memory that does not grow."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sdtrace.checks import CHECKS
from sdtrace.counters.downsample import Folder, judge, named
from sdtrace.counters.downsample import added as both
from sdtrace.counters.sources import CounterSource, sources
from sdtrace.readers import open_inputs
from sdtrace.schema.counters import from_rows
from tests.made.simulate import document

Counts = tuple[int, int, int]


def scrape(
    counts: Counts, labels: str = 'engine="0"', positions: tuple[int, ...] = (), stamp: int | None = None
) -> str:
    """vLLM V1 counters (drafts, drafted, accepted) as a server exposes them, `_created` twins beside them."""
    end = "" if stamp is None else f" {stamp}"
    names = ("num_drafts", "num_draft_tokens", "num_accepted_tokens")
    lines = [f"vllm:spec_decode_{n}_total{{{labels}}} {float(v)}{end}" for n, v in zip(names, counts, strict=True)]
    lines += [f"vllm:spec_decode_{n}_created{{{labels}}} 1.7954e+09{end}" for n in names]
    lines += [
        f'vllm:spec_decode_num_accepted_tokens_per_pos_total{{{labels},position="{j}"}} {float(n)}{end}'
        for j, n in enumerate(positions)
    ]
    return "\n".join(lines) + "\n"


def counted(folder: Path, *texts: str) -> tuple[Any, ...]:
    """(steps, drafted, accepted) of a file with these scrapes one after another."""
    path = folder / "series.prom"
    path.write_text("".join(texts))
    a = document(path)["acceptance"]
    return a["steps"], a["drafted"], a["accepted"]


@pytest.mark.slow
def test_one_scrape_counts_from_the_start_and_a_series_what_it_added(tmp_path: Path) -> None:
    assert counted(tmp_path, scrape((10, 40, 20))) == (10, 40, 20)
    assert counted(tmp_path, scrape((10, 40, 20)), scrape((15, 60, 30)), scrape((30, 120, 50))) == (20, 80, 30)


def test_a_restart_adds_what_stands_after_it(tmp_path: Path) -> None:
    scrapes = scrape((10, 40, 20)), scrape((15, 60, 30)), scrape((3, 12, 5)), scrape((4, 16, 6))
    assert counted(tmp_path, *scrapes) == (5 + 4, 20 + 16, 10 + 6)


@pytest.mark.slow
def test_every_label_tells_a_process_apart_and_ranks_are_added(tmp_path: Path) -> None:
    """Data-parallel engines, and pods behind one name: none may hide another."""
    for name in ("engine", "pod", "namespace", "instance", "anything"):
        both = [scrape(c, f'model_name="m",{name}="{i}"') for i, c in enumerate([(10, 40, 20), (1, 4, 2)])]
        assert counted(tmp_path, "".join(both)) == (11, 44, 22)


@pytest.mark.one_of(3)
@pytest.mark.parametrize("label", ["job", "prometheus_replica", "replica", "tp_rank"])
def test_two_scrapers_of_one_process_count_once(label: str, tmp_path: Path) -> None:
    both = [scrape((10, 40, 20), f'instance="h:8000",{label}="{i}"') for i in (0, 1)]
    assert counted(tmp_path, "".join(both)) == (10, 40, 20)


@pytest.mark.slow
def test_scrapes_in_files_named_by_time_are_one_series_and_two_folders_are_two(tmp_path: Path) -> None:
    for name, factor in (("a", 1), ("b", 10)):
        (tmp_path / name).mkdir()
        for i, n in enumerate((2, 5, 9)):
            counts = (n * factor, 4 * n * factor, 2 * n * factor)
            (tmp_path / name / f"{1795453369 + 5 * i}.prom").write_text(scrape(counts))
    a = document(tmp_path)["acceptance"]
    assert (a["steps"], a["drafted"], a["accepted"]) == (77, 308, 154)
    for name in ("one.prom", "two.prom"):  # no time: two servers as well may have written them
        (tmp_path / name).write_text(scrape((7, 28, 14)))
    a = document([tmp_path / "one.prom", tmp_path / "two.prom"])["acceptance"]
    assert a["steps"] == 14


def test_v0_counters_are_not_used_and_its_gauges_are(tmp_path: Path) -> None:
    path = tmp_path / "v0.prom"
    names = ("accepted", "draft", "emitted")
    lines = [
        f'vllm:spec_decode_num_{n}_tokens_total{{model_name="m"}} {v}.0'
        for n, v in zip(names, (900, 1200, 1500), strict=True)
    ]
    lines += [
        'vllm:spec_decode_draft_acceptance_rate{model_name="m"} 0.62',
        'vllm:spec_decode_efficiency{model_name="m"} 0.55',
    ]
    path.write_text("\n".join(lines) + "\n")
    found = document(path)
    assert found["acceptance"]["accepted"] is None
    assert found["acceptance"]["rate_of_drafted"] == 0.62


def test_sglang_gauges_are_last_values_by_rank_and_never_summed(tmp_path: Path) -> None:
    path = tmp_path / "sglang.prom"
    lines = [
        f'sglang:spec_accept_length{{dp_rank="{dp}",tp_rank="{tp}"}} {length}'
        for dp, length in enumerate((2.15, 2.33, 3.07, 2.79))
        for tp in (0, 1)
    ]
    lines += [f'sglang:spec_verify_calls_total{{tp_rank="{tp}"}} 100.0' for tp in (0, 1)]
    lines += ["sglang:generation_tokens_total 260.0"]
    path.write_text("\n".join(lines) + "\n")
    found = {s.basis: s for s in sources(pl.concat(_windows(path)))}
    assert found["gauge"].length == pytest.approx((2.15 + 2.33 + 3.07 + 2.79) / 4)
    assert (found["counter"].counts["drafts"], found["counter"].length) == (100, 2.6)
    assert document(path)["acceptance"]["accepted"] is None


def test_vllm_steps_without_a_draft_are_counted_by_the_latency_histogram(tmp_path: Path) -> None:
    """One sample of inter-token latency a request-step in vLLM; SGLang's counts tokens under the same name."""
    path = tmp_path / "v.prom"
    path.write_text(scrape((10, 40, 20)) + 'vllm:inter_token_latency_seconds_count{engine="0"} 25.0\n')
    assert document(path)["acceptance"]["definitions"]["ollama"] == 20 / 25  # accepted over every step
    path.write_text(path.read_text() + "sglang:inter_token_latency_seconds_count 99.0\n")
    assert [w["engine"].unique().to_list() for w in _windows(path)] == [["vllm"]]


def _windows(path: Path) -> list[pl.DataFrame]:
    return [b.windows for o in open_inputs([str(path)]) for b in o.batches() if b.windows is not None]


def test_tensorrt_counts_by_iteration_and_by_request_are_two_sources(tmp_path: Path) -> None:
    path = tmp_path / "trt.prom"
    lines = ["trtllm_spec_decode_num_draft_tokens_total 2400.0", "trtllm_spec_decode_num_accepted_tokens_total 1300.0"]
    for name, values in (("drafted", (790, 790, 790)), ("accepted", (600, 430, 255))):
        lines += [f'trtllm_spec_decode_{name}_tokens_total{{token_position="{j}"}} {v}.0' for j, v in enumerate(values)]
    path.write_text("\n".join(lines) + "\n")
    found = {s.surface: s.counts for s in sources(pl.concat(_windows(path)))}
    assert (found["metrics"]["drafted"], found["metrics"]["drafts"]) == (2400, None)
    by_request = found["metrics by request"]
    assert (by_request["drafts"], by_request["drafted"], by_request["accepted"]) == (790, 2370, 1285)


def test_ray_names_and_stamps_and_cut_lines(tmp_path: Path) -> None:
    text = (
        scrape((10, 40, 20), stamp=1795453369000).replace("vllm:", "vllm_")
        + 'vllm:spec_decode_num_drafts_total{engine="0"'
    )
    path = tmp_path / "ray.prom"
    path.write_text(text)
    found = document(path)
    assert (found["acceptance"]["steps"], found["acceptance"]["accepted"]) == (10, 20)
    assert [x["count"] for x in found["inputs"][0]["losses"] if "exposition line" in x["what"]] == [1]


def test_labels_may_hold_anything(tmp_path: Path) -> None:
    assert counted(tmp_path, scrape((10, 40, 20), 'model_name="a } \\"b\\" # {x} 3"')) == (10, 40, 20)


def test_an_exemplar_is_none_of_the_sample(tmp_path: Path) -> None:
    """OpenMetrics: behind the value (and a time in seconds) stands what one request was, with a value of its own."""
    behind = ' # {trace_id="a # {b"} 1.0 1795453369.5\n'
    assert counted(tmp_path, scrape((10, 40, 20)).replace("\n", behind)) == (10, 40, 20)
    seconds = scrape((10, 40, 20), stamp=1795453369), scrape((15, 60, 30), stamp=1795453379)
    assert counted(tmp_path, *(text.replace("\n", behind) for text in seconds)) == (5, 20, 10)
    (windows,) = (f for b in open_inputs([str(tmp_path / "series.prom")]) for f in (x.windows for x in b.batches()))
    assert windows is not None
    assert windows["at"].to_list() == [1795453369.0, 1795453379.0]


def test_totals_that_cannot_be_are_a_finding(tmp_path: Path) -> None:
    """More accepted than drafted, beyond what two totals read a moment apart may differ by: no "19 tokens a step", healthy."""
    path = tmp_path / "a.prom"
    for accepted, causes in ((1800, ["metric-inconsistent"]), (310, [])):
        path.write_text(scrape((100, 300, accepted)))
        assert [c["cause"] for c in document(path)["causes"]] == causes


def added(rows: list[Counts], kept: int) -> CounterSource:
    """The one source of a series of counter samples that went through a folder of this size, four at a time."""
    made = [
        {
            "engine": "vllm",
            "surface": "metrics",
            "basis": "counter",
            "series": "",
            "at": float(i),
            "drafts": n,
            "drafted": d,
            "accepted": a,
        }
        | {"accepted_by_position": [float(a), float(a // 2)]}
        for i, (n, d, a) in enumerate(rows)
    ]
    folder = Folder(CHECKS, kept)
    for i in range(0, len(made), 4):
        folder.add(from_rows("series", made[i : i + 4]))
    found = sources(folder.windows())
    assert folder.height <= kept + 4 + 3 * sum(b[0] < a[0] for a, b in pairwise(rows))
    return found[0]


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4), st.booleans()), min_size=3, max_size=90))
def test_thinning_a_series_of_counters_changes_no_sum(moves: list[tuple[int, int, bool]]) -> None:
    n = d = a = 0
    rows = []
    for steps, accepted, restart in moves:
        if restart:
            n = d = a = 0
        n, d, a = n + steps, d + 4 * steps, a + min(accepted, 4 * steps)
        rows.append((n, d, a))
    whole, folded = added(rows, 10_000), added(rows, 12)
    for name in ("drafts", "drafted", "accepted"):
        assert folded.counts[name] == whole.counts[name]
    assert folded.accepted_by_position == whole.accepted_by_position
    assert folded.windows == whole.windows


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 4), st.booleans()), min_size=3, max_size=90))
@example([(1, 0, False)] * 11 + [(1, 1, False), (1, 1, True)])
def test_adding_up_neighbours_changes_no_sum_and_checks_have_seen_each(rounds: list[tuple[int, int, bool]]) -> None:
    rows = []
    for i, (steps, accepted, known) in enumerate(rounds):
        row: dict[str, Any] = {"engine": "vllm", "surface": "lines", "basis": "interval", "series": "", "line": i + 1}
        row |= {"drafted": 4 * steps, "accepted": accepted, "said_rate": accepted / (4 * steps) + 0.1 * (i % 7 == 0)}
        rows.append(row | ({"drafts": steps, "histogram": [float(steps), 1.0]} if known else {}))
    folder = Folder(CHECKS, 12)
    for i in range(0, len(rows), 4):
        folder.add(from_rows("log", rows[i : i + 4]))
    whole, folded = sources(from_rows("log", rows))[0], sources(folder.windows())[0]
    assert folded.counts == whole.counts
    assert folded.rate == pytest.approx(whole.rate)
    assert folded.length == whole.length or folded.length == pytest.approx(whole.length)
    rates = next(c for c in CHECKS if c.code == "SD402")
    seen = both(folder.judged.get("SD402"), judge(rates, named(folder.windows())))
    assert (seen.examined, seen.faults) == (len(rows), len(range(0, len(rows), 7)))


def test_a_page_of_ray_is_known_though_the_engine_comes_late(tmp_path: Path) -> None:
    """Ray 2.60 writes 100 KB about itself before the first metric of vLLM, with labels of the library that counts."""
    own = "# TYPE ray_grpc_server_req_process_time_ms histogram\n" + "".join(
        f'ray_grpc_server_req_process_time_ms_bucket{{Component="gcs_server",Method="m{i}",le="1.0"}} {i}.0\n'
        for i in range(1500)
    )
    labels = 'Component="core_worker",WorkerId="w",model_name="m",otel_scope_name="s",otel_scope_schema_url="",otel_scope_version=""'
    scrapes = [
        own
        + "".join(
            f"ray_vllm_spec_decode_num_{name}_total{{{labels}}} {value * n}\n"
            for name, value in (("drafts", 100.0), ("draft_tokens", 400.0), ("accepted_tokens", 220.0))
        )
        for n in (1, 11)
    ]
    assert len(own) > 1 << 16
    (tmp_path / "ray.prom").write_text("".join(scrapes))
    found = document(tmp_path / "ray.prom")
    assert found["acceptance"]["steps"] == 1000
    assert found["acceptance"]["accepted"] == 2200
