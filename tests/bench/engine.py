"""Replay through an engine against a plain scoring client: texts a second of the same server, the same texts, one after the other.

python -m tests.bench.engine [URL] [--texts 48] [--tokens 48]    # a server in small without URL
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx
import orjson

from sdtrace.api import read
from sdtrace.replay.engine.client import Client, known
from sdtrace.replay.engine.dialects import complete
from sdtrace.replay.engine.run import conduct
from tests.made.fake_engine import Engine, serving

CONCURRENCY = 4
#: A replay below this share of what a plain client gets is too slow.
LEAST = 0.5


def asked(url: str, texts: int, tokens: int) -> list[dict[str, Any]]:
    """Requests with their answers, greedy, their prompts as ids."""
    client = Client(url, concurrency=CONCURRENCY)
    engine = known(client)
    given = {"max_tokens": tokens, "temperature": 0.0}
    jobs = [complete(engine, [100 + n % 50, 7 + n, 9 + n % 40], given) for n in range(texts)]
    return [{"request": job[1], "response": answer} for job, answer in zip(jobs, client.all(jobs), strict=True)]


def plain(url: str, model: str | None, texts: Sequence[list[int]]) -> float:
    """Seconds of a client that only scores."""

    def one(ids: list[int]) -> int:
        body = {"model": model, "prompt": ids, "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 20}
        return len(http.post(f"{url}/v1/completions", json=body).raise_for_status().json()["choices"])

    with httpx.Client(timeout=600) as http, ThreadPoolExecutor(CONCURRENCY) as pool:
        begin = time.perf_counter()
        list(pool.map(one, texts))
        return time.perf_counter() - begin


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?")
    parser.add_argument("--texts", type=int, default=48)
    parser.add_argument("--tokens", type=int, default=48)
    given = parser.parse_args()
    with nullcontext(given.url) if given.url else serving(Engine(k=0)) as url, tempfile.TemporaryDirectory() as folder:
        rows = asked(url, given.texts, given.tokens)
        file = Path(folder) / "responses.jsonl"
        file.write_bytes(b"\n".join(map(orjson.dumps, rows)) + b"\n")
        choices = [row["response"]["choices"][0] for row in rows]
        texts = [[*choice["prompt_token_ids"], *choice["token_ids"]] for choice in choices]
        model = known(Client(url)).model
        plain(url, model, texts[:CONCURRENCY])  # what a server does once
        seconds = plain(url, model, texts)
        begin = time.perf_counter()
        found = conduct(read(str(file)), Client(url, concurrency=CONCURRENCY))
        took = time.perf_counter() - begin
        again = plain(url, model, texts)
    ratio = (seconds + again) / 2 / took
    equal = sum(d == 0 for d in found.scored.d)
    print(
        f"{len(texts)} texts, {found.scored.tokens:,} tokens: a plain client {2 * len(texts) / (seconds + again):.3g} texts/s, "
        f"the replay {len(texts) / took:.3g} texts/s, ratio {ratio:.2f} (at least {LEAST}); "
        f"{equal} of {len(found.scored.d)} recorded logprobs equal to the last digit"
    )
    return int(ratio < LEAST)


if __name__ == "__main__":
    raise SystemExit(main())
