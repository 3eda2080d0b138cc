"""Rows of a state that was written before losses and notices had kinds, and announcements settings: told by the words of then."""

import re
from collections.abc import Sequence

from sdtrace.schema.json_values import Json

#: What began with these words was of that kind.
_LOSSES = (
    ("other lines, not about speculative decoding", "other"),
    ("duplicate of request", "repeated"),
    ("unreadable Parquet", "unreadable"),
)
_NOTICES = (("answers without logprobs", "bare"), ("the compressed file is damaged", "damaged"))

_SETTING = re.compile(r"\b(\w+)=(draft model|\S+)")
#: Announcements whose value was a length alone.
_CHOSEN = {
    "the engine chose the draft length": "gamma",
    "the engine chose the number of verified tokens": "num_draft_tokens",
}


def with_settings(event: Json) -> Json:
    """An announcement, as the sums of a night hold it, with the settings that it tells."""
    if "settings" in event or event["kind"] != "config" or event["value"] is None:
        return event
    chosen = _CHOSEN.get(event["what"])
    return event | {"settings": dict(_SETTING.findall(event["value"])) if chosen is None else {chosen: event["value"]}}


#: How columns, and rows of the column `figure`, were called that are tokens per step.
_PER_STEP = re.compile(
    r"(?:expected )?tokens per (?:drafting )?step(?:,? (?:all steps|there|at least 1 each|equal split))?"
)


def with_per_step(section: Json) -> Json:
    """A section of a stored report, with its columns and rows of tokens per step declared."""
    if "per_step" in section:
        return section
    columns: list[str] = section["columns"]
    named = [str(row[columns.index("figure")]) for row in section["rows"]] if "figure" in columns else []
    return section | {"per_step": [name for name in dict.fromkeys([*columns, *named]) if _PER_STEP.fullmatch(name)]}


def with_kinds(read: Json) -> Json:
    """An input, as the sums of a night or its document hold it, whose losses and notices have their kinds."""
    losses, notices = _kinds(read["losses"], _LOSSES), _kinds(read["notices"], _NOTICES)
    return read | {"losses": losses, "notices": notices}


def _kinds(rows: Sequence[Json], words: Sequence[tuple[str, str]]) -> list[Json]:
    return [row if "kind" in row else row | {"kind": _kind(str(row["what"]), words)} for row in rows]


def _kind(what: str, words: Sequence[tuple[str, str]]) -> str:
    return next((kind for begun, kind in words if what.startswith(begun)), "ordinary")
