"""A real log of a vLLM server, rotated: one file a night, the dates moved on; a bad night accepts next to nothing.

The sample is what vLLM 0.32.0 wrote on 2026-11-23 (n-gram drafts, 62 intervals, 2,393 draft tokens).
"""

import gzip
import re
from functools import cache
from pathlib import Path

LOG = Path(__file__).parents[2] / "sample_logs" / "vllm-server.log.gz"
_LINE = re.compile(
    r"Mean acceptance length: [\d.]+, Accepted throughput: [\d.]+ (tokens/s, Drafted throughput: [\d.]+ tokens/s), "
    r"Accepted: (\d+) tokens, Drafted: (\d+) tokens, Per-position acceptance rate: [\d., ]+, Avg Draft acceptance rate: [\d.]+%"
)


@cache
def _written() -> str:
    return gzip.decompress(LOG.read_bytes()).decode()


def night(folder: Path, day: int, *, bad: bool = False) -> Path:
    """The log of 2026-11-DAY. In a bad night one draft token of forty is accepted, at the first position."""
    folder.mkdir(parents=True, exist_ok=True)
    text = re.sub(r"\b11-23 ", f"11-{day:02d} ", _written())
    file = folder / f"server.log.{day}"
    file.write_text(_LINE.sub(_fallen, text) if bad else text)
    return file


def _fallen(found: re.Match[str]) -> str:
    drafted = int(found[3])
    steps, accepted = drafted // 4, min(drafted // 4, drafted // 40)
    rate = accepted / steps
    return (
        f"Mean acceptance length: {1 + rate:.2f}, Accepted throughput: 0.10 {found[1]}, Accepted: {accepted} tokens, "
        f"Drafted: {drafted} tokens, Per-position acceptance rate: {rate:.3f}, 0.000, 0.000, 0.000, "
        f"Avg Draft acceptance rate: {100 * accepted / drafted:.1f}%"
    )
