"""Kinds of losses and notices in a state that was written before they had one: told by the words that were written then."""

from collections.abc import Sequence

from sdtrace.schema.json_values import Json

#: What began with these words was of that kind.
_LOSSES = (
    ("other lines, not about speculative decoding", "other"),
    ("duplicate of request", "repeated"),
    ("unreadable Parquet", "unreadable"),
)
_NOTICES = (("answers without logprobs", "bare"), ("the compressed file is damaged", "damaged"))


def with_kinds(read: Json) -> Json:
    """An input, as the sums of a night or its document hold it, whose losses and notices have their kinds."""
    losses, notices = _kinds(read["losses"], _LOSSES), _kinds(read["notices"], _NOTICES)
    return read | {"losses": losses, "notices": notices}


def _kinds(rows: Sequence[Json], words: Sequence[tuple[str, str]]) -> list[Json]:
    return [row if "kind" in row else row | {"kind": _kind(str(row["what"]), words)} for row in rows]


def _kind(what: str, words: Sequence[tuple[str, str]]) -> str:
    return next((kind for begun, kind in words if what.startswith(begun)), "ordinary")
