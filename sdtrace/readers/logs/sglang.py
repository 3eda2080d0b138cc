"""SGLang logs 0.4 to 0.5.23: decode lines, finished requests (text and JSON).

"accept rate" counted the bonus and divided by all verified tokens up to 0.5.10, and accepted by drafted tokens from
0.5.11 on, in the same words. Which of the two a log holds is told by its numbers: rate = length / n for a whole n, or
rate = (length - 1) / k. A decode line gives means over some forwards, no counts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any

import polars as pl

from sdtrace.readers.json_value import parsed
from sdtrace.readers.logs.clock import iso
from sdtrace.readers.logs.dialect import Dialect, Envelope, Heard, number
from sdtrace.readers.logs.place import place
from sdtrace.readers.logs.sglang_events import NEEDLES, announced, once
from sdtrace.readers.logs.sglang_rates import meaning
from sdtrace.readers.sglang_meta import request_window
from sdtrace.schema.counters import Row
from sdtrace.schema.json_values import Json
from sdtrace.schema.trace import LENGTH, Loss

_DECODE = re.compile(
    r"(?P<stamp>\]) Decode batch(?! rank)(?P<dot>[.,])?|^\W*+Decode batch(?! rank)(?P<bare>[.,])?"
    r"|[\]\s|]Decode batch(?! rank)(?P<other>[.,])?(?= #|, )"
)
_RANK = re.compile(r"\bTP(\d+)\b")
_RANKS = re.compile(r"[A-Z_]+\d+")
_VALUE = re.compile(r": ?(True|False|\d++(?:\.\d++)?+)%?+(?![\d.]*+\w)")
#: What the name of a field is not made of, and how it begins.
_NO_NAME, _BEGINS = re.compile(r"[^\w #()/-]"), re.compile(r"[#A-Za-z]")
_SEVERAL = re.compile(r"accept (?:len|rate): [\d.]+ / ")
_WRAPPED = re.compile(r"^\s*(?:\.\.\., )?[#a-z][\w #()/]*: ")
_META = re.compile(
    r"['\"](spec_\w+|completion_tokens|prompt_tokens|cached_tokens|e2e_latency)['\"]: (\[[\d, ]*\]|-?\d+(?:\.\d+)?(?:e-?\d+)?)"
)
#: Digits of a draft length, at most.
_DIGITS = 4
_RID = re.compile(r"['\"]id['\"]: ['\"]([\w.-]{1,80})['\"]|\brid[=:] ?['\"]([\w.-]{1,80})['\"]")


@dataclass
class State:
    """The batch printed last and the ranks that printed it; the pieces of a meta_info that is pasted over several lines."""

    batch: tuple[Any, ...] = ()
    ranks: set[str] = field(default_factory=set)
    meta: Json = field(default_factory=dict)
    row: Row | None = None
    active: int | None = None  #: the draft length that the engine announced last
    nodes: int | None = None  #: verified tokens a step, as configured
    told: set[tuple[str, str | None, int]] = field(default_factory=set)


#: What the server prints when its state is asked for.
_AVERAGE = re.compile(r"\[[\d :.,A-Z_-]{8,80}\] avg_spec_accept_length=(\d{1,4}(?:\.\d{1,20})?)$")


def listen(path: str) -> Any:
    """A listener; the meaning of the rate is decided over all lines of a call."""
    state = State()

    def hear(table: pl.DataFrame) -> Heard:
        heard = Heard()
        rows: list[Row] = []
        for line, text in _pieces(table):
            if "Finish: " in text or "request.finished" in text:
                _finished(path, line, text, heard)
            elif (head := _DECODE.search(text)) and "avg_accept_len:" not in text:
                _decode(path, line, text, head, rows, heard, state)
            elif "accept len:" in text or (rows and _WRAPPED.match(text)):
                _piece(path, line, text, rows, heard)
            elif average := _AVERAGE.match(text):
                heard.used.add(line)
                heard.rows.append(_average(average[1]) | {"line": line, "at": iso(text[:100])})
            elif ("spec_" in text or "completion_tokens" in text) and (values := _values(text)):
                _pasted(line, values, heard, state)
            else:
                _announced(path, line, text, heard, state)
                _switched(rows, heard, state)
            for row in rows[-1:]:
                row.setdefault("active", state.active)
        for active, part in groupby(rows, key=lambda row: row.pop("active")):
            heard.rows += meaning(list(part), active, state.nodes)
        return heard

    return hear


def _average(printed: str) -> Row:
    length, family = number(printed), "since the server began, bonus counted"
    row: Row = {"engine": "sglang", "surface": "server average", "basis": "gauge", "family": family}
    return row | {"length": length, "said_length": length, "said": {"avg_spec_accept_length": printed}}


def _pieces(rows: pl.DataFrame) -> Iterator[tuple[int, str]]:
    """Numbered records: a line that begins with a decode line and holds more of them, and no quotes, is cut before each."""
    for line, text in rows.iter_rows():
        heads = list(_DECODE.finditer(text)) if text.count("Decode batch") > 1 else []
        if len(heads) < 2 or '"' in text or "'" in text:
            yield line, text
            continue
        cuts = [0]
        for before, head in pairwise(heads):
            stamp = text.rfind("[", before.end(), head.end())
            cuts.append(stamp if stamp > 0 else head.start())
        for start, stop in pairwise([*cuts, len(text)]):
            yield line, text[start:stop]


def _announced(path: str, line: int, text: str, heard: Heard, state: State) -> None:
    events = [e for e in announced(path, line, text) if e.kind == "k" or once(e) not in state.told]
    told = (e.settings.get(LENGTH, "") for e in events)
    state.nodes = next((int(n) for n in told if 0 < len(n) <= _DIGITS), state.nodes)
    state.told |= {once(e) for e in events}
    heard.used |= {line} if events else set()
    heard.events += events


def _switched(rows: list[Row], heard: Heard, state: State) -> None:
    """Follow the draft length through switches; the first one tells what was in force before it."""
    if heard.events and heard.events[-1].kind == "k":
        before, after = (int(n) for n in str(heard.events[-1].value).split(" -> "))
        for row in rows if state.active is None else ():
            row["active"] = before
        state.active = after


def _row(line: int, text: str, ranks: str, *, dot: bool) -> Row:
    row: Row = {"line": line, "at": iso(text), "engine": "sglang", "surface": "Decode batch"}
    return row | {"basis": "interval", "series": ranks, "dot": dot, "last": line}


def _decode(
    path: str, line: int, text: str, head: re.Match[str], rows: list[Row], heard: Heard, state: State
) -> None:  # fmt: skip
    values = _named(text[head.end() :])
    if "accept" in text[head.end() :] and "accept len" not in values:
        advice = "the record was cut: a writer stopped, or a copy lost its end"
        heard.losses.append(Loss(path, line, "incomplete decode line", 1, advice))
        return
    heard.used.add(line)
    ranks = _ranks(text[: head.start()]) if head["stamp"] else []
    rank = _RANK.search(" ".join(ranks) or text[: head.start() + 1][-40:])
    others = " ".join(part for part in ranks if not part.startswith(("TP", "EP")))
    batch = (iso(text), others, *(values.get(n) for n in ("#running-req", "#token", "accept len", "accept rate")))
    if rank and batch == state.batch and rank[1] not in state.ranks:
        state.ranks.add(rank[1])
        return  # the same batch, printed by another tensor-parallel rank
    state.batch, state.ranks = batch, {rank[1]} if rank else set()
    shown = " ".join([place(text), *(part for part in others.split() if part.startswith("DP"))]).strip()
    dot = "." in ((head["dot"] or "") + (head["bare"] or "") + (head["other"] or ""))
    rows.append(_row(line, text, shown, dot=dot) | _fields(values))


def _ranks(stamp: str) -> list[str]:
    """The ranks at the end of a stamp: `[2026-09-28 12:34:57 DP0 TP0`."""
    words = stamp[-200:].split(" ")
    first = len(words)
    while first and _RANKS.fullmatch(words[first - 1]):
        first -= 1
    return words[first:]


def _named(text: str) -> dict[str, str]:
    """Fields `name: value`; a name begins behind the value before it, or behind a character that no name holds."""
    values: dict[str, str] = {}
    behind = 0
    for found in _VALUE.finditer(text):
        begin = behind
        for other in _NO_NAME.finditer(text, behind, found.start()):
            begin = other.end()
        if name := _BEGINS.search(text, begin, found.start()):
            values[text[name.start() : found.start()].strip()] = found[1]
        behind = found.end()
    return values


def _piece(path: str, line: int, text: str, rows: list[Row], heard: Heard) -> None:
    """A line without the head of a record: the rest of a wrapped one, or a record of its own that lost its head."""
    values = _named(text)
    fields = {k: v for k, v in _fields(values).items() if v not in (None, {})}
    before = rows[-1] if rows and line - rows[-1]["last"] == 1 and _WRAPPED.match(text) else None
    if _SEVERAL.search(text):
        advice = "one record a line: `accept len: 2.33, accept rate: 0.44`"
        heard.losses.append(Loss(path, line, "several values behind one `accept len`", 1, advice))
    elif before is not None and all(before.get(k) in (None, v, {}) for k, v in fields.items() if k != "said"):
        heard.used.add(line)
        before |= fields | {"said": before["said"] | fields.get("said", {}), "last": line}
    elif "said_length" in fields:
        heard.used.add(line)
        rows.append(_row(line, text, "", dot=False) | _fields(values))


#: `#token` grows with every pass: it tells two lines of one second apart
_SAID = ("accept len", "accept rate", "cap len", "block accept len", "#token", "#full token")


def _fields(values: dict[str, str]) -> Row:
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
        "said": {n: values[n] for n in _SAID if n in values},
    }


def _values(text: str) -> Json:
    found = {k: parsed(v.encode()) for k, v in _META.findall(text)}
    return {k: v for k, v in found.items() if v is not None}


def _finished(path: str, line: int, text: str, heard: Heard) -> None:
    part = text[text.rfind("meta_info") :] if "meta_info" in text else ""
    values = _values(part)
    if not values:
        advice = "log requests at level 0 or 1, which leave the text out"
        heard.losses.append(Loss(path, line, "a finished request without meta_info", 1, advice))
        return
    heard.used.add(line)
    rid = _RID.search(part) or _RID.search(text)
    row = request_window(values)
    if row is not None:
        heard.rows.append(row | {"line": line, "at": iso(text), "request_id": (rid[1] or rid[2]) if rid else None})


def _pasted(line: int, values: Json, heard: Heard, state: State) -> None:
    """A meta_info over several lines: its pieces gather until a field comes again, which begins the next one."""
    if set(values) & set(state.meta):
        state.meta, state.row = {}, None
    state.meta |= values
    heard.used.add(line)
    made = request_window(state.meta)
    if made is None:
        return
    if state.row is None or state.row not in heard.rows:
        state.row = {"line": line, "at": None, "request_id": None}
        heard.rows.append(state.row)
    state.row |= made


DIALECT = Dialect(
    name="sglang-log",
    engine="sglang",
    says="SGLang logs: decode and finish lines",
    looks_for="`Decode batch`, `Prefill batch` or `accept len:`",
    needles=(
        b"Decode batch",
        b"accept len:",
        b"gen throughput",
        b"token usage: ",
        b"Finish: ",
        b"request.finished",
        b"spec_verify_ct",
        b"spec_accept_",
        b"completion_tokens",
        *NEEDLES,
    ),
    main=(b"Decode batch", b"accept len:", b"spec_verify_ct"),
    alarms=(b"hit an exception", b"ransfer failed", b"spec params updated"),
    envelope=Envelope(
        stamp=r"\[(?:[0-9]{4}-[0-9][0-9]-[0-9][0-9] )?[0-9][0-9]:[0-9][0-9]:[0-9][0-9](?:[.,][0-9]+)?(?: [A-Z_]+[0-9]+)*\] ",
        begins=r"\s*(?:Decode batch|Finish: |\{|Prefill batch|avg_spec_accept_length=)",
        speaks=r"Decode batch|Finish: |request\.finished|accept len:|spec_verify_ct|spec_accept_|completion_tokens",
        goes_on=re.compile(r"Decode batch(?:(?!queue-req|accept len).)*+$"),
        who=r"\[[0-9 :.,-]*((?: [A-Z_]+[0-9]+)*)\]",
        clock=r"\[((?:[0-9]{4}-[0-9][0-9]-[0-9][0-9] )?[0-9][0-9]:[0-9][0-9]:[0-9][0-9])",
        fixed=True,
    ),
    mark=re.compile(
        r"Decode batch[., ](?!.{0,600}?avg_accept_len: )|\] Prefill batch[., ]|accept len: \d"
        r"|\[[\d-]{10} [\d:.]+(?: [A-Z_]+\d+)*\] (?:Finish: |\{\"timestamp\")"
        r"|ReqTimeStats\(|Req Time Stats\(|server_args=ServerArgs\(|'spec_(?:verify_ct|accept_length)': "
    ),
    listen=listen,
)
