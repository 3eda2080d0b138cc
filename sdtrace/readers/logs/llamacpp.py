"""llama.cpp logs: acceptance of a request (all generations), cumulative statistics, rounds, JSONL logging, summaries.

The statistics line lies on recurrent targets: a partly accepted draft is rolled back and replayed with what was
accepted, and the replay counts as fully accepted. Rounds marked "(restore checkpoint)" are the true ones; the line
behind each is its replay and is not counted. With -v user text is logged: a line counts only behind a known envelope.
"""

import re
from typing import Any

import orjson
import polars as pl

from sdtrace.readers.logs import llamacpp_coins as coins
from sdtrace.readers.logs import llamacpp_events as events
from sdtrace.readers.logs import llamacpp_lines as lines
from sdtrace.readers.logs.clock import iso
from sdtrace.readers.logs.dialect import Dialect, Envelope, Heard
from sdtrace.readers.logs.llamacpp_state import REPLAYS, State, generated, timed
from sdtrace.readers.logs.place import place
from sdtrace.readers.prompt_counts import PROMPT
from sdtrace.schema.counters import Row
from sdtrace.schema.trace import Event, Loss

_CLOCK = re.compile(r"(?:^|\] |\s)(\d+)\.(\d\d)\.(\d{3})\.(\d{3}) (?=[IWED] )")
#: what may stand before a figure: a stamp, a level, a port, what a container, kubectl or journald puts there, the slot
_BEFORE = re.compile(
    r"^(?:\[[\w./-]++\] |(?<=[\dZ] )[\w.-]++/[\w.-]++/[\w.-]++ "
    r"|(?<![\w.-])[\w.-]++ [\w.@-]++\[\d++\]: |[\s\d|:.,\-+TZ\[\]/]|[IWED] |std(?:out|err) [FP] "
    r"|[A-Z][a-z]{2} ++\d++ [\d:]++ \S++ [\w.@-]++\[\d++\]: |[\w.-]++\s*+\| |spec common_specu: |llama_perf_context_print: )*+"
    r"(?:slot\s+print_timings?: id\s+(?P<slot>\d+) \| task (?P<task>-?\d+) \|\s*)?$"
)
#: a bare head (builds to May 2026 stamp it alone), and the lines that the engine prints behind it without one, each behind what
#: a container or a shipper puts there
_HEAD = re.compile(r"slot\s+print_timings?: id\s+(?P<slot>\d+) \| task (?P<task>-?\d+) \|\s*$")
_TAIL = re.compile(
    r"(?:(?P<prompt>prompt eval time =)|(?P<eval>(?<!prompt )eval time =)|(?P<total>total time =)|(?P<rate>draft acceptance(?: rate)? =)"
    r"|(?P<statistics>statistics\s+[\w-]+: #calls))"
)
#: How a program without requests prints its times at its end.
_PERF = "llama_perf_context_print:"
_OWN = re.compile(r"(?:^|[IWED]\s|\s)(?:slot|srv|spec|main)\s+\S+: ")
_BODY = re.compile(r"log_server_r: (?:request|response):\s+[{\[\"]")
_BROKEN = re.compile(r"draft acceptance(?: rate)? = \d|statistics\s+[\w-]+: #calls")


def listen(path: str) -> Any:
    """A listener with a memory of its own."""
    state = State()

    def hear(rows: pl.DataFrame) -> Heard:
        heard = Heard()
        for line, raw in rows.iter_rows():
            text, at, stamped = _unwrapped(raw)
            if (whole := _PERF in text) and state.told:
                continue  # of a server or a drafter's context: it repeats what requests and the summary say
            if stamped:
                state.clocked = True
            if follows := _goes_on(line, text, state):
                stamped = True
            state.body = bool(_BODY.search(text)) or (state.body and not _OWN.search(text[:120]) and not follows)
            _line(path, line, text, at, state, heard, user=not stamped and (state.clocked or state.body))
            state.told |= bool(heard.rows) and not whole
        return heard

    return hear


def _goes_on(line: int, text: str, state: State) -> bool:
    """Whether a line stands in the block that a bare head began: the engine's lines in their order, each once."""
    if head := _HEAD.search(text):
        state.block = head["slot"], head["task"], line, 0
        return False
    if state.block is None or not text.strip():
        return False
    slot, task, last, place = state.block
    tail = _TAIL.search(text)
    if tail is not None and not _BEFORE.match(text[: tail.start()]):
        tail = None
    now = tail.re.groupindex[tail.lastgroup] if tail and tail.lastgroup else 0
    follows = line - last <= 2 and (now > place or now == place == _TAIL.groups)
    state.block = (slot, task, line, now) if follows else None
    return follows


def _unwrapped(text: str) -> tuple[str, float | None, bool]:
    """The line's text, its time, and whether the engine stamped it: JSONL logging, or a clock and a level."""
    if text.startswith('{"type":"log"'):
        try:
            record = orjson.loads(text)
            return str(record["msg"]).rstrip("\n"), float(record["time"]) / 1e6, True
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return text, None, False
    clock = _CLOCK.search(text[:160])
    if clock is None:
        return text, iso(text[:80]), False
    minutes, seconds, ms, us = (int(clock[i]) for i in range(1, 5))
    wall = iso(text[: clock.start() + 1])
    return text, wall if wall is not None else minutes * 60 + seconds + ms / 1e3 + us / 1e6, True


def _line(path: str, line: int, text: str, at: float | None, state: State, heard: Heard, *, user: bool) -> None:
    row: Row = {"line": line, "at": at, "engine": "llama.cpp"}
    if found := lines.ROUND.search(text):
        heard.used.add(line)
        told = at, found["slot"], found["task"], found["acc"], found["gen"]
        if at is not None and told in state.replays:
            return  # a copied stretch begins with the replay of a round
        if _is_new(found, state):
            heard.rows.append(row | lines.one_round(found))
        elif at is not None:
            state.replays[told] = None
            if len(state.replays) > REPLAYS:
                del state.replays[next(iter(state.replays))]
    elif coins.hear(path, line, at, text, state.round, heard):
        return
    elif not user and (found := lines.STATISTICS.search(text)) and _BEFORE.match(text[: found.start()]):
        heard.used.add(line)
        heard.rows.append(
            row | lines.statistics(found, state.build) | {"series": f"{_port(text)} {found['impl']}".strip()}
        )
        _suspect(path, line, at, found, state, heard)
    elif not user and (found := lines.RATE.search(text)) and (before := _BEFORE.match(text[: found.start()])):
        heard.used.add(line)
        row |= lines.acceptance(found, before["task"], state.k)
        row = timed(row, state, (before["slot"], before["task"]), heard)
        slot, task = (before["slot"], before["task"]) if before["slot"] or state.block is None else state.block[:2]
        if (prompt := state.prompt.pop(before["slot"], None)) is not None:
            row["said"] |= {PROMPT: prompt}
        heard.rows.append(_honest(lines.stepped(row) | _whose(text, slot, task), state))
    elif not user and (found := lines.PROMPT.search(text)) and (before := _BEFORE.match(text[: found.start()])):
        state.prompt[before["slot"]] = float(found[1])
    elif not user and (found := lines.EVAL.search(text)) and (before := _BEFORE.match(text[: found.start()])):
        heard.used.add(line)
        generated(row | _whose(text, before["slot"], before["task"]), found, before, state, heard)
    elif (found := lines.RELEASED.search(text)) and (found["slot"], found["task"]) in state.eval:
        heard.used.add(line)
        if state.configured:
            row = timed(row, state, (found["slot"], found["task"]), heard)
            whose = _whose(text, found["slot"], found["task"])
            heard.rows.append(row | lines.nothing_drafted(found["task"], state.k) | whose)
    elif (found := lines.POSITIONS.search(text)) and heard.rows and heard.rows[-1]["surface"] == "request":
        heard.used.add(line)
        lines.by_position(heard.rows[-1], found[1])
    elif found := lines.ADAPTIVE.search(text):
        heard.used.add(line)
        heard.rows.append(row | lines.adaptive(found))
    elif found := lines.DECODED.search(text):
        heard.used.add(line)
        state.decoded = float(found[3]), float(found[2])
    elif found := lines.SUMMARY.search(text):
        heard.used.add(line)
        _summary(row, found, state, heard)
    else:
        _announced(path, line, at, text, state, heard, user=user)


def _suspect(path: str, line: int, at: float | None, match: re.Match[str], state: State, heard: Heard) -> None:
    """Totals in which no draft was rejected at its first token, and yet tokens were: replays are counted as accepted."""
    if events.all_taken(match) and not state.suspected:
        state.suspected = True
        heard.events.append(Event(path, line, at, "llama.cpp", "replay", events.ALL_TAKEN))


def _is_new(match: re.Match[str], state: State) -> bool:
    """Whether a round has not been counted: its replay, and the debug line of a round that was traced, repeat it."""
    key, counts = (match["slot"], match["task"]), (match["acc"], match["gen"])
    if match["debug"]:
        return state.traced.pop(key, None) is None and key not in state.replay
    if not match["restored"] and key in state.replay:
        state.replay.discard(key)
        state.traced[key] = counts  # the debug line of the replay repeats it once more
        return False
    if match["restored"]:
        state.replay.add(key)
    else:
        state.traced[key] = counts
    return True


def _port(text: str) -> str:
    """Which server wrote a line: its port behind a router, or the container or pod that a shipper names in front."""
    found = re.match(r"\s*\[(\d+)\] ", text)
    return f"port {found[1]}" if found else place(text)


def _whose(text: str, slot: str | None, task: str | None) -> Row:
    """Server and slot of a request, and its name."""
    series = f"{_port(text)} slot {slot}".strip() if slot else _port(text)
    return {"series": series, "request_id": f"task {task}" if task else None}


def _honest(row: Row, state: State) -> Row:
    """Generation A on a target that cannot take tokens back replays what was accepted: its line is 100% by construction."""
    if not state.fixed or not str(row.get("family")).startswith("generation A"):
        return row
    family = "generation A on a target that cannot take tokens back: 100% by construction, not counted"
    return row | dict.fromkeys(("accepted", "drafted", "steps", "said_rate")) | {"family": family}


def _summary(row: Row, match: re.Match[str], state: State, heard: Heard) -> None:
    state.summary[match[1]] = int(match[2])
    if match[1] == "n_accept" and "n_drafted" in state.summary:
        speed: Row = {}
        if state.decoded is not None:
            speed = {"generation_tps": state.decoded[0], "span_s": state.decoded[1]}
        heard.rows.append(row | lines.summary(state.summary) | speed)
        state.summary, state.decoded = {}, None


def _announced(path: str, line: int, at: float | None, text: str, state: State, heard: Heard, *, user: bool) -> None:
    told = events.announced(path, line, at, text)
    if told:
        heard.used.add(line)
        heard.events += told
        state.configured |= any(e.kind == "config" for e in told)
        state.build = events.build(told) or state.build
        state.k = max((k for k in (state.k, events.longest_draft(told)) if k), default=None)
        state.fixed |= any(e.kind == "replay" for e in told)
    elif (found := _BROKEN.search(text)) and not user and _BEFORE.match(text[: found.start()]):
        advice = "the record was cut: a writer stopped, or a copy lost its end"
        heard.losses.append(Loss(path, line, "incomplete acceptance line", 1, advice))


DIALECT = Dialect(
    name="llamacpp-log",
    engine="llama.cpp",
    says="llama.cpp logs: llama-server, llama-speculative, text or JSONL",
    looks_for="`slot print_timing:`, `draft acceptance =` or `statistics ...: #calls`",
    needles=(
        b"draft acceptance",
        b"statistics ",
        b"draft tokens",
        b"eval time =",
        b"acc per pos",
        b"stop processing",
        b"print_timing",
        b"log_server_r: re",
        b"adaptive draft depth",
        b"n_drafted ",
        b"n_accept ",
        b"n_predict ",
        b"n_draft ",
        b"decoded ",
        *events.NEEDLES,
        *coins.NEEDLES,
    ),
    main=(
        b"draft acceptance",
        b"statistics ",
        b"draft tokens",
        b"eval time =",
        b"acc per pos",
        b"stop processing",
        b"print_timing",
        *coins.NEEDLES,
    ),
    alarms=(b" E srv ", b" E slot "),
    envelope=Envelope(
        stamp=r"[0-9]+\.[0-9]{2}\.[0-9]{3}\.[0-9]{3} [IWED] ",
        begins=r"(?:[a-z]+ +[A-Za-z0-9_().]+: |[A-Za-z0-9_:~]+: )?(?:id +[0-9]+ \| task -?[0-9]+ \|)?\s*(?:prompt eval time"
        r"|eval time|draft acceptance|statistics |acc per pos|accepted +[0-9]|adaptive draft depth|n_[a-z]+ +=|r = |draft token "
        r"|the sampled target)",
        speaks=r"eval time =|draft acceptance|statistics +[A-Za-z0-9_-]+: #calls|acc per pos|accepted +[0-9]+/ *[0-9]+ draft"
        r"|adaptive draft depth seq|\bn_(?:drafted|accept|predict|draft) +=|p_dft = |draft token [0-9]|the sampled target token",
        goes_on=re.compile(r"print_timings?: id +\d+ \| task -?\d+ \|$"),
        clock=r"([0-9]+\.[0-9][0-9]\.[0-9]{3}\.[0-9]{3}) [IWED] ",
        follows=(("draft acceptance", "eval time ="),),
    ),
    mark=re.compile(  # words first, what stands before them afterwards: a search for a word looks at no other place
        r"slot\s+\S+: id\s+-?\d+ \| task|slot\s+(?:print_timing|launch_slot_|update_slots|release)|srv\s+\S+: "
        r"|draft acceptance(?: rate)? = [\d.]+ \(|prompt eval time =\s+[\d.]+ ms /"
        r"|statistics\s+[\w-]+: #calls|llama_model_loader|llama_perf_context_print|\{\"type\":\"log\",\"time\":"
        r"|n_drafted\s+= |spec common_specu|adaptive draft depth seq|r = (?<!\wr = )[\d.]+, p_dft = "
    ),
    listen=listen,
)
