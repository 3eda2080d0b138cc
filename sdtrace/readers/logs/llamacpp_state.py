"""What a listener of llama.cpp's lines remembers, and the speed of a request until its acceptance line comes."""

import re
from dataclasses import dataclass, field
from typing import Any

from sdtrace.readers.logs import llamacpp_coins as coins
from sdtrace.readers.logs import llamacpp_lines as lines
from sdtrace.readers.logs.dialect import Heard, number
from sdtrace.schema.counters import Row

Key = tuple[str | None, str | None]
#: Replays that are remembered.
REPLAYS = 1 << 14


@dataclass
class State:
    """What is remembered between lines.

    `eval`: the row of generation time and tokens by slot and task, until their acceptance line replaces it; `replay`: slots whose next
    round repeats a counted one; `traced`: the round that a debug line may repeat; `body`: the log shows a request's
    text; `clocked`: the engine stamps its lines, so that one without a stamp is user text; `block`: slot, task, last
    line and its place in the order, of a head whose lines follow; `fixed`: the target cannot take tokens back;
    `prompt`: processed tokens of the prompt, by slot; `build`: the number of the build; `replays`: lines that repeat a round;
    `told`: anything was counted; `decoded`: tokens per second, and seconds, of llama-speculative's run;
    `timed`: counts, and generation time and tokens, of the last request of a slot.
    """

    eval: dict[Key, Row] = field(default_factory=dict)
    prompt: dict[str | None, float] = field(default_factory=dict)
    replay: set[tuple[str, str]] = field(default_factory=set)
    traced: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    summary: dict[str, int] = field(default_factory=dict)
    told: bool = False
    decoded: tuple[float, float] | None = None
    round: coins.Round = field(default_factory=coins.Round)
    k: int | None = None
    configured: bool = False
    suspected: bool = False
    body: bool = False
    clocked: bool = False
    block: tuple[str, str, int, int] | None = None
    timed: dict[Key, tuple[tuple[Any, Any], Row]] = field(default_factory=dict)
    fixed: bool = False
    build: int | None = None
    replays: dict[tuple[float | str | None, ...], None] = field(default_factory=dict)


def generated(row: Row, match: re.Match[str], before: re.Match[str], state: State, heard: Heard) -> None:
    """A row of the speed of a request, until its acceptance line replaces it; a line that stands twice is one."""
    key, made = (before["slot"], before["task"]), lines.generated(number(match[1]), int(match[2]))
    known = state.eval.get(key)
    if known is not None and key[1] is not None and all(known[name] == made[name] for name in ("emitted", "busy_ms")):
        return
    heard.rows.append(row | made)
    state.eval[key] = heard.rows[-1]


def timed(row: Row, state: State, key: Key, heard: Heard) -> Row:
    """The row of a request with its time and tokens, whose own row it replaces."""
    known, counts = state.eval.pop(key, None), (row.get("accepted"), row.get("drafted"))
    if known is None and state.timed.get(key, (None,))[0] == counts:  # the line stands twice
        known = state.timed[key][1]
    if known is None:
        return row
    state.timed = {key: (counts, known)}
    if (place := next((i for i in reversed(range(len(heard.rows))) if heard.rows[i] is known), None)) is not None:
        del heard.rows[place]
    return row | {name: known[name] for name in ("busy_ms", "emitted")}
