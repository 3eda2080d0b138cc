"""Processor time of reading large logs of several shapes, each against `grep -c` of its record in the same run; the least of ROUNDS.

python tests/bench/log_shapes.py --megabytes 128
"""

import argparse
import json
import random
import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.logs import ROUNDS, read

#: Lines of a made piece, and one record in how many of them.
LINES, EVERY = 60_000, 100
_ACCESS = '10.0.{0}.{1}:{2} - "POST /v1/chat/completions HTTP/1.1" 200 OK'


def _at(i: int) -> str:
    return f"{i // 3600 % 24:02d}:{i // 60 % 60:02d}:{i % 60:02d}"


def _access(i: int) -> str:
    return f"(APIServer pid=17612) INFO:     {_ACCESS.format(i % 250, i * 7 % 250, 30_000 + i % 30_000)}"


def _engine(i: int, rng: random.Random) -> str:
    return (
        f"(APIServer pid=17612) INFO 11-23 {_at(i)} [loggers.py:335] Engine 000: Avg prompt throughput: {rng.random() * 900:.1f} "
        f"tokens/s, Avg generation throughput: {rng.random() * 900:.1f} tokens/s, Running: {i % 64} reqs, Waiting: 0 reqs, "
        "GPU KV cache usage: 31.0%, Prefix cache hit rate: 12.5%"
    )


def _spec(i: int, rng: random.Random) -> str:
    steps = rng.randint(10, 900)
    first, second = rng.randint(steps // 2, steps), rng.randint(0, steps // 2)
    accepted, drafted = first + second, steps * 2
    return (
        f"(APIServer pid=17612) INFO 11-23 {_at(i)} [metrics.py:120] SpecDecoding metrics: Mean acceptance length: "
        f"{1 + accepted / steps:.2f}, Accepted throughput: {accepted / 10:.2f} tokens/s, Drafted throughput: {drafted / 10:.2f} "
        f"tokens/s, Accepted: {accepted} tokens, Drafted: {drafted} tokens, Per-position acceptance rate: {first / steps:.3f}, "
        f"{second / steps:.3f}, Avg Draft acceptance rate: {accepted / drafted:.1%}"
    )


def _vllm(every: int, between: Callable[[int], str] = _access) -> Iterator[str]:
    rng = random.Random(0)
    for i in range(LINES):
        kind = i % every
        yield _engine(i, rng) if kind == 0 else _spec(i, rng) if kind == 1 else between(i)


def _request(i: int) -> str:
    words = (
        "Please summarise what was said in the meeting, the names of those who were there and what they promised. " * 3
    )
    if i % 2:
        return _access(i)
    return (
        f"(APIServer pid=17612) INFO 11-23 {_at(i)} [logger.py:41] Received request chatcmpl-{i:032x}: prompt: '<|im_start|>user {words}"
        f"<|im_end|>', params: SamplingParams(n=1, temperature=0.7, max_tokens=2048), prompt_token_ids: None, lora_request: None."
    )


def _sglang() -> Iterator[str]:
    rng = random.Random(0)
    for i in range(LINES):
        stamp = f"[2026-11-23 {_at(i)}"
        if i % 20 == 0:
            length = 1 + rng.random() * 3
            yield (
                f"{stamp} TP0] Decode batch, #running-req: {i % 64}, #token: {i % 9000}, token usage: 0.{i % 90 + 10}, accept len: "
                f"{length:.2f}, accept rate: {length / 4:.2f}, cuda graph: True, gen throughput (token/s): {rng.random() * 900:.2f}, "
                "#queue-req: 0, "
            )
        elif i % 20 < 6:
            yield (
                f"{stamp} TP0] Prefill batch, #new-seq: 1, #new-token: {i % 4000}, #cached-token: 0, token usage: 0.{i % 90 + 10}, "
                f"#running-req: {i % 64}, #queue-req: 0, "
            )
        else:
            yield f"{stamp}] INFO:     {_ACCESS.format(i % 250, i * 7 % 250, 30_000 + i % 30_000)}"


def _llamacpp() -> Iterator[str]:
    rng = random.Random(0)
    for task in range(LINES // 12):
        clock = f"{task // 60}.{task % 60:02d}.{task % 1000:03d}"
        slot, tokens = f"id  {task % 4} | task {task} |", rng.randint(100, 900)
        drafted = tokens * 3 // 4
        accepted = rng.randint(drafted // 2, drafted)
        yield f"{clock}.100 I slot launch_slot_: {slot} processing task, is_child = 0"
        for i in range(5):
            yield (
                f"{clock}.{200 + i} I slot update_slots: {slot} prompt processing progress, n_tokens = {i * 512}, batch.n_tokens = 512, "
                f"progress = 0.{i}00000"
            )
        yield (
            f"{clock}.300 I slot print_timing: {slot} prompt eval time =     198.27 ms /    23 tokens (    8.62 ms per token,   116.01 "
            "tokens per second)"
        )
        yield (
            f"{clock}.301 I slot print_timing: {slot}        eval time = {tokens * 11.0:10.2f} ms / {tokens:5d} tokens (   11.00 ms per "
            "token,    90.91 tokens per second)"
        )
        yield f"{clock}.302 I slot print_timing: {slot}       total time = {tokens * 11.0 + 198.27:10.2f} ms / {tokens + 23:5d} tokens"
        yield (
            f"{clock}.303 I slot print_timing: {slot} draft acceptance = {accepted / drafted:.5f} ({accepted:5d} accepted / {drafted:5d} "
            f"generated), mean len = {1 + 3 * accepted / drafted:5.2f}"
        )
        yield f"{clock}.304 I slot      release: {slot} stop processing: n_tokens = {tokens + 23}, truncated = 0"
        yield f"{clock}.305 I srv  log_server_r: done request: POST /v1/chat/completions 127.0.0.1 200"


def _docker(text: str, i: int) -> str:
    return json.dumps({"log": f"{text}\n", "stream": "stderr", "time": f"2026-11-23T{_at(i)}.123456789Z"})


def _cri(text: str, i: int) -> str:
    return f"2026-11-23T{_at(i)}.123456789Z stderr F {text}"


def _journald(text: str, i: int) -> str:
    about = {
        "PRIORITY": "6",
        "_HOSTNAME": "node-1",
        "SYSLOG_IDENTIFIER": "vllm",
        "_PID": "17612",
        "_SYSTEMD_UNIT": "vllm.service",
    }
    return json.dumps({**about, "__REALTIME_TIMESTAMP": f"{1795446000 + i}123456", "MESSAGE": text})


def _syslog(text: str, i: int) -> str:
    return f"Nov 23 {_at(i)} node-1 vllm[17612]: {text}"


def _in(around: Callable[[str, int], str]) -> Iterator[str]:
    return (around(text, i) for i, text in enumerate(_vllm(EVERY)))


#: Shape -> its lines, and what its records are found by.
SHAPES: dict[str, tuple[Callable[[], Iterator[str]], str]] = {
    "vLLM, 2% records": (lambda: _vllm(EVERY), "SpecDecoding"),
    "access lines, 0.02% records": (lambda: _vllm(10_000), "SpecDecoding"),
    "requests with prompts": (lambda: _vllm(EVERY, _request), "SpecDecoding"),
    "records alone": (lambda: _vllm(2), "SpecDecoding"),
    "docker JSON": (lambda: _in(_docker), "SpecDecoding"),
    "CRI": (lambda: _in(_cri), "SpecDecoding"),
    "journald JSON": (lambda: _in(_journald), "SpecDecoding"),
    "syslog": (lambda: _in(_syslog), "SpecDecoding"),
    "SGLang, 5% records": (_sglang, "accept len"),
    "llama.cpp, every request": (_llamacpp, "draft acceptance"),
}


def generate(path: Path, shape: str, megabytes: int) -> None:
    """A piece of the shape, as often as it takes."""
    piece = "".join(f"{line}\n" for line in SHAPES[shape][0]()).encode()
    with path.open("wb") as out:
        for _ in range(-(-megabytes * 2**20 // len(piece))):
            out.write(piece)


def grep(path: Path, sought: str) -> float:
    """Processor seconds of grep."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["grep", "-c", sought, str(path)], check=True, stdout=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Prints one row a shape."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    print("| log | windows | processor: grep -c, sdtrace | ratio | MB per processor second | peak memory |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        for shape, (_, sought) in SHAPES.items():
            if asked.only not in shape:
                continue
            path = Path(folder) / "server.log"
            generate(path, shape, asked.megabytes)
            peer = min(grep(path, sought) for _ in range(asked.rounds))
            reads = [read(path) for _ in range(asked.rounds)]
            cpu = min(one[2] for one in reads)
            print(
                f"| {shape} | {reads[0][0]:,} | {peer:.2f} s, {cpu:.2f} s | {cpu / peer:.1f} "
                f"| {path.stat().st_size / 2**20 / cpu:,.0f} | {max(one[3] for one in reads):.0f} MB |",
                flush=True,
            )


if __name__ == "__main__":
    main()
