"""Unix times of an input: one that no calendar has is no time, and is left out."""

from dataclasses import replace

import polars as pl

from sdtrace.schema.trace import Batch, Notice

#: The first second after the year 9999.
END = 253_402_300_800.0

_REQUEST = ("arrived_at", "first_token_at", "finished_at")
_ADVICE = "times are seconds since 1970 (milliseconds must be divided by 1000); these were left out"


def dated(batch: Batch) -> Batch:
    """The batch without times before 1970 or after the year 9999, and with a notice of how many there were."""
    notices: list[Notice] = []

    def checked(frame: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
        for name in names if frame.height else ():
            sound = frame[name].is_between(0.0, END, closed="left")  # NaN is not
            if wrong := int((~sound).sum()):
                frame = frame.with_columns(pl.when(sound).then(pl.col(name)).alias(name))
                what = f"{name} is no Unix time: it lies before 1970 or after the year 9999"
                notices.append(Notice(batch.path, None, what, wrong, _ADVICE))
        return frame

    runs, requests = checked(batch.runs, ("started_at",)), checked(batch.requests, _REQUEST)
    steps = checked(batch.steps, ("at",))
    windows = None if batch.windows is None else checked(batch.windows, ("at",))
    if not notices:
        return batch
    noted = [*batch.notices, *notices]
    return replace(batch, runs=runs, requests=requests, steps=steps, windows=windows, notices=noted)
