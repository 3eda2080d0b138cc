"""Lines of engines that hold a speed, for a load and a time that is asked for."""

ENGINE = (
    "(APIServer pid=1) INFO 03-02 10:0{m}:{s:02d} [loggers.py:271] Engine 000: Avg prompt throughput: 5.0 tokens/s, Avg generation "
    "throughput: {tps:.1f} tokens/s, Running: {running} reqs, Waiting: 0 reqs, GPU KV cache usage: 2.0%, Prefix cache hit rate: 0.0%"
)


SPEC = (
    "(APIServer pid=1) INFO 03-02 10:0{m}:{s:02d} [metrics.py:101] SpecDecoding metrics: Mean acceptance length: 2.50, Accepted "
    "throughput: 15.00 tokens/s, Drafted throughput: 30.00 tokens/s, Accepted: 150 tokens, Drafted: 300 tokens, Per-position "
    "acceptance rate: 0.700, 0.500, 0.300, Avg Draft acceptance rate: 50.0%"
)


DECODE = (
    "[2026-03-02 10:00:{s:02d} TP0] Decode batch, #running-req: 4, #token: 9{s:02d}, token usage: 0.01, accept len: 2.00, "
    "accept rate: 0.50, cuda graph: True, gen throughput (token/s): 200.00, #queue-req: 0,"
)


def vllm(rows: list[tuple[float, int]], *, spec: bool) -> str:
    text = []
    for i, (tps, running) in enumerate(rows):
        at = {"m": i // 6, "s": i % 6 * 10}
        text.append(ENGINE.format(tps=tps, running=running, **at))
        text += [SPEC.format(**at)] if spec else []
    return "\n".join(text) + "\n"


def llama(task: int, ms: float, tokens: int, at: int, slot: int = 0) -> str:
    head = f"0.{at:02d}.000.000 I slot print_timing: id  {slot} | task {task} |"
    return f"{head}        eval time = {ms:10.2f} ms / {tokens:5d} tokens (    1.00 ms per token,     1.00 tokens per second)\n"
