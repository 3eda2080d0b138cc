"""Consoles of MLX: mlx_lm.generate (its speed alone), mlx_vlm.generate with a drafter, the demo of LM Studio's mlx-engine.

mlx_vlm prints accepted tokens a round without the bonus; its first token comes from the prefill, so N tokens in R rounds accepted
N - 1 - R. The demo counts accepted tokens; every round ends with a token of the target, so that the others are the rounds.
mlx_lm.generate prints nothing about a drafter that it was given.
"""

import re
from typing import Any

import polars as pl

from sdtrace.readers.logs.dialect import Dialect, Heard, number
from sdtrace.schema.counters import SILENT, Row

_GENERATION = re.compile(r"^\s*Generation: (\d{1,9}) tokens, (\d{1,7}\.\d{1,6}) tokens-per-sec\s*$")
_PROMPT = re.compile(
    r"^\s*Prompt: \d{1,9} tokens, \d{1,7}\.\d{1,6} tokens-per-sec\s*$|^\s*Peak memory: \d{1,6}\.\d{1,6} GB\s*$"
)
_ROUNDS = re.compile(r"Speculative decoding: (\d{1,4}(?:\.\d{1,6})?) accepted tokens over (\d{1,9}) rounds")
_DEMO = re.compile(
    r"^\s*- (Tokens per second|Number of accepted draft tokens|Time to first token|Total tokens generated|Total time): "
    r"(\d+(?:\.\d+)?)s?\s*$"
)
_DRAFTER = re.compile(r"--draft-model[ =]\S")


def listen(path: str) -> Any:
    """A listener; a row is a request, and is made anew while its lines come."""
    row: Row = {}
    demo: dict[str, float] = {}
    drafter = False

    def hear(rows: pl.DataFrame) -> Heard:
        nonlocal row, drafter
        heard = Heard()
        for line, text in rows.iter_rows():
            drafter = drafter or _DRAFTER.search(text) is not None
            if m := _GENERATION.match(text):
                heard.used.add(line)
                row = _request("mlx-lm", line) | _speed(int(m[1]), number(m[2]))
                row["drafter"] = drafter
                heard.rows.append(row)
            elif m := _ROUNDS.search(text):
                heard.used.add(line)
                if not any(row is other for other in heard.rows) or row.get("drafts") is not None:
                    row = _request("mlx-vlm", line)
                    heard.rows.append(row)
                row |= _rounds(float(m[1]), int(m[2]), row.get("emitted"))
            elif m := _DEMO.match(text):
                heard.used.add(line)
                if m[1] in demo:
                    demo.clear()
                demo[m[1]] = float(m[2])
                if "Total time" in demo and (made := _demo(demo)):
                    heard.rows.append(_request("mlx-engine", line) | made)
                    demo.clear()
            elif _PROMPT.match(text):
                heard.used.add(line)
        for made in heard.rows:
            if made.pop("drafter", False) and made.get("drafts") is None:
                made["family"] = SILENT
        return heard

    return hear


def _request(engine: str, line: int) -> Row:
    return {"engine": engine, "surface": "console", "basis": "request", "line": line}


def _speed(tokens: int, per_second: float | None) -> Row:
    return {
        "emitted": tokens,
        "generation_tps": per_second,
        "busy_ms": tokens / per_second * 1e3 if per_second else None,
    }


def _rounds(mean: float, rounds: int, emitted: float | None) -> Row:
    """Accepted tokens as the tokens of the request pin them down, else the printed mean times the rounds."""
    accepted = mean * rounds
    if emitted is not None and abs(emitted - 1 - rounds - accepted) <= 0.005 * rounds + 0.5:
        accepted = emitted - 1 - rounds
    said = {"accepted tokens": mean, "rounds": rounds}
    return {"engine": "mlx-vlm", "drafts": rounds, "accepted": accepted, "said_length": 1 + mean, "said": said}


def _demo(values: dict[str, float]) -> Row | None:
    """A request of the demo; without an accepted token nothing tells whether it had a drafter."""
    tokens, accepted = values.get("Total tokens generated"), values.get("Number of accepted draft tokens")
    if tokens is None:
        return None
    row = _speed(int(tokens), values.get("Tokens per second"))
    if accepted and accepted < tokens:
        row |= {"drafts": tokens - accepted, "accepted": accepted}
    return row | {"said": dict(values)}


DIALECT = Dialect(
    name="mlx-console",
    engine="mlx-lm",
    says="consoles of mlx_lm.generate, mlx_vlm.generate and mlx-engine's demo",
    looks_for="`Generation: N tokens, X tokens-per-sec` or `accepted tokens over N rounds`",
    needles=(
        b"tokens-per-sec",
        b"Peak memory: ",
        b"accepted tokens over ",
        b"--draft-model",
        b"Tokens per second: ",
        b"Number of accepted draft tokens: ",
        b"Time to first token: ",
        b"Total tokens generated: ",
        b"Total time: ",
    ),
    mark=re.compile(
        r"Generation: \d+ tokens, \d+\.\d+ tokens-per-sec|accepted tokens over \d+ rounds|- Number of accepted draft tokens: \d"
    ),
    listen=listen,
)
