"""mtp-bench.py of llama.cpp's users: one line a request. Its first token comes from the prefill: rounds = pred - 1 - acc."""

import re
from typing import Any

import polars as pl

from sdtrace.readers.logs.dialect import Dialect, Heard, number
from sdtrace.schema.counters import Row

_LINE = re.compile(
    r"\bpred=\s*(?P<pred>\d{1,15})\s+draft=\s*(?P<draft>\d{1,15})\s+acc=\s*(?P<acc>\d{1,15})\s+"
    r"rate=(?P<rate>\d\.\d+|n/a)\s+tok/s=(?P<speed>\d+(?:\.\d+)?)"
)
_TOTAL = re.compile(
    r'"(n_requests|total_predicted|total_draft|total_draft_accepted|aggregate_accept_rate|wall_s_total)": ([\d.]+|null)'
)


def listen(path: str) -> Any:
    """A listener; the totals at the end repeat the requests and are a source of their own."""
    totals: dict[str, float | None] = {}

    def hear(rows: pl.DataFrame) -> Heard:
        heard = Heard()
        for line, text in rows.iter_rows():
            if m := _LINE.search(text):
                heard.used.add(line)
                heard.rows.append(_request(m, text[: m.start()]) | {"line": line})
            elif found_total := _TOTAL.search(text):
                heard.used.add(line)
                totals[found_total[1]] = number(found_total[2])
                if "wall_s_total" in totals:
                    heard.rows += [_total(totals) | {"line": line}] if totals.get("total_draft") else []
                    totals.clear()
            elif "Aggregate: {" in text:
                totals.clear()
                heard.used.add(line)
        return heard

    return hear


def _request(m: re.Match[str], before: str) -> Row:
    emitted, drafted, accepted, speed = int(m["pred"]), int(m["draft"]), int(m["acc"]), number(m["speed"])
    row: Row = {"engine": "llama.cpp", "surface": "mtp-bench", "basis": "request", "request_id": None}
    row["request_id"] = before.split()[-1] if before.split() else None
    row |= {"emitted": emitted, "generation_tps": speed, "busy_ms": emitted / speed * 1e3 if speed else None}
    if not drafted:  # a plain run
        return row | {"steps": max(emitted - 1, 0) or None, "said": {"rate": m["rate"]}}
    rounds = emitted - 1 - accepted
    row |= {"drafts": rounds if rounds > 0 else None, "drafted": drafted, "accepted": accepted}
    return row | {"said_rate": number(m["rate"]), "said": {"rate": m["rate"]}}


def _total(totals: dict[str, float | None]) -> Row:
    row: Row = {"engine": "llama.cpp", "surface": "mtp-bench totals", "basis": "run"}
    row |= {"emitted": totals.get("total_predicted"), "drafted": totals.get("total_draft")}
    row |= {"accepted": totals.get("total_draft_accepted"), "said_rate": totals.get("aggregate_accept_rate")}
    return row | {"said": dict(totals)}


DIALECT = Dialect(
    name="mtp-bench",
    engine="llama.cpp",
    says="mtp-bench.py against llama-server",
    looks_for="`pred= draft= acc= rate=`",
    needles=(
        b"tok/s=",
        b"Aggregate: {",
        b"n_requests",
        b"total_predicted",
        b"total_draft",
        b"aggregate_",
        b"wall_s_total",
    ),
    mark=re.compile(r"pred=\s*\d+\s+draft=\s*\d+\s+acc=\s*\d+\s+rate="),
    listen=listen,
)
