"""Lines of engines' logs that are wrapped, cut, glued, ambiguous or hold no number."""

import re
from pathlib import Path

from tests.made.log_samples import SGLANG_NEW, VLLM_032
from tests.made.reading import causes, rows, told


def test_wrapped_and_ambiguous_lines(tmp_path: Path) -> None:
    wrapped = (
        "[12:50:55 TP0] Decode batch, #running-req: 1, #full token: 801536, full token usage: 0.36,\n"
        "               mamba num: 1, mamba usage: 0.01, accept len: 2.00, accept rate: 0.25,\n"
        "               cuda graph: True, gen throughput (token/s): 381.74\n"
    )
    (row,) = rows(tmp_path, wrapped)
    assert (row["line"], row["running"], row["kv_usage"], row["length"], row["generation_tps"]) == (
        1,
        1,
        0.36,
        2.0,
        381.74,
    )
    several = "Log series: `accept len: 2.33 / 4.50 / 2.46`.\n"
    assert rows(tmp_path, several) == []
    unstamped = re.sub(r"(?m)^\[[^]]*\] ", "", SGLANG_NEW)
    assert "several values" in told(tmp_path, several + unstamped)["inputs"][0]["losses"][0]["what"]


def test_nan_is_no_figure(tmp_path: Path) -> None:
    text = (
        "INFO 05-02 10:00:00 [metrics.py:120] SpecDecoding metrics: Mean acceptance length: nan, Accepted throughput: 0.00 tokens/s, "
        "Drafted throughput: 0.00 tokens/s, Accepted: 0 tokens, Drafted: 0 tokens, Per-position acceptance rate: nan, nan, nan, "
        "Avg Draft acceptance rate: nan%\n"
    )
    (row,) = rows(tmp_path, text)
    assert (row["length"], row["rate"], row["said_positions"]) == (None, None, None)
    assert "metric-inconsistent" in causes(told(tmp_path, text))


def test_cut_and_glued_records(tmp_path: Path) -> None:
    """Two records on a line are two; one that is cut is a loss, and its list of positions is not taken for a shorter k."""
    line = VLLM_032.splitlines()[2]
    found = rows(tmp_path, f"{line} {line.replace('15:40:49', '15:40:59')}\n{line[:150]}\n{line[:-60]}\n")
    assert [(r["line"], r["k"]) for r in found] == [(1, 4), (1, 4), (3, None)]
    losses = told(tmp_path, f"{line}\n{line[:150]}\n")["inputs"][0]["losses"]
    assert [loss["what"] for loss in losses] == ["incomplete v1 record"]
