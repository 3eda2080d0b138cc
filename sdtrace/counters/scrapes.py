"""Scrapes of counters whose files tell no time: of one server, one after the other, or of several servers at once.

Counters of one process only grow, and vLLM says when each began (`_created`). Scrapes of the same labels in which nothing fell and
the beginning, where it is told, is the same are taken in the order of what was drafted: what was added between them counts, as
between two scrapes with a time. Files that are named after places, and counters that began apart, are of several servers.
"""

import re
from itertools import pairwise

import polars as pl

from sdtrace.counters.downsample import origin

#: What is said of scrapes that were put in order by their counters.
IN_ORDER = "scrapes without a time, in the order of their counters"
#: What is said of scrapes of the same labels that were added up.
APART = "scrapes without a time, added up"
_COUNTS = ("drafts", "steps", "drafted", "accepted", "emitted")
_KEYS = ["engine", "surface", "series"]
#: Names of files that tell places apart: a word for one with a number behind it, or an address.
_PLACE = re.compile(
    r"(?i)(?:pod|replica|node|host|gpu|rank|engine|server|worker|shard|instance|vllm|sglang|dp|tp)[-_.]?\d"
    r"|\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"
)


def placed(frame: pl.DataFrame) -> pl.DataFrame:
    """Windows with `origin`; scrapes of one server that tell no time share one, and stand in order."""
    frame = frame.with_columns(origin())
    turns = [
        part.select("path", *_KEYS, origin=pl.lit("in order"), turn=pl.int_range(pl.len(), dtype=pl.Int64))
        for part in _timeless(frame)
        if in_order(part)
    ]
    if not turns:
        return frame
    joined = frame.join(pl.concat(turns), on=["path", *_KEYS], how="left", nulls_equal=True, maintain_order="left")
    joined = joined.with_columns(origin=pl.coalesce("origin_right", "origin"))
    return joined.sort("turn", nulls_last=True, maintain_order=True).drop("origin_right", "turn")


def says(part: pl.DataFrame) -> list[str]:
    """What was done with scrapes that tell no time; [] where there are none of the same labels."""
    found = list(_timeless(part))
    if not found:
        return []
    return [IN_ORDER] if all(in_order(one) for one in found) else [APART]


def _timeless(frame: pl.DataFrame) -> list[pl.DataFrame]:
    """Scrapes of one label set, each in a file of its own, none with a time; those that drafted least first."""
    rows = frame.filter((pl.col("basis") == "counter") & pl.col("at").is_null())
    parts = (part for _, part in rows.group_by(_KEYS, maintain_order=True))
    lone = (part for part in parts if part.height > 1 and part["path"].n_unique() == part.height)
    return [part.sort("drafted", "accepted", "emitted", nulls_last=True, maintain_order=True) for part in lone]


def in_order(part: pl.DataFrame) -> bool:
    """Whether every counter of the sorted scrapes grew or stood still, and nothing tells that they are of several servers."""
    begun = part["said"].str.json_path_match("$.created")
    if begun.n_unique() > 1:
        return False
    if begun.null_count() and len({_place(path) for path in part["path"]}) > 1:
        return False
    told = [[row[name] for name in _COUNTS] + (row["accepted_by_position"] or []) for row in part.to_dicts()]
    return all(_grew(before, after) for before, after in pairwise(told))


def _place(path: str) -> str:
    found = _PLACE.search(path.rsplit("/", 1)[-1])
    return found[0] if found else ""


def _grew(before: list[float | None], after: list[float | None]) -> bool:
    """Whether no counter fell and one grew; positions that came later stood at 0."""
    if any((a is None) != (b is None) for a, b in zip(before, after, strict=False)) or len(after) < len(before):
        return False
    pairs = [(b, a) for b, a in zip(before, after, strict=False) if b is not None and a is not None]
    return all(a >= b for b, a in pairs) and any(a > b for b, a in pairs)
