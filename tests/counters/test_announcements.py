"""Announcements against evidence: one rule, whatever is announced and by whom."""

from pathlib import Path

import pytest

from sdtrace.counters.reconcile import tables
from sdtrace.schema.counters import no_windows
from sdtrace.schema.trace import Event
from tests.made.simulate import document

V = "(APIServer pid=1) INFO 03-02 10:{at:02}:00 [loggers.py:271] "
LOAD = (
    V
    + "Engine 000: Avg prompt throughput: 50.0 tokens/s, Avg generation throughput: {tps} tokens/s, Running: 4 reqs, Waiting: 0 "
    "reqs, GPU KV cache usage: 20.0%, Prefix cache hit rate: 0.0%\n"
)
SPEC = (
    V
    + "SpecDecoding metrics: Mean acceptance length: 3.04, Accepted throughput: 20.40 tokens/s, Drafted throughput: 30.00 "
    "tokens/s, Accepted: 204 tokens, Drafted: 300 tokens, Per-position acceptance rate: 0.860, 0.680, 0.500, Avg Draft acceptance "
    "rate: 68.0%\n"
)


def said(at: int, text: str, level: str = "WARNING") -> str:
    return f"(APIServer pid=1) {level} 03-02 10:{at:02}:00 [vllm.py:1311] {text}\n"


def plain(*at: int, tps: float = 30.4) -> str:
    return "".join(LOAD.format(at=n, tps=tps) for n in at)


def drafting(*at: int) -> str:
    return "".join((LOAD + SPEC).format(at=n, tps=30.4) for n in at)


CONFIG = said(0, "non-default args: {'speculative_config': {'method': 'mtp', 'num_speculative_tokens': 3}}", "INFO")
OFF = "Speculative decoding is disabled for this model."
SYNTHETIC = "non-default args: {'speculative_config': {'method': 'mtp', 'num_speculative_tokens': 3, 'synthetic_acceptance_rate': %s}}"
DECODE = (
    "[2026-03-02 10:00:10 TP0] Decode batch. #running-req: 4, #token: 900, token usage: 0.02, accept len: 1.90, accept rate: 0.30, "
    "cuda graph: True, gen throughput (token/s): 18.00, #queue-req: 0\n"
)
SMALL = "Very small vocabulary intersection (812 tokens)."
START = "Initializing a V1 LLM engine (v0.33.0) with config: model='m'"

#: what is logged -> causes that it must name
LOGS: dict[str, tuple[str, set[str]]] = {
    "off, and nothing is drafted": (CONFIG + said(1, OFF) + plain(*range(2, 8)), {"speculation-off"}),
    "off beside drafts": (CONFIG + said(1, OFF) + drafting(*range(2, 8)), set()),
    "off from then on": (CONFIG + drafting(1, 2, 3) + said(4, OFF) + plain(*range(5, 12)), {"speculation-off"}),
    "off until the next start": (
        said(1, OFF) + plain(*range(2, 8)) + said(9, START, "INFO") + CONFIG + drafting(10, 11),
        {"speculation-off"},
    ),
    "a schedule alone is off": (
        CONFIG
        + said(1, "Dynamic speculative decoding is not supported with data parallelism. Disabling x and falling back.")
        + plain(*range(2, 4)),
        set(),
    ),
    "configured and nothing is drafted": (CONFIG + plain(*range(2, 8)), {"speculation-off"}),
    "configured and idle": (CONFIG + plain(*range(2, 8), tps=0.4), set()),
    "a prefill node": (CONFIG + said(1, "KVTransferConfig(kv_role='kv_producer')", "INFO") + plain(*range(2, 8)), set()),
    "k of 0": (CONFIG.replace("tokens': 3", "tokens': 0") + plain(*range(2, 8)), set()),
    "synthetic, a rate": (said(0, SYNTHETIC % "0.7", "INFO") + drafting(1, 2), {"synthetic-acceptance"}),
    "synthetic, None": (said(0, SYNTHETIC % "None", "INFO") + drafting(1, 2), set()),
    "synthetic, -1": (said(0, SYNTHETIC % "-1", "INFO") + drafting(1, 2), set()),
    "synthetic, null": (said(0, SYNTHETIC % "null", "INFO") + drafting(1, 2), set()),
    "a threshold of a method that is not used": (
        said(0, "SpeculativeConfig(acceptance_method='rejection_sampler', typical_acceptance_sampler_posterior_alpha=None)", "INFO")
        + drafting(1, 2),
        set(),
    ),
    "no statistics, and there they are": (said(0, "API server count is 4, disabling stats logging") + drafting(1, 2), set()),
    "no statistics": (said(0, "API server count is 4, disabling stats logging"), {"counters-missing"}),
    "a drafter that fits, whatever is said": (said(0, SMALL) + drafting(1, 2), set()),
    "SGLang: simulated, off": ("[2026-03-02 10:00:00] SGLANG_SIMULATE_ACC_LEN=-1\n" + DECODE, set()),
    "SGLang: simulated": ("[2026-03-02 10:00:00] SGLANG_SIMULATE_ACC_LEN=3.1\n" + DECODE, {"synthetic-acceptance"}),
    "llama.cpp: inert where nothing was asked for": (
        "0.01.250.741 W common_speculative_init: no implementations specified for speculative decoding\n"
        "0.10.000.000 I slot print_timing: id  0 | task 0 | eval time = 3000.00 ms / 300 tokens (10.00 ms per token, 100.00 t/s)\n"
        "0.10.000.002 I slot      release: id  0 | task 0 | stop processing: n_tokens = 350, truncated = 0\n",
        set(),
    ),
}  # fmt: skip


@pytest.mark.one_of(3)
@pytest.mark.parametrize("name", LOGS)
def test_an_announcement_stands_as_long_as_no_window_contradicts_it(name: str, tmp_path: Path) -> None:
    text, right = LOGS[name]
    path = tmp_path / "server.log"
    path.write_text(text)
    found = document(path)
    assert {c["cause"] for c in found["causes"] if c["side"] != "metric" or c["cause"] in right} == right


@pytest.mark.parametrize(("command", "says"), [("-md draft.gguf", "--spec-type"), ("--spec-type draft-mtp", ":2")])
def test_the_reason_stands_at_its_line(command: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    rest = "".join(LOGS["llama.cpp: inert where nothing was asked for"][0].splitlines(keepends=True))
    path.write_text(f"./llama-server -m target.gguf {command} --port 8080\n{rest}")
    (cause,) = document(path)["causes"]
    assert cause["cause"] == "speculation-off"
    assert cause["evidence"][0]["line"] == 2
    assert f"{path}:2" in cause["headline"]
    assert says in cause["headline"]


def test_a_trace_has_the_tables_of_counts_without_rows() -> None:
    """They are not made for it, and look as those that are made where something was announced."""
    event = Event("server.log", 1, None, "vllm", "version", "vLLM 0.33.0", "0.33.0")
    made, nothing = tables(no_windows(), [], [event]), tables(no_windows(), [], [])
    assert list(nothing) == list(made)
    assert {name: table.schema for name, table in nothing.items()} == {name: t.schema for name, t in made.items()}
    assert all(table.is_empty() for table in nothing.values())
