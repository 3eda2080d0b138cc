"""Processes of one server that follow each other: a restart changes the id of a process, not whose windows they are."""

import polars as pl

#: The id of a process in a name: "$1" takes its place.
PROCESS_ID = r":[0-9]+( |$)"


def one_name(keyed: pl.DataFrame) -> pl.DataFrame:
    """The same with the name of a server without the id of its process, where processes of one name follow each other in a file: it
    was restarted."""
    bare = pl.col("server").str.replace(PROCESS_ID, "$1")
    keys = ["path", "engine", "surface", "basis", "bare"]
    spans = (
        keyed.with_columns(bare=bare).group_by(*keys, "server").agg(first=pl.col("at").min(), last=pl.col("at").max())
    )
    spans = spans.filter(pl.col("bare") != pl.col("server")).sort("first", nulls_last=True)
    after = pl.col("first") > pl.col("last").shift(1).cum_max()
    follows = spans.with_columns(after=after.over(keys).fill_null(value=True) & pl.col("first").is_not_null())
    anew = (
        follows.group_by(keys)
        .agg(n=pl.len(), follow=pl.col("after").all())
        .filter((pl.col("n") > 1) & pl.col("follow"))
    )
    if anew.is_empty():
        return keyed
    found = keyed.with_columns(bare=bare).join(
        anew.select(*keys, "follow"), on=keys, how="left", nulls_equal=True, maintain_order="left"
    )
    return found.with_columns(server=pl.when("follow").then("bare").otherwise("server")).drop("bare", "follow")
