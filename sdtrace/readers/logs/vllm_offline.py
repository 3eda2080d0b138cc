"""vLLM's offline example of speculation, and the report that speculators makes of a log.

The example prints counts, and shares of the drafting steps that accepted each position with two decimals. The report of
speculators weighs the printed shares by drafted tokens; counts of accepted tokens are not in it.
"""

import re

from sdtrace.readers.logs.console import Block, Values, listener
from sdtrace.readers.logs.dialect import Dialect
from sdtrace.schema.counters import Row


def _named(label: str, number: str = r"\d+") -> re.Pattern[str]:
    return re.compile(rf"(?:^|\s){label}: *({number})(?:\.0)?\s*$")


_FIELDS = {
    "emitted": _named("total_num_output_tokens"),
    "drafts": _named("num_drafts"),
    "drafted": _named("num_draft_tokens"),
    "accepted": _named("num_accepted_tokens"),
    "length": _named("mean acceptance length", r"\d+\.\d+"),
    "positions": re.compile(r"(?:^|\s)acceptance at token (\d{1,4}): *(\d\.\d+)\s*$"),
}


def _row(v: Values) -> Row | None:
    if not ("length" in v or {"drafts", "accepted"} <= v.keys()):
        return None
    row: Row = {"engine": "vllm", "surface": "offline example", "basis": "run"}
    row |= {n: v.get(n) for n in ("emitted", "drafts", "drafted", "accepted", "length")}
    row |= {"said_length": v.get("length"), "said": {"mean acceptance length": v.get("length")}}
    if shares := v.get("positions"):
        drafts = v.get("drafts")
        row |= {"said_positions": list(shares), "k": len(shares)}
        row["accepted_by_position"] = [p * drafts for p in shares] if drafts else None
    return row


DIALECT = Dialect(
    name="vllm-offline",
    engine="vllm",
    says="vLLM's offline example of speculation",
    looks_for="`mean acceptance length:` and `num_accepted_tokens:`",
    needles=(
        b"total_num_output_tokens:",
        b"num_drafts:",
        b"num_draft_tokens:",
        b"num_accepted_tokens:",
        b"mean acceptance length:",
        b"acceptance at token",
    ),
    mark=re.compile(r"mean acceptance length: *\d|num_accepted_tokens: *\d|acceptance at token 0:"),
    listen=listener(Block(_FIELDS, _row)),
)
