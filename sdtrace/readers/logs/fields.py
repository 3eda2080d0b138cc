"""Fields of many lines at once: one look for all of them where a line has the usual form, one look each where it has not."""

from collections.abc import Mapping

import polars as pl


def fields(texts: pl.Series, patterns: Mapping[str, str], usual: str | None) -> dict[str, pl.Series]:
    """The first group of each pattern in each text, null where it is not there.

    `usual` begins with ^ and has a group with the name of each pattern. What it finds, the patterns must find too; no
    byte may have two ways through it, so that it costs one pass over a line.
    """
    if usual is None:
        return _one_by_one(texts, patterns)
    found = _groups(texts, usual)
    odd = next(iter(found.values())).is_null()
    if not odd.any():
        return found
    rest, places = _one_by_one(texts.filter(odd), patterns), odd.arg_true()
    return {name: found[name].scatter(places, rest[name]) for name in patterns}


def _one_by_one(texts: pl.Series, patterns: Mapping[str, str]) -> dict[str, pl.Series]:
    rows = pl.DataFrame({"text": texts})
    return rows.select(pl.col("text").str.extract(pattern).alias(name) for name, pattern in patterns.items()).to_dict()


def _groups(texts: pl.Series, pattern: str) -> dict[str, pl.Series]:
    return texts.str.extract_groups(pattern).struct.unnest().to_dict()
