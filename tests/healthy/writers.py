"""Windows of a made server as engines print them: name -> (file name, text)."""

from collections.abc import Callable
from datetime import UTC, datetime

from tests.healthy.worlds import RATE, SECONDS, Window


def vllm(windows: list[Window]) -> tuple[str, str]:
    """Engine and SpecDecoding lines of vLLM 0.24 to 0.33; without drafts there is no SpecDecoding line."""
    rows = []
    for w in windows:
        head = f"(APIServer pid={100 + w.process}) INFO {datetime.fromtimestamp(w.at, UTC):%m-%d %H:%M:%S}"
        rows.append(
            f"{head} [loggers.py:335] Engine {w.engine:03d}: Avg prompt throughput: 0.0 tokens/s, Avg generation throughput: "
            f"{(w.steps + w.accepted) / SECONDS:.1f} tokens/s, Running: {w.running} reqs, Waiting: 0 reqs, GPU KV cache usage: "
            f"{min(2.0 * w.running, 90):.1f}%, Prefix cache hit rate: 0.0%"
        )
        if w.steps:
            shares = ", ".join(f"{n / w.steps:.3f}" for n in w.positions)
            rows.append(
                f"{head} [metrics.py:120] SpecDecoding metrics: Mean acceptance length: {1 + w.accepted / w.steps:.2f}, Accepted "
                f"throughput: {w.accepted / SECONDS:.2f} tokens/s, Drafted throughput: {w.drafted / SECONDS:.2f} tokens/s, Accepted: "
                f"{w.accepted} tokens, Drafted: {w.drafted} tokens, Per-position acceptance rate: {shares}, Avg Draft acceptance "
                f"rate: {100 * w.accepted / w.drafted:.1f}%"
            )
    return "vllm.log", "\n".join(rows)


def sglang(windows: list[Window]) -> tuple[str, str]:
    """Decode lines of SGLang 0.5.11+, a rank an engine; they are printed while something runs."""
    rows = []
    for w in windows:
        if not w.steps:
            continue
        length, rate = 1 + w.accepted / w.steps, w.accepted / w.drafted
        rows.append(
            f"[{datetime.fromtimestamp(w.at, UTC):%Y-%m-%d %H:%M:%S} DP{w.engine} TP0] Decode batch, #running-req: {w.running}, #token: "
            f"{1000 + w.steps}, token usage: 0.20, accept len: {length:.2f}, accept rate: {rate:.2f}, cuda graph: True, gen throughput "
            f"(token/s): {(w.steps + w.accepted) / SECONDS:.2f}, #queue-req: 0"
        )
    return "sglang.log", "\n".join(rows)


def llamacpp(windows: list[Window]) -> tuple[str, str]:
    """Request lines of llama-server, a slot an engine."""
    rows = []
    for w in windows:
        since = w.at - 1.79e9
        stamp = f"{int(since // 60)}.{int(since % 60):02d}.000.000 I slot print_timing: id {w.engine:2d} | task"
        for r in w.finished:
            if not r.drafted:
                continue
            tokens = r.steps + r.accepted + 1
            rows.append(
                f"{stamp} {r.number} | prompt eval time = {0.2 * r.prompt:11.2f} ms / {r.prompt:5d} tokens (    0.20 ms per token, "
                " 5000.00 tokens per second)"
            )
            rows.append(
                f"{stamp} {r.number} |        eval time = {1000 * r.steps / RATE:11.2f} ms / {tokens:5d} tokens (   10.00 ms per token, "
                "   99.99 tokens per second)"
            )
            rows.append(
                f"{stamp} {r.number} | draft acceptance = {r.accepted / r.drafted:.5f} ({r.accepted:5d} accepted / {r.drafted:5d} "
                f"generated), mean len = {1 + r.accepted / r.steps:5.2f}"
            )
    return "llamacpp.log", "\n".join(rows)


def prometheus(windows: list[Window]) -> tuple[str, str]:
    """Scrapes of vLLM's counters after every window; a restart sets an engine's to zero."""
    totals: dict[int, dict[str, int]] = {}
    before: dict[int, int] = {}
    rows = []
    for at in dict.fromkeys(w.at for w in windows):
        for w in (w for w in windows if w.at == at):
            if before.get(w.engine) != w.process:
                totals[w.engine], before[w.engine] = dict.fromkeys(_NAMES, 0), w.process
            mine = totals[w.engine]
            for name, n in zip(_NAMES, (w.steps, w.drafted, w.accepted), strict=True):
                mine[name] += n
        for name in _NAMES:
            rows += [
                f'vllm:spec_decode_{name}_total{{engine="{engine}",model_name="m"}} {mine[name]}.0 {int(at * 1000)}'
                for engine, mine in totals.items()
            ]
    return "scrapes.prom", "\n".join(rows)


def lmdeploy(windows: list[Window]) -> tuple[str, str]:
    """LMDeploy's lines: they name no engine, so that the one that is asked for first stands for the log."""
    rows = []
    for w in windows:
        if w.engine or not w.steps:
            continue
        shares = ", ".join(f"{n / w.steps:.3f}" for n in w.positions)
        rows.append(
            f"{datetime.fromtimestamp(w.at, UTC):%Y-%m-%d %H:%M:%S},000 - lmdeploy - INFO - loggers.py:84 - SpecDecoding metrics: Draft "
            f"acceptance rate: {100 * w.accepted / w.drafted:.2f}%, Mean acceptance length: {1 + w.accepted / w.steps:.2f}, Accepted: "
            f"{w.accepted} tokens, Drafted: {w.drafted} tokens, Per-position acceptance rate: {shares}"
        )
    return "lmdeploy.log", "\n".join(rows)


def trtllm(windows: list[Window]) -> tuple[str, str]:
    """The speculation gate of TensorRT-LLM: a line a request, with its mean length and no counts."""
    rows = []
    for w in windows:
        stamp = f"[{datetime.fromtimestamp(w.at, UTC):%m/%d/%Y-%H:%M:%S}] [TRT-LLM] [I] [SpeculationGate] Request"
        for r in w.finished:
            if r.steps:
                mean = 1 + r.accepted / r.steps
                rows.append(f"{stamp} {r.number} completed: avg_decoded={mean:.2f}, accepted_len={mean - 1:.3f}")
    return "trtllm.log", "\n".join(rows)


def tgi(windows: list[Window]) -> tuple[str, str]:
    """Scrapes of TGI's histogram of accepted tokens a step, a replica an engine; a restart sets it to zero."""
    totals: dict[int, list[int]] = {}
    before: dict[int, int] = {}
    rows = ["# TYPE tgi_request_skipped_tokens histogram"]
    for at in dict.fromkeys(w.at for w in windows):
        for w in (w for w in windows if w.at == at):
            if before.get(w.engine) != w.process:
                totals[w.engine], before[w.engine] = [0] * 10, w.process
            for j, n in enumerate([w.steps, *w.positions]):
                totals[w.engine][j] += n
        for engine, (steps, *positions) in totals.items():
            base, stamp = "tgi_request_skipped_tokens", int(at * 1000)
            for j, n in enumerate(positions):
                rows.append(f'{base}_bucket{{instance="{engine}",le="{j}"}} {steps - n} {stamp}')
            rows.append(f'{base}_bucket{{instance="{engine}",le="+Inf"}} {steps} {stamp}')
            rows.append(f'{base}_sum{{instance="{engine}"}} {sum(positions)} {stamp}')
            rows.append(f'{base}_count{{instance="{engine}"}} {steps} {stamp}')
    return "tgi.prom", "\n".join(rows)


_NAMES = ("num_drafts", "num_draft_tokens", "num_accepted_tokens")

WRITERS: dict[str, Callable[[list[Window]], tuple[str, str]]] = {
    "vllm": vllm,
    "sglang": sglang,
    "llamacpp": llamacpp,
    "prometheus": prometheus,
    "lmdeploy": lmdeploy,
    "trtllm": trtllm,
    "tgi": tgi,
}
#: Those that name their engines, and in which half of the siblings' acceptance is no lawful traffic: a slot of llama.cpp gets prompts
#: like those it had before.
NAMED = ("vllm", "sglang", "prometheus", "tgi")
