"""A vLLM server's log in which acceptance may stop."""

from pathlib import Path


def vllm_log(folder: Path, *, collapse: int = 12, lines: int = 24, gap: int = 0) -> Path:
    """Statistics every ten seconds; from line `collapse` on nothing is accepted; an error two seconds before."""
    rows = ["INFO 03-02 09:59:00 [core.py:1] Initializing a V1 LLM engine (v0.11.0) with config: x"]
    for i in range(lines):
        second = 10 * i + (gap if i >= collapse else 0)
        stamp = f"03-02 10:{second // 60:02d}:{second % 60:02d}"
        good = i < collapse
        if i == collapse:
            before = second - 2
            rows.append(
                f"ERROR 03-02 10:{before // 60:02d}:{before % 60:02d} [mooncake_connector.py:774] transfer failed"
            )
        rows.append(
            f"INFO {stamp} [loggers.py:1] Engine 000: Avg prompt throughput: 10.0 tokens/s, Avg generation throughput: "
            f"{60.0 if good else 20.0} tokens/s, Running: 4 reqs, Waiting: 0 reqs, GPU KV cache usage: 5.0%, "
            "Prefix cache hit rate: 0.0%"
        )
        rows.append(
            f"INFO {stamp} [metrics.py:1] SpecDecoding metrics: Mean acceptance length: {3.04 if good else 1.0:.2f}, "
            f"Accepted throughput: {40.8 if good else 0.0:.2f} tokens/s, Drafted throughput: 60.00 tokens/s, "
            f"Accepted: {408 if good else 0} tokens, Drafted: 600 tokens, Per-position acceptance rate: "
            f"{'0.850, 0.700, 0.490' if good else '0.000, 0.000, 0.000'}, Avg Draft acceptance rate: "
            f"{68.0 if good else 0.0}%"
        )
    path = folder / "server.log"
    path.write_text("\n".join(rows) + "\n")
    return path
