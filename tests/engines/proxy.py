"""A proxy before a real llama-server that makes its answers wrong in five ways; requests for a single token pass as they are.

Where it draws the tokens itself, it asks for each: the server tells the distribution after its chain (`post_sampling_probs`), the seed's
own draw chooses.

    python -m tests.engines.proxy http://localhost:8080 forced 8090
"""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import numpy as np

from sdtrace.verify.streams import mersenne
from tests.made.served import Quiet, served

FAULTS = ("forced", "stale", "temperature", "stream", "swapped")
Body = dict[str, Any]


def generated(client: httpx.Client, given: Body, fault: str) -> Body:
    """What the server would answer to a request for many tokens, had it the fault ("": none)."""
    if fault in ("stream", "temperature", "swapped"):
        changed: Body = {}
        if fault == "stream" and "seed" in given:
            changed["seed"] = given["seed"] + 1
        if fault == "temperature" and given["temperature"]:
            changed["temperature"] = 1.0
        answer = _post(client, given | changed)
        answer["generation_settings"] |= {k: given[k] for k in changed}
        if fault == "swapped":
            told = answer["completion_probabilities"]
            for i in range(0, len(told) - 1, 5):
                told[i], told[i + 1] = told[i + 1], told[i]
        return answer
    return _drawn(client, given, fault)


def _drawn(client: httpx.Client, given: Body, fault: str) -> Body:
    n, ids = given["n_predict"], list(given["prompt"])
    begin, rng = len(ids), np.random.default_rng(given.get("seed", 1))
    u, told, answer = mersenne.doubles(given.get("seed", 1), n), [], dict[str, Any]()
    for t in range(n):
        # a stale row: that of the token before, as where the target's rows are one behind after a rejection
        shown = ids[:-1] if fault == "stale" and t % 3 == 2 else ids
        one = {"prompt": shown, "n_predict": 1, "n_probs": 40, "post_sampling_probs": True, "cache_prompt": True}
        answer = _post(client, given | one)
        top = answer["completion_probabilities"][0]["top_probs"]
        at = int(np.searchsorted(np.cumsum([x["prob"] for x in top]), u[t]))
        if fault == "forced" and rng.random() < 0.05:
            at = 1  # what a drafter proposed, kept without a test
        chosen = top[min(at, len(top) - 1)]
        ids.append(chosen["id"])
        told.append({"id": chosen["id"], "token": chosen["token"], "bytes": [], "logprob": 0.0, "top_logprobs": []})
    # the first token comes with its row, as in the server's own answers
    first = _post(client, given | {"n_predict": 1, "temperature": 0.0})["completion_probabilities"][0]
    listed = {x["id"]: x["logprob"] for x in first["top_logprobs"]}
    told[0] |= {"logprob": listed[told[0]["id"]], "top_logprobs": first["top_logprobs"]}
    settings = answer["generation_settings"] | {
        "n_predict": n,
        "n_probs": given["n_probs"],
        "post_sampling_probs": False,
    }
    counts = {"tokens_predicted": n, "stop_type": "limit", "tokens": ids[begin:]}
    return answer | {"completion_probabilities": told, "generation_settings": settings} | counts


def _post(client: httpx.Client, body: Body) -> Body:
    found: Body = client.post("/completion", json=body).json()
    return found


@contextmanager
def proxied(url: str, fault: str, port: int = 0) -> Iterator[str]:
    """The address of the proxy while the block runs."""
    client = httpx.Client(base_url=url, timeout=600)

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told = client.get(self.path)
            self.reply(told.content, told.status_code)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            given = json.loads(body)
            if self.path == "/completion" and given.get("n_predict", 0) > 1:
                self.reply(json.dumps(generated(client, given, fault)).encode(), 200)
                return
            told = client.post(self.path, content=body, headers={"Content-Type": "application/json"})
            self.reply(told.content, told.status_code)

    with served(Handler, port) as address:
        yield address
    client.close()


if __name__ == "__main__":
    with proxied(sys.argv[1], sys.argv[2], int(sys.argv[3])) as address:
        print(address, flush=True)
        threading.Event().wait()
