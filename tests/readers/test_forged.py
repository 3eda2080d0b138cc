"""A prompt in a log proves nothing: every engine's log with a forged question in it reads as the log without the question."""

from pathlib import Path
from typing import Any

import pytest

from sdtrace.readers import open_one
from tests.made.log_samples import (
    AIPERF,
    DYNAMO,
    IK_LLAMA,
    LLAMA_A,
    LLAMA_D,
    LLAMA_JSONL,
    LMDEPLOY,
    OLLAMA,
    SGLANG_FINISH,
    SGLANG_NEW,
    TENSORRT,
    VLLM_032,
    VLLM_JSON,
    VLLM_V0,
)
from tests.made.simulate import document

#: engine -> (its log, a line that a user would forge, without the stamp, and how the engine echoes a request)
FORGED_VLLM = (
    "SpecDecoding metrics: Mean acceptance length: 6.00, Accepted throughput: 100.00 tokens/s, Drafted throughput: 100.00 "
    "tokens/s, Accepted: 500000 tokens, Drafted: 500000 tokens, Per-position acceptance rate: 1.000, 1.000, 1.000, 1.000, 1.000, "
    "Avg Draft acceptance rate: 100.0%"
)
FORGED_V0 = (
    "Speculative metrics: Draft acceptance rate: 0.990, System efficiency: 0.990, Number of speculative tokens: 8, Number of "
    "accepted tokens: 9900, Number of draft tokens: 10000, Number of emitted tokens: 9990."
)
FORGED_SGLANG = (
    "Decode batch, #running-req: 1, #token: 5, accept len: 9.00, accept rate: 0.99, gen throughput (token/s): 9.0, "
    "#queue-req: 0"
)
FORGED_FINISH = (
    "{'meta_info': {'id': 'x', 'completion_tokens': 9999, 'spec_accept_length': 9.0, 'spec_verify_ct': 1111}}"
)
FORGED_LLAMA = "draft acceptance = 0.99000 (  990 accepted /  1000 generated), mean len =  9.00"
FORGED_STATISTICS = "statistics draft: #calls = 9, #gen drafts = 100000, #acc drafts = 100000, #gen tokens = 900000, #acc tokens = 900000"
FORGED_LMDEPLOY = (
    "SpecDecoding metrics: Draft acceptance rate: 99.99%, Mean acceptance length: 9.00, Accepted: 90000 tokens, Drafted: "
    "90000 tokens"
)
FORGED_OLLAMA = (
    'msg="speculative decode stats" iterations=9 drafted=9000 accepted=9000 acceptance=1.00 avg_accepted=9.00'
)
FORGED_GATE = "[TRT-LLM] [I] [SpeculationGate] Speculative decoding disabled"
FORGED_DYNAMO = "Observed num_req: 9.00 kv_hit_rate: 0.9 accept_length: 9.999"
FORGED_AIPERF = "│ Token-Weighted Acceptance Length │ 9.99 │ N/A │"
FORGED_IK = "| code | 1 | mtp | 999 | eog | 9.0 | 9.0 | 9 | 900/900 | 99.0% | 9.0 | 99.0% 99.0% 99.0% |"
FORGED_SYNTHETIC = "0.12.770.261 W spec common_specu: synthetic speculative acceptance is enabled for benchmarking"

VLLM_ECHO = "(APIServer pid=17) INFO 11-23 15:40:50 [logger.py:43] Received request cmpl-1: prompt: {}, params: SamplingParams(n=1)."
SGLANG_ECHO = "[2026-09-28 12:35:03] Receive: obj=GenerateReqInput(text={}, rid='1')"
LLAMA_ECHO = '0.06.070.000 D srv  log_server_r: request:  {{"prompt":{}}}'
LMDEPLOY_ECHO = "2026-01-01 10:00:00,123 - lmdeploy - INFO - logger.py:45 - session=1, input_tokens=9, prompt={}, prompt_token_id=[1]"
OLLAMA_ECHO = 'time=2026-09-04T14:17:25.482+09:00 level=DEBUG source=server.go:9 msg="completion request" prompt={}'
TRT_ECHO = "[01/16/2026-06:20:18] [TRT-LLM] [I] request 7 prompt: {}"

ENGINES: dict[str, tuple[str, str, str]] = {
    "vllm": (VLLM_032 * 3, FORGED_VLLM, VLLM_ECHO),
    "vllm-v0": (VLLM_V0, FORGED_V0, VLLM_ECHO.removeprefix("(APIServer pid=17) ")),
    "vllm-json": (VLLM_JSON, FORGED_VLLM, VLLM_ECHO),
    "sglang": (SGLANG_NEW, FORGED_SGLANG, SGLANG_ECHO),
    "sglang-finish": (SGLANG_FINISH, FORGED_FINISH, SGLANG_ECHO),
    "llama.cpp": (LLAMA_D, FORGED_LLAMA, LLAMA_ECHO),
    "llama.cpp-a": (LLAMA_A, FORGED_STATISTICS, LLAMA_ECHO.replace("0.06.070.000 D", "2026-05-14 22:40:29.050 |")),
    "llama.cpp-jsonl": (LLAMA_JSONL, FORGED_LLAMA, LLAMA_ECHO),
    "llama.cpp-synthetic": (LLAMA_D, FORGED_SYNTHETIC, LLAMA_ECHO),
    "tensorrt": (TENSORRT, FORGED_GATE, TRT_ECHO),
    "lmdeploy": (
        "2026-01-01 10:00:00,123 - lmdeploy - INFO - metrics_processor.py:45 - " + LMDEPLOY,
        FORGED_LMDEPLOY,
        LMDEPLOY_ECHO,
    ),
    "ollama": (OLLAMA, FORGED_OLLAMA, OLLAMA_ECHO),
    "dynamo": (DYNAMO, FORGED_DYNAMO, SGLANG_ECHO),
    "aiperf": (AIPERF, FORGED_AIPERF, VLLM_ECHO),
    "ik-llama": (IK_LLAMA, FORGED_IK, LLAMA_ECHO),
}
#: Questions that announce what no engine said.
QUESTIONS = (
    "What is synthetic acceptance in speculative decoding?",
    "please set rejection_sample_method=synthetic and typical_acceptance_sampler; speculative decoding is disabled",
    "how do I set SGLANG_SIMULATE_ACC_LEN in sglang?",
    "SGLANG_SIMULATE_ACC_LEN",
    "speculative decoding is not supported? spec->plain decode fallback engaged, disabling stats logging",
)


def quoted(text: str) -> str:
    """As Python's repr and JSON quote it."""
    return repr(text) if '"' in text else f'"{text}"'


def ways(forged: str, echo: str) -> dict[str, str]:
    """What a log holds of a request with this text in it."""
    return {
        "echo": echo.format(quoted(forged)) + "\n",
        "echo of many": (echo.format(repr("hello " + forged)) + "\n") * 40,
        "apostrophes": echo.format("'I don't know: " + forged + "'") + "\n",
        "quotes": f"gateway: user 7 asked {quoted('hm, ' + forged)} at noon\n",
        "access log": f'INFO:     127.0.0.1:52000 - "GET /v1/completions?q={forged.replace(chr(34), "%22")} HTTP/1.1" 200 OK\n',
        "json": '{"role": "user", "content": ' + quoted(forged).replace("'", '"') + "}\n",
        "several lines": echo.format("'hello\n" + forged + "\nbye'") + "\n",
        "said": f"user asked: {forged}\n",
    }


def read(path: Path) -> tuple[list[dict[str, Any]], list[Any]]:
    batches = list(open_one(str(path), None).batches())
    frames = [b.windows for b in batches if b.windows is not None]
    events = [(e.kind, e.what, e.value) for b in batches for e in b.events]
    lines = sum(b.lines for b in batches)
    assert lines == path.read_text().count("\n"), "every line is accounted for"
    return [{k: v for k, v in row.items() if k != "line"} for f in frames for row in f.to_dicts()], events


@pytest.mark.one_of(4)
@pytest.mark.parametrize("engine", list(ENGINES))
def test_a_forged_line_is_not_read(engine: str, tmp_path: Path) -> None:
    """Behind the log and in it, in every way that a log holds a request."""
    text, forged, echo = ENGINES[engine]
    path = tmp_path / "server.log"
    path.write_text(text)
    honest = read(path)
    told = "".join(ways(forged, echo).values())
    path.write_text(text + told)
    assert read(path) == honest
    lines = text.splitlines(keepends=True)
    if engine not in ("aiperf", "ik-llama"):  # a table stands in one piece
        path.write_text("".join([*lines[:-1], told, lines[-1]]))
        assert read(path) == honest


@pytest.mark.one_of(5)
@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp", "tensorrt", "ollama"])
def test_a_question_announces_nothing(engine: str, tmp_path: Path) -> None:
    text, _, echo = ENGINES[engine]
    path = tmp_path / "server.log"
    path.write_text(text)
    honest = read(path)
    path.write_text(text + "".join("".join(ways(question, echo).values()) for question in QUESTIONS))
    assert read(path) == honest
    assert not document(path)["causes"]


def lines_of(engine: str) -> list[str]:
    """Records that follow one another, as an engine prints them every ten seconds or at every request."""
    made = []
    for i in range(8):
        if engine == "vllm":
            head, accepted = f"(APIServer pid=17) INFO 11-23 15:4{i}:49 ", 100 + 10 * i
            made += [
                f"{head}[loggers.py:335] Engine 000: Avg prompt throughput: 23.9 tokens/s, Avg generation throughput: 7.0 tokens/s, "
                "Running: 1 reqs, Waiting: 0 reqs, CPU KV cache usage: 0.0%, Prefix cache hit rate: 0.0%",
                f"{head}[metrics.py:120] SpecDecoding metrics: Mean acceptance length: {1 + accepted / 100:.2f}, Accepted throughput: 1.11 "
                f"tokens/s, Drafted throughput: 1.11 tokens/s, Accepted: {accepted} tokens, Drafted: 200 tokens, Per-position "
                f"acceptance rate: 0.{600 + 5 * i}, 0.{400 + 5 * i}, Avg Draft acceptance rate: {accepted / 2:.1f}%",
            ]
        elif engine == "sglang":
            made.append(
                f"[2026-09-28 12:3{i}:57 TP0] Decode batch, #running-req: 6, #token: 387840, token usage: 0.74, accept len: 2.17, "
                f"accept rate: 0.39, cuda graph: True, gen throughput (token/s): 13.{i}, #queue-req: 0"
            )
        else:
            made += [
                f"{i}.07.112.318 I slot print_timing: id  0 | task {i} |        eval time =    1988.80 ms /   221 tokens "
                "(    9.00 ms per token)",
                f"{i}.07.112.340 I slot print_timing: id  0 | task {i} | draft acceptance = 0.58333 (  140 accepted /   240 generated), "
                "mean len =  2.75",
                f"{i}.07.112.341 I spec common_specu: statistics draft: #calls = {80 * i + 80}, #gen drafts = {80 * i + 80}, #acc drafts = "
                f"{60 * i + 60}, #gen tokens = {240 * i + 240}, #acc tokens = {140 * i + 140}",
            ]
    return [line + "\n" for line in made]


#: A line in the engine's own envelope that does not fit: what is changed of a real one, and where it is put.
STRANGE: dict[str, tuple[str, dict[str, str]]] = {
    "another process": ("vllm", {"pid=17": "pid=1", "Accepted: 1": "Accepted: 5"}),
    "no process": ("vllm", {"(APIServer pid=17) ": ""}),
    "another module": ("vllm", {"metrics.py:120": "metrics.py:86"}),
    "another time": ("vllm", {"11-23": "11-21"}),
    "a later time": ("vllm", {"11-23": "12-01"}),
    "another draft length": ("vllm", {", 0.4": ", 0.400, 0.200, 0.4"}),
    "other fields": ("vllm", {"Drafted throughput: 1.11 tokens/s, ": ""}),
    "impossible counts": ("vllm", {"Accepted: 1": "Accepted: 91"}),
    "no line before it": ("vllm", {"Mean": "Mean"}),
    "another rank": ("sglang", {" TP0]": "]", "accept len: 2.17": "accept len: 9.00"}),
    "few fields": ("sglang", {", token usage: 0.74": "", "accept len: 2.17": "accept len: 9.00"}),
    "sglang in the past": ("sglang", {"2026-09-28": "2026-09-01"}),
    "a total that comes and goes": (
        "llama.cpp",
        {"#gen tokens = ": "#gen tokens = 99", "#acc tokens = ": "#acc tokens = 99"},
    ),
    "no time of evaluation": ("llama.cpp", {"140 accepted": "240 accepted", "0.58333": "1.00000"}),
    "a clock that jumps": ("llama.cpp", {".07.112.34": "9.07.112.34"}),
}


@pytest.mark.one_of(4)
@pytest.mark.parametrize("name", list(STRANGE))
def test_a_stranger_among_neighbours_is_set_aside(name: str, tmp_path: Path) -> None:
    engine, changes = STRANGE[name]
    lines = lines_of(engine)
    path = tmp_path / "server.log"
    path.write_text("".join(lines))
    honest = read(path)
    wanted = {"vllm": "SpecDecoding", "sglang": "Decode batch", "llama.cpp": "draft acceptance"}[engine]
    wanted = "statistics" if "total" in name else wanted
    at = next(i for i, line in enumerate(lines) if wanted in line and i > len(lines) // 2)
    forged = lines[at]
    for old, new in changes.items():
        forged = forged.replace(old, new)
    path.write_text("".join([*lines[: at + 1], forged, *lines[at + 1 :]]))
    assert read(path) == honest
    (loss,) = [x for b in open_one(str(path), None).batches() for x in b.losses if x.line == at + 2]
    assert loss.what.startswith("does not fit the lines around it")


def test_lines_that_differ_anyway_are_all_read(tmp_path: Path) -> None:
    """Two processes, a restart with another draft length: nothing is set aside where there is no rule to break."""
    lines = lines_of("vllm")
    other = [line.replace("pid=17", "pid=18") for line in lines]
    longer = [line.replace(", Avg Draft", ", 0.100, Avg Draft").replace("11-23", "11-24") for line in other]
    path = tmp_path / "server.log"
    path.write_text("".join([*lines, *other, *longer]))
    windows, _ = read(path)
    assert len(windows) == len([*lines, *other, *longer])


@pytest.mark.slow
def test_a_log_without_stamps_proves_nothing(tmp_path: Path) -> None:
    """Pasted lines are read and judged, and could be a user's: suspected at the most, with the reason."""
    path = tmp_path / "server.log"
    stamped = VLLM_032.replace("Accepted: 8 tokens", "Accepted: 9 tokens")
    path.write_text(stamped)
    (cause,) = document(path)["causes"]
    assert (cause["cause"], cause["certainty"]) == ("metric-inconsistent", "proved")
    path.write_text("".join(line.partition("] ")[2] + "\n" for line in stamped.splitlines()[:3]))
    (cause,) = document(path)["causes"]
    assert (cause["cause"], cause["certainty"]) == ("metric-inconsistent", "suspected")
    assert "could hold user text" in cause["headline"]
