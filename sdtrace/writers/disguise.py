"""Batches as they may be handed on: requests under pseudonyms, no tags, no names of users, no rule parameters but the known.

What is computed from such batches holds none of it either, whatever it quotes.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol, TypeVar

import orjson
import polars as pl

from sdtrace.redaction import nameless
from sdtrace.schema.texts import changed, column_changed
from sdtrace.schema.trace import Batch, Event, Loss, Notice
from sdtrace.verify.law import CHILDREN

Placed = TypeVar("Placed", Loss, Notice, Event)

#: What laws read of `rule_params`.
_PARAMS = frozenset(
    {
        *CHILDREN,
        *("lenience", "relaxed_topk", "relaxed_delta", "rates", "acceptance_rate", "rate", "epsilon", "delta"),
        *("threshold_acc", "threshold_single", "posterior_threshold", "posterior_alpha", "threshold"),
    }
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_MODELS = ("target_model", "draft_model")


class Readable(Protocol):
    """What the key of pseudonyms is made from: the bytes of an input, which whoever gets the bundle does not have."""

    @property
    def head(self) -> bytes:
        """Its first bytes; empty for a folder."""

    @property
    def file(self) -> Path | None:
        """Where it is."""


def key_of(inputs: Iterable[Readable]) -> bytes:
    """A key that the inputs give and that cannot be told from what is handed on: the same inputs give the same pseudonyms."""
    digest = blake2b(digest_size=32)
    for one in inputs:
        digest.update(one.head)
        if one.file is not None and one.file.is_dir():
            for part in sorted(one.file.rglob("*.parquet")):
                with part.open("rb") as stream:
                    digest.update(stream.read(1 << 16))
    return digest.digest()


@dataclass(frozen=True)
class Disguise:
    """Turns the batches of an input into such as may be handed on."""

    key: bytes

    def __call__(self, batch: Batch) -> Batch:
        models = [pl.col(name).str.extract(r"([^/\\]*)[/\\]*$") for name in _MODELS]
        runs = changed(batch.runs.with_columns(*models), nameless)
        params = pl.col("rule_params").map_elements(known_params, return_dtype=pl.String)
        windows = batch.windows
        if windows is not None:
            windows = self.named(windows)
        return replace(
            batch,
            path=nameless(batch.path),
            runs=runs.with_columns(params),
            requests=self.named(batch.requests).with_columns(tags=pl.lit(None, dtype=pl.String)),
            steps=self.named(batch.steps),
            losses=_placed(batch.losses),
            notices=_placed(batch.notices),
            events=_placed(batch.events),
            windows=windows,
            responses=None if batch.responses is None else self._unsaid(batch.responses),
        )

    def _unsaid(self, responses: pl.DataFrame) -> pl.DataFrame:
        """Responses without the names of paths, models and requests."""
        plain = responses.with_columns(
            pl.col("model").str.extract(r"([^/\\]*)[/\\]*$"), pl.col("steered").str.slice(0, 0)
        )
        said = plain.with_columns(steered=pl.when(responses["steered"].is_not_null()).then(pl.lit("a parameter")))
        return self.named(said).with_columns(pl.col("path").map_elements(nameless, return_dtype=pl.String))

    def pseudonym(self, request_id: str) -> str:
        """The name of a request for others: it says nothing, and is the same wherever the request is met."""
        text = request_id.encode("utf-8", "surrogatepass")
        return f"request-{blake2b(text, key=self.key, digest_size=6).hexdigest()}"

    def named(self, table: pl.DataFrame) -> pl.DataFrame:
        """A table whose requests have other names."""
        return column_changed(changed(table, nameless, ("request_id",)), "request_id", self.pseudonym)


def known_params(text: str) -> str:
    """Of the parameters of a law those that a law reads, and of these numbers and lists of numbers."""
    try:
        params = orjson.loads(text)
    except ValueError:
        return "{}"
    found = params.items() if isinstance(params, dict) else ()
    return orjson.dumps({name: value for name, value in found if name in _PARAMS and _numeric(value)}).decode()


def _numeric(value: Any) -> bool:
    return isinstance(value, int | float) or (
        isinstance(value, list) and all(isinstance(v, int | float) for v in value)
    )


def _placed(rows: list[Placed]) -> list[Placed]:
    """Without what is quoted: the name of an unknown key, say, is the user's."""
    return [replace(row, path=nameless(row.path), what=_QUOTED.sub("'...'", nameless(row.what))) for row in rows]
