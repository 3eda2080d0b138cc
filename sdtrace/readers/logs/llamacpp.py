"""llama.cpp logs: acceptance of a request (all generations), cumulative statistics, rounds, JSONL logging, summaries.

The statistics line lies on recurrent targets: a partly accepted draft is rolled back and replayed with what was
accepted, and the replay counts as fully accepted. Rounds marked "(restore checkpoint)" are the true ones; the line
behind each is its replay and is not counted. With -v user text is logged: a line counts only behind a known envelope.
"""

import re
from typing import Any

import orjson
import polars as pl

from sdtrace.readers.logs.clock import iso
from sdtrace.readers.logs.dialect import ANSI, Dialect, Heard, number
from sdtrace.trace import Event, Loss

_CLOCK = re.compile(r"(?:^|\] |\s)(\d+)\.(\d\d)\.(\d{3})\.(\d{3}) ")
#: what may stand before a figure: a stamp, a level, a port, a container's or journald's name, the slot
_BEFORE = re.compile(
    r"^(?:[\s\d|:.,\-+TZ\[\]/]|[IWED] |[A-Z][a-z]{2} +\d+ [\d:]+ \S+ [\w.@-]+\[\d+\]: |[\w.-]+\s*\| |spec common_specu: )*"
    r"(?:slot\s+print_timings?: id\s+(?P<slot>\d+) \| task (?P<task>-?\d+) \|\s*)?$"
)
_RATE = re.compile(
    r"draft acceptance(?: rate)? = (?P<rate>\d+\.\d{5}) \(\s*(?P<acc>\d+) accepted /\s*(?P<gen>\d+) generated\)"
    r"(?:, mean (?:acceptance length|len) =\s*(?P<len>\d+\.\d\d))?(?:, acceptance rate per position = \((?P<pos>[\d., ]*)\))?"
)
_EVAL = re.compile(r"(?<!prompt )eval time =\s*(\d+\.\d+) ms /\s*(\d+) (?:tokens|runs)")
_POS = re.compile(r"acc per pos = \(([\d., ]+)\)")
_STATISTICS = re.compile(
    r"statistics\s+(?P<impl>[\w-]+): #calls(?:\(b,g,a\))? =\s*(?P<b>\d+)(?:\s+(?P<g>\d+)\s+(?P<a>\d+))?, "
    r"#gen drafts =\s*(?P<gd>\d+), #acc drafts =\s*(?P<ad>\d+), #gen tokens =\s*(?P<gt>\d+), #acc tokens =\s*(?P<at>\d+)(?!\d)"
    r"(?:, #mean acc len = (?P<len>\d+\.\d\d))?(?:, #acc rate/pos = \((?P<pos>[\d., ]*)\))?"
    r"(?:, dur\(b,g,a\) = [\d.]+, (?P<dur>[\d.]+), [\d.]+ ms)?"
)
_ROUND = re.compile(
    r"slot\s+\S+: id\s+(\d+) \| task (-?\d+) \| accepted\s+(\d+)/\s*(\d+) draft tokens( \(restore checkpoint\))?"
)
_SUMMARY = re.compile(r"\b(n_drafted|n_accept|n_predict|n_draft)\s+= +(\d+)\s*$")

_EVENTS = (
    (
        "synthetic speculative acceptance is enabled",
        "synthetic",
        "synthetic acceptance is on: decisions are random, the text is not valid",
    ),
    (
        "speculative decoding will use checkpoints",
        "replay",
        "the target is recurrent: drafts are replayed, and the statistics line counts the replays",
    ),
)
_CONFIG = re.compile(r"adding speculative implementation '([\w-]+)'|- n_max=(\d+), n_min=(\d+), p_min=([\d.]+)")


def listen(path: str) -> Any:
    """A listener; remembers the eval time of each task, the replay that is to come, and the summary's parts."""
    state: dict[str, Any] = {"eval": {}, "last": None, "replay": set(), "summary": {}, "k": None}

    def hear(found: pl.DataFrame) -> Heard:
        heard = Heard()
        for line, raw in found.iter_rows():
            text, at = _unwrapped(re.sub(ANSI, "", raw))
            _line(path, line, text, at, state, heard)
        return heard

    return hear


def _unwrapped(text: str) -> tuple[str, float | None]:
    if text.startswith('{"type":"log"'):
        try:
            record = orjson.loads(text)
            return str(record["msg"]).rstrip("\n"), float(record["time"]) / 1e6
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return text, None
    clock = _CLOCK.search(text[:80])
    if clock:
        minutes, seconds, ms, us = (int(clock[i]) for i in range(1, 5))
        return text, minutes * 60 + seconds + ms / 1e3 + us / 1e6
    return text, iso(text[:80])


def _line(path: str, line: int, text: str, at: float | None, state: dict[str, Any], heard: Heard) -> None:
    row: dict[str, Any] = {"line": line, "at": at, "engine": "llama.cpp"}
    if found := _ROUND.search(text):
        heard.used.add(line)
        _round(row, found, state, heard)
    elif found := _STATISTICS.search(text):
        if _BEFORE.match(text[: found.start()]):
            heard.used.add(line)
            heard.rows.append(row | _statistics(found, text))
    elif found := _RATE.search(text):
        if before := _BEFORE.match(text[: found.start()]):
            _acceptance(path, row, found, before, text, state, heard)
    elif found := _EVAL.search(text):
        if before := _BEFORE.match(text[: found.start()]):
            heard.used.add(line)
            key = (before["slot"], before["task"])
            state["eval"][key] = (line, number(found[1]), int(found[2]))
            state["last"] = key
    elif (found := _POS.search(text)) and heard.rows and heard.rows[-1]["surface"] == "request":
        heard.used.add(line)
        _by_position(heard.rows[-1], found[1])
    elif found := _SUMMARY.search(text):
        heard.used.add(line)
        _summary(row, found, state, heard)
    else:
        _announced(path, line, at, text, state, heard)


def _round(row: dict[str, Any], found: re.Match[str], state: dict[str, Any], heard: Heard) -> None:
    key, accepted, drafted = (found[1], found[2]), int(found[3]), int(found[4])
    if not found[5] and key in state["replay"]:
        state["replay"].discard(key)  # the replay of a round that was counted
        return
    if found[5]:
        state["replay"].add(key)
    row |= {"surface": "round", "basis": "round", "family": "llama-server", "request_id": f"task {found[2]}"}
    row |= {"drafts": 1, "accepted": accepted, "drafted": drafted or None, "series": f"slot {found[1]}"}
    heard.rows.append(row | {"emitted": accepted + 1, "said": {"accepted": f"{accepted}/{drafted}"}})


def _acceptance(
    path: str, row: dict[str, Any], found: re.Match[str], before: re.Match[str],
    text: str, state: dict[str, Any], heard: Heard,
) -> None:  # fmt: skip
    key = (before["slot"], before["task"])
    known = state["eval"].pop(key, None)
    if before["task"] is None and known is None and "|" not in text[: found.start()] and "slot" not in text:
        known = None  # an old build, or a copy without its neighbours: the figure stands, its time is unknown
    accepted, drafted = int(found["acc"]), int(found["gen"])
    length = number(found["len"])
    row |= {"surface": "request", "basis": "request", "family": _family(found), "series": _port(text)}
    row |= {
        "request_id": f"task {before['task']}" if before["task"] else None,
        "accepted": accepted,
        "drafted": drafted,
    }
    row |= {"said_rate": number(found["rate"]), "said_length": length, "length": length, "k": state["k"]}
    if known is not None:
        row |= {"busy_ms": known[1], "emitted": known[2]}
    row["drafts"] = _drafts(accepted, drafted, length)
    row["said"] = {"draft acceptance": found["rate"], "accepted": accepted, "generated": drafted, "mean len": length}
    heard.used.add(row["line"])
    heard.rows.append(row)
    if found["pos"]:
        _by_position(row, found["pos"])


def _drafts(accepted: int, drafted: int, length: float | None) -> float | None:
    """Rounds from the printed mean length: whole, and exact where the rounding leaves one choice."""
    if length is None:
        return None
    if accepted == 0 or length <= 1:
        return None
    low, high = accepted / (length - 1 + 0.005), accepted / max(length - 1 - 0.005, 1e-9)
    whole = [n for n in range(max(int(low), 1), int(high) + 2) if low <= n <= high and n <= drafted]
    return float(whole[0]) if len(whole) == 1 else None


def _by_position(row: dict[str, Any], text: str) -> None:
    values = [number(v) for v in text.split(",")]
    while values and not values[-1]:
        values.pop()  # padded with zeros to the longest chained implementation
    row["said_positions"] = [v if v is not None else 0.0 for v in values]
    drafts = row.get("drafts")
    if drafts is None and row.get("accepted") and sum(row["said_positions"]):
        drafts = round(row["accepted"] / sum(row["said_positions"]))
        row["drafts"] = float(drafts)
    if drafts:
        row["accepted_by_position"] = [round(v * drafts) for v in row["said_positions"]]


def _family(found: re.Match[str]) -> str:
    if "rate =" in found[0]:
        return "generation A (to May 2026)"
    if found["pos"] is not None:
        return "generation C (June 2026)"
    return "generation D (Aug 2026+)" if found["len"] else "generation B (May-June 2026)"


def _port(text: str) -> str:
    found = re.match(r"\s*\[(\d+)\] ", text)
    return f"port {found[1]}" if found else ""


def _statistics(found: re.Match[str], text: str) -> dict[str, Any]:
    drafts = number(found["a"])
    generated = float(found["gd"])
    row: dict[str, Any] = {
        "surface": "statistics",
        "basis": "lifetime",
        "family": "cumulative since server start",
        "series": f"{_port(text)} {found['impl']}".strip(),
        "drafts": generated,
        "drafted": float(found["gt"]),
        "accepted": float(found["at"]),
        "said_length": number(found["len"]),
        "length": number(found["len"]),
        "draft_ms": number(found["dur"]),
        "said": {k: found[k] for k in ("gd", "ad", "gt", "at", "len") if found[k] is not None} | {"calls": drafts},
    }
    row["said"] = {
        {
            "gd": "#gen drafts",
            "ad": "#acc drafts",
            "gt": "#gen tokens",
            "at": "#acc tokens",
            "len": "#mean acc len",
        }.get(k, k): v
        for k, v in row["said"].items()
    }
    if found["pos"]:
        _by_position(row, found["pos"])
    return row


def _summary(row: dict[str, Any], found: re.Match[str], state: dict[str, Any], heard: Heard) -> None:
    state["summary"][found[1]] = int(found[2])
    parts = state["summary"]
    if found[1] == "n_accept" and "n_drafted" in parts:
        row |= {"surface": "summary", "basis": "run", "family": "llama-speculative", "k": parts.get("n_draft")}
        row |= {"drafted": parts["n_drafted"], "accepted": parts["n_accept"], "emitted": parts.get("n_predict")}
        heard.rows.append(row | {"said": dict(parts)})
        state["summary"] = {}


def _announced(path: str, line: int, at: float | None, text: str, state: dict[str, Any], heard: Heard) -> None:
    for phrase, kind, what in _EVENTS:
        if phrase in text and '"' not in text.split(phrase)[0]:
            heard.used.add(line)
            heard.events.append(Event(path, line, at, "llama.cpp", kind, what))
    if found := _CONFIG.search(text):
        heard.used.add(line)
        if found[1]:
            heard.events.append(
                Event(path, line, at, "llama.cpp", "config", "speculation is configured", f"method={found[1]}")
            )
        else:
            state["k"] = int(found[2])
            heard.events.append(
                Event(
                    path,
                    line,
                    at,
                    "llama.cpp",
                    "config",
                    "draft length",
                    f"k={found[2]} n_min={found[3]} p_min={found[4]}",
                )
            )
    elif re.search(r"draft acceptance(?: rate)? = \d|statistics\s+[\w-]+: #calls", text) and _BEFORE.match(
        re.split(r"draft acceptance|statistics", text)[0]
    ):
        advice = "the record was cut: a writer stopped, or a copy lost its end"
        heard.losses.append(Loss(path, line, "incomplete acceptance line", 1, advice))


DIALECT = Dialect(
    name="llamacpp-log",
    engine="llama.cpp",
    says="llama.cpp logs: llama-server, llama-speculative, text or JSONL",
    needles=(
        b"draft acceptance",
        b"statistics ",
        b"draft tokens",
        b"eval time =",
        b"acc per pos",
        b"speculative",
        b"n_drafted ",
        b"n_accept ",
        b"n_predict ",
        b"n_draft ",
        b"n_max=",
    ),
    main=(b"draft acceptance", b"statistics ", b"draft tokens"),
    mark=re.compile(
        r"slot\s+(?:print_timing|launch_slot_|update_slots|release)|srv\s+\S+: |draft acceptance(?: rate)? = [\d.]+ \("
        r"|statistics\s+[\w-]+: #calls|llama_model_loader|llama_perf_context_print|\{\"type\":\"log\",\"time\":"
        r"|n_drafted\s+= |spec common_specu"
    ),
    listen=listen,
)
