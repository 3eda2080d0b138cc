"""Token ids replaced by numbers in order of appearance: equal stays equal, and nothing can be read back from them."""

import polars as pl

from sdtrace.schema.trace import STEP

#: Columns of steps (those of the format and those derived from them) that hold token ids.
_LISTS = ("draft_token_ids", "output_token_ids", "target_argmax_ids")
_ROWS = ("target_top_ids", "draft_top_ids")
_SINGLE = ("y", "x_rejected")
_STOP = "stop_token_ids"


def pseudonyms(steps: pl.DataFrame, *, stop_ids: bool = False) -> pl.DataFrame:
    """`steps` with every token id renumbered from 0, the same way in all columns; top rows go, and so do stop ids
    unless they are to be renumbered too."""
    lists = [name for name in (*_LISTS, *((_STOP,) if stop_ids else ())) if name in steps.columns]
    single = [name for name in _SINGLE if name in steps.columns]
    seen = pl.concat(
        [steps[name].explode(empty_as_null=False, keep_nulls=False).cast(pl.Int64).alias("id") for name in lists]
        + [steps[name].cast(pl.Int64).alias("id") for name in single]
    )
    known = seen.drop_nulls().unique(maintain_order=True)
    if not stop_ids:
        steps = without_stop_ids(steps)
    if known.is_empty():
        return _without_rows(steps)
    ids = known.filter(known >= 0)  # negative numbers are no ids but "none there"
    new = pl.Series(range(len(ids)), dtype=pl.Int64)

    def renumbered(column: pl.Expr) -> pl.Expr:
        return column.cast(pl.Int64).replace(ids, new)

    return _without_rows(
        steps.with_columns(
            *(pl.col(name).list.eval(renumbered(pl.element())).alias(name) for name in lists),
            *(renumbered(pl.col(name)).alias(name) for name in single),
        )
    )


def _without_rows(steps: pl.DataFrame) -> pl.DataFrame:
    rows = [pl.lit(None, dtype=STEP[name].dtype).alias(name) for name in _ROWS if name in steps.columns]
    return steps.with_columns(rows)


def without_stop_ids(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame of steps or requests whose stop ids are null."""
    return frame.with_columns(pl.lit(None, dtype=pl.List(pl.Int64)).alias(_STOP)) if _STOP in frame.columns else frame
