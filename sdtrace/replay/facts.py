"""What is kept of every row of p, as a table."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from sdtrace.replay.conversation import Conversation
from sdtrace.replay.passes import Place, numbers

Tensor = Any

SCHEMA = {
    "run_id": pl.String, "request_id": pl.String, "step": pl.Int64, "position": pl.Int64,
    "drafted": pl.Int64, "emitted": pl.Int64, "log_p": pl.Float64, "log_p_emitted": pl.Float64, "below": pl.Float64,
    "best": pl.Int64, "gap": pl.Float64, "margin": pl.Float64, "margin_drafted": pl.Float64,
}  # fmt: skip


def facts(places: list[Place], logits: Tensor, conversations: Sequence[Conversation]) -> pl.DataFrame:
    """One line a row, from shaped logits; columns of SCHEMA. log 0 is -inf; `margin` is the best logit minus the token's."""
    frame = pl.DataFrame(
        {
            "run_id": [conversations[p.one].key[0] for p in places],
            "request_id": [conversations[p.one].key[1] for p in places],
            "step": [p.step for p in places],
            "position": [p.position for p in places],
            "drafted": [p.drafted for p in places],
            "emitted": [p.emitted for p in places],
            **numbers(places, logits),
        },
        schema_overrides={"drafted": pl.Int64, "emitted": pl.Int64},
    )
    for column, of in _TOKEN_OF.items():
        frame = frame.with_columns(pl.when(pl.col(of).is_not_null()).then(pl.col(column)).alias(column))
    return frame.select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())


#: Which token a column speaks of: it is null where there is no such token.
_TOKEN_OF = {
    "log_p": "drafted",
    "margin_drafted": "drafted",
    "log_p_emitted": "emitted",
    "margin": "emitted",
    "below": "emitted",
}
