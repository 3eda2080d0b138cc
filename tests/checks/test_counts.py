"""Checks of counts: for every one a log or record that fires it, one that leaves it clear, one that cannot tell."""

import json
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sdtrace.checks import CHECKS
from tests.made.simulate import document

CODES = [check.code for check in CHECKS if check.code.startswith("SD4")]


def line(length: str, accepted: int, drafted: int, positions: str, percent: str, second: int = 0) -> str:
    """A SpecDecoding line of vLLM 0.10.2+."""
    return (
        f"(APIServer pid=7) INFO 11-23 15:40:{second:02d} [metrics.py:120] SpecDecoding metrics: Mean acceptance length: "
        f"{length}, Accepted throughput: 1.00 tokens/s, Drafted throughput: 2.00 tokens/s, Accepted: {accepted} tokens, "
        f"Drafted: {drafted} tokens, Per-position acceptance rate: {positions}, Avg Draft acceptance rate: {percent}%"
    )


def response(number: int = 0, **more: Any) -> str:
    """A response of vLLM 0.29+ with its own counts."""
    spec = {
        "mean_acceptance_length": 1.88,
        "draft_acceptance_rate": 0.29333333333333333,
        "acceptance_histogram": [30, 6, 4, 10],
        "num_spec_steps": 50,
        "num_accepted_draft_tokens": 44,
        "num_draft_tokens": 150,
        "num_spec_tokens": 3,
    }
    usage = {"completion_tokens": 95}
    usage |= {k: more.pop(k) for k in list(more) if k == "completion_tokens"}
    body = {"id": f"r{number}", "choices": [], "usage": usage, "metrics": {"speculative_decoding": spec | more}}
    return json.dumps(body)


def exposition(accepted: int) -> str:
    """One scrape of vLLM's counters; the positions add up to 100 accepted tokens."""
    counts = {"num_drafts": 90, "num_draft_tokens": 180, "num_accepted_tokens": accepted}
    lines = [f'vllm:spec_decode_{name}_total{{engine="0"}} {n}.0' for name, n in counts.items()]
    name = "vllm:spec_decode_num_accepted_tokens_per_pos_total"
    return "\n".join([*lines, *(f'{name}{{engine="0",position="{j}"}} {n}.0' for j, n in enumerate((70, 30)))])


def counters(drafts: int, accepted: Sequence[int]) -> list[str]:
    """One scrape of a server of several engines that draft two tokens a step."""
    rows = []
    for engine, count in enumerate(accepted):
        counts = {"num_drafts": drafts, "num_draft_tokens": 2 * drafts, "num_accepted_tokens": count}
        rows += [f'vllm:spec_decode_{name}_total{{engine="{engine}"}} {n}.0' for name, n in counts.items()]
    return rows


def drafting(emitted: int) -> str:
    """llama-server with a draft model: a request of so many tokens, 200 of them accepted in 100 steps that drafted."""
    head = "0.13.076.994 I slot print_timing: id  0 | task 0 |"
    return (
        "0.01.000.000 I common_speculative_init: adding speculative implementation 'draft-simple'\n"
        f"{head}        eval time =    3000.00 ms / {emitted} tokens (   10.00 ms per token,   100.00 tokens per second)\n"
        f"{head} draft acceptance = 0.66667 (  200 accepted /   300 generated), mean len =  3.00"
    )


def timings(accepted: tuple[int, int]) -> str:
    """Responses of llama-server: of 150 drafted tokens so many accepted, at short prompts and at long ones."""
    rows = []
    for i in range(60):
        counts = {"predicted_n": 150, "draft_n": 150, "draft_n_accepted": accepted[i % 2] + i % 7}
        rows.append(json.dumps({"id": i, "timings": {"prompt_n": (100, 9000)[i % 2] + i, "cache_n": 0, **counts}}))
    return "\n".join(rows)


def gate(*, off: bool) -> str:
    """TensorRT-LLM's speculation gate."""
    head = "[TRT-LLM] [I] [SpeculationGate] "
    said = [
        "SpeculationGate initialized with window=4, threshold=0.8",
        "Request 41 completed: avg_decoded=1.62, accepted_len=0.620",
    ]
    if off:
        said.append("Speculative decoding disabled: rolling acceptance avg 0.620 < threshold 0.8 over last 4 requests")
    return "\n".join(head + text for text in said)


def llama(statistics_accepted: int, drafted: int = 66, accepted: int = 0, length: str = "1.00") -> str:
    """A request line and a statistics line of llama-server b11434, which should count the same tokens."""
    return (
        f"0.13.076.994 I slot print_timing: id  0 | task 0 | draft acceptance = {accepted / drafted:.5f} ({accepted:5d} accepted "
        f"/ {drafted:5d} generated), mean len =  {length}\n"
        "0.13.077.038 I spec common_specu: statistics     ngram-simple: #calls(b,g,a) =    1    107     11, #gen drafts =     11, "
        f"#acc drafts =    {min(11, statistics_accepted)}, #gen tokens =     {drafted}, #acc tokens =    {statistics_accepted}, "
        f"#mean acc len = {1 + statistics_accepted / 11:.2f}, dur(b,g,a) = 0.000, 0.165, 0.012 ms\n"
    )


GOOD = line("2.00", 40, 80, "0.700, 0.300", "50.0")
CLEAR = "\n".join(line("2.00", 40, 80, "0.700, 0.300", "50.0", second) for second in range(6))
SILENT = (
    "(APIServer pid=1) WARNING 11-23 15:40:00 [async_llm.py:131] AsyncLLM created with api_server_count more than 1; "
    "disabling stats logging to avoid incomplete stats."
)
MISSING = (
    "(EngineCore pid=1) WARNING 11-23 15:40:00 [gpu_model_runner.py:4702] Missing cached draft probabilities for request chatcmpl-1; "
    "falling back to legacy speculative rejection behavior."
)
START = "(EngineCore pid=1) INFO 11-23 15:40:00 [core.py:1] Initializing a V1 LLM engine (v0.32.0) with config: "
#: code -> (a log or records in which it fires, its file name)
FIRED: dict[str, tuple[str, str]] = {
    "SD401": (line("3.00", 40, 80, "0.700, 0.300", "50.0"), "vllm.log"),
    "SD402": (line("2.00", 40, 80, "0.700, 0.300", "75.0"), "vllm.log"),
    "SD403": (line("4.00", 120, 80, "1.000, 1.000", "150.0"), "vllm.log"),
    "SD404": (line("2.00", 40, 80, "0.300, 0.700", "50.0"), "vllm.log"),
    "SD405": (response(acceptance_histogram=[30, 6, 4, 9]), "responses.jsonl"),
    "SD406": (line("nan", 0, 0, "nan, nan", "nan"), "vllm.log"),
    "SD407": (response(completion_tokens=40), "responses.jsonl"),
    "SD408": (response(mean_acceptance_length=1.95), "responses.jsonl"),
    "SD409": (exposition(40), "scrape.prom"),
    "SD411": (llama(11), "server.log"),
    "SD412": (llama(22, accepted=22, length="2.00").replace("len = 3.00", "len = 4.00"), "server.log"),
    "SD421": (f"{START}rejection_sample_method='synthetic'\n{GOOD}", "vllm.log"),
    "SD422": (f"{START}rejection_sample_method='fly'\n{GOOD}", "vllm.log"),
    "SD423": (gate(off=True), "trtllm.log"),
    "SD424": (SILENT, "vllm.log"),
    "SD425": (f"{MISSING}\n{GOOD}", "vllm.log"),
    "SD431": ("\n".join(line("3.00", 80, 80, "1.000, 1.000", "100.0", s) for s in range(6)), "vllm.log"),
    "SD433": (line("1.30", 300, 2000, "0.250, 0.050", "15.0"), "vllm.log"),
    "SD434": (line("1.00", 0, 450, "0.000, 0.000", "0.0"), "vllm.log"),
    "SD435": (line("1.70", 700, 2000, "0.700, 0.000", "35.0"), "vllm.log"),
    "SD436": ("\n".join(counters(drafts=1000, accepted=(1200, 1200, 300, 1200))), "scrape.prom"),
    "SD437": (line("1.04", 800, 40000, "0.030, 0.010", "2.0"), "vllm.log"),
    "SD438": (
        "\n".join(
            line("2.00", 400, 800, "0.700, 0.300", "50.0", s)
            if s < 5
            else line("1.20", 80, 800, "0.150, 0.050", "10.0", s)
            for s in range(9)
        ),
        "vllm.log",
    ),
    "SD439": (drafting(1000), "server.log"),
    "SD440": (timings((90, 20)), "timings.jsonl"),
    "SD432": ("\n".join(line("1.00", 0, 200, "0.000, 0.000", "0.0", s) for s in range(6)), "vllm.log"),
}
CLEARED: dict[str, tuple[str, str]] = {
    **dict.fromkeys(FIRED, (CLEAR, "vllm.log")),
    "SD405": (response(), "responses.jsonl"),
    "SD407": (response(), "responses.jsonl"),
    "SD408": (response(), "responses.jsonl"),
    "SD409": (exposition(100), "scrape.prom"),
    "SD434": (line("2.00", 400, 800, "0.700, 0.300", "50.0"), "vllm.log"),
    "SD435": (line("2.00", 400, 800, "0.700, 0.300", "50.0"), "vllm.log"),
    "SD436": ("\n".join(counters(drafts=1000, accepted=(1200, 1200, 1000, 1200))), "scrape.prom"),
    "SD439": (drafting(321), "server.log"),
    "SD440": (timings((90, 85)), "timings.jsonl"),
    "SD437": (line("2.00", 400, 800, "0.700, 0.300", "50.0"), "vllm.log"),
    "SD433": (line("2.00", 1000, 2000, "0.700, 0.300", "50.0"), "vllm.log"),
    "SD411": (llama(22, accepted=22, length="3.00"), "server.log"),
    "SD412": (llama(22, accepted=22, length="3.00"), "server.log"),
    "SD423": (gate(off=False), "trtllm.log"),
}


@cache
def states(text: str, name: str) -> dict[str, str]:
    """The state of every check, by its code."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(text + "\n")
        return {check["code"]: check["state"] for check in document(path)["checks"]}


@pytest.mark.one_of(5)
@pytest.mark.parametrize("code", CODES)
def test_fires(code: str) -> None:
    assert states(*FIRED[code])[code] == "fired"


@pytest.mark.one_of(5)
@pytest.mark.parametrize("code", CODES)
def test_stays_clear(code: str) -> None:
    assert states(*CLEARED[code])[code] == "clear"


@pytest.mark.parametrize("code", CODES)
def test_cannot_tell(code: str) -> None:
    bare = {"kind": "step", "request_id": "a", "step": 0, "draft_token_ids": []}
    assert states(json.dumps(bare), "trace.jsonl")[code] == "cannot-tell"
