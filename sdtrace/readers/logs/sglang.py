"""SGLang logs 0.4 to 0.5.23: decode lines, finished requests (text and JSON).

"accept rate" counted the bonus and divided by all verified tokens up to 0.5.10, and accepted by drafted tokens from
0.5.11 on, in the same words. Which of the two a log holds is told by its numbers: rate = length / n for a whole n, or
rate = (length - 1) / k. A decode line gives means over some forwards, no counts.
"""

import math
import re
from typing import Any

import orjson
import polars as pl

from sdtrace.readers.logs.clock import iso
from sdtrace.readers.logs.dialect import ANSI, Dialect, Heard, number
from sdtrace.readers.sglang_meta import request_window
from sdtrace.trace import Loss

_DECODE = re.compile(r"(?P<ranks>(?: [A-Z_]+\d+)*)\] Decode batch(?P<dot>[.,])?|^\W*Decode batch(?P<bare>[.,])?")
_TP = re.compile(r"\bTP(\d+)\b")
_KEY = re.compile(r"([#A-Za-z][\w #()/.-]*?): (True|False|\d+(?:\.\d+)?)(%?)(?![\d.]*\d?\w)")
_META = re.compile(
    r"['\"](spec_\w+|completion_tokens|prompt_tokens|e2e_latency)['\"]: (\[[\d, ]*\]|-?\d+(?:\.\d+)?(?:e-?\d+)?)"
)
_RID = re.compile(r"['\"]id['\"]: ['\"]([\w.-]{1,80})['\"]|\brid[=:] ?['\"]([\w.-]{1,80})['\"]")


def listen(path: str) -> Any:
    """A listener; the meaning of the rate is decided over all lines of a call."""
    last: dict[str, Any] = {}

    def hear(found: pl.DataFrame) -> Heard:
        heard = Heard()
        rows: list[dict[str, Any]] = []
        for line, raw in found.iter_rows():
            text = re.sub(ANSI, "", raw)
            if "Finish: " in text or "request.finished" in text:
                _finished(path, line, text, heard)
            elif "accept len:" in text or ("Decode batch" in text and _DECODE.search(text)):
                _decode(line, text, rows, heard, last)
        heard.rows += _meaning(rows)
        return heard

    return hear


def _decode(line: int, text: str, rows: list[dict[str, Any]], heard: Heard, last: dict[str, Any]) -> None:
    values = {k.strip(): v for k, v, _ in _KEY.findall(text)}
    head = _DECODE.search(text)
    heard.used.add(line)
    if head is None and rows and line - rows[-1]["line"] <= 2 and rows[-1]["said_length"] is None:
        rows[-1].update(_fields(values) | {"line": rows[-1]["line"]})  # one record, wrapped over lines
        return
    rank = _TP.search(head["ranks"] or "") if head and head["ranks"] else _TP.search(text[:40])
    body = text[text.find("Decode batch") :] if head else text
    if rank and int(rank[1]) > 0 and last.get("body") == body:
        return  # the same batch, printed by another tensor-parallel rank
    last["body"] = body
    ranks = " ".join(part for part in (head["ranks"] or "").split() if head and part.startswith("DP")) if head else ""
    row = {"line": line, "at": iso(text), "engine": "sglang", "surface": "Decode batch", "basis": "interval"}
    row |= {"series": ranks, "dot": bool(head and (head["dot"] or head["bare"]) == ".")}
    rows.append(row | _fields(values))


def _fields(values: dict[str, str]) -> dict[str, Any]:
    def get(*names: str) -> float | None:
        return next((number(values[n]) for n in names if n in values), None)

    rounds, tokens = get("spec rounds"), get("spec tokens")
    return {
        "said_length": get("accept len"),
        "said_rate": get("accept rate"),
        "generation_tps": get("gen throughput (token/s)"),
        "running": get("#running-req"),
        "waiting": get("#queue-req"),
        "kv_usage": get("token usage", "full token usage"),
        "drafts": rounds,
        "accepted": tokens - rounds if tokens is not None and rounds is not None else None,
        "said": {n: values[n] for n in ("accept len", "accept rate", "cap len", "block accept len") if n in values},
    }


def _whole(low: float, high: float) -> set[int]:
    return set(range(max(math.ceil(low), 1), math.floor(high) + 1)) if high < 1e4 else set(range(1, 257))


def _counts(length: float, rate: float) -> tuple[set[int], set[int]]:
    """Verified tokens a step that make rate = length / n, and drafted ones that make it (length - 1) / k."""
    e = 0.0051
    old = _whole((length - e) / (rate + e), (length + e) / max(rate - e, 1e-9))
    if rate <= e and length <= 1 + e:
        return old if rate > e else set(), set(range(1, 257))
    return old, _whole(max(length - 1 - e, 0) / (rate + e), (length - 1 + e) / max(rate - e, 1e-9))


def _meaning(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    both = [r for r in rows if r["said_length"] is not None and r["said_rate"] is not None]
    told = [_counts(r["said_length"], r["said_rate"]) for r in both]
    full = [r["said_length"] > 1.005 or r["said_rate"] > 0.005 for r in both]
    old = set.intersection(*(o for (o, _), f in zip(told, full, strict=True) if f)) if any(full) else set()
    new = set.intersection(*(n for _, n in told)) if told else set()
    for row in rows:
        row["length"] = row["said_length"]
        dot = row.pop("dot")
        if row["said_length"] is None:
            row |= {"basis": "gauge", "family": None}
            continue
        if row["said_rate"] is None:
            row["family"] = "up to 0.5.3, no rate" if dot else "rate not printed"
            continue
        era = _era(row, old, new, dot)
        row["family"] = _FAMILIES[era]
        if era == "old":
            n = min(old or _counts(row["said_length"], row["said_rate"])[0], default=None)
            k = n - 1 if n and len(old) <= 1 else None
            row |= {"k": k, "rate": (row["said_length"] - 1) / k if k else None}
        elif era == "new":
            row["k"] = next(iter(new)) if len(new) == 1 else None
            row["rate"] = row["said_rate"]
    return rows


#: What each rule of the rate is called.
_FAMILIES = {
    "old": "0.5.3-0.5.10, rate counts the bonus",
    "new": "0.5.11+",
    None: "rate of unknown rule",
}


def _era(row: dict[str, Any], old: set[int], new: set[int], dot: bool) -> str | None:
    if dot or (old and not new):
        return "old"
    if new and not old:
        return "new"
    if old and new:
        return None if max(old) > 1 else "new"
    mine_old, mine_new = _counts(row["said_length"], row["said_rate"])  # several servers in one log
    return "old" if mine_old and not mine_new else "new" if mine_new and not mine_old else None


def _finished(path: str, line: int, text: str, heard: Heard) -> None:
    part = text[text.rfind("meta_info") :] if "meta_info" in text else ""
    values: dict[str, Any] = {k: orjson.loads(v) for k, v in _META.findall(part)}
    if not values:
        heard.losses.append(Loss(path, line, "a finished request without meta_info", 1, "log at level 0 or 1"))
        return
    heard.used.add(line)
    rid = _RID.search(part) or _RID.search(text)
    row = request_window(values)
    if row is not None:
        heard.rows.append(row | {"line": line, "at": iso(text), "request_id": (rid[1] or rid[2]) if rid else None})


DIALECT = Dialect(
    name="sglang-log",
    engine="sglang",
    says="SGLang logs: decode and finish lines",
    needles=(b"Decode batch", b"accept len:", b"Finish: ", b"request.finished"),
    main=(b"Decode batch", b"accept len:"),
    mark=re.compile(
        r"Decode batch[., ]|\] Prefill batch[., ]|accept len: \d|\[[\d-]{10} [\d:.]+(?: [A-Z_]+\d+)*\] (?:Finish: |\{\"timestamp\")"
        r"|ReqTimeStats\(|Req Time Stats\("
    ),
    listen=listen,
)
