"""Made responses as the product reads them."""

from typing import Any

import polars as pl

from sdtrace.readers.responses import responses as parse
from sdtrace.responses.texts import Texts
from sdtrace.results.check import Counts
from sdtrace.schema.responses import from_rows
from sdtrace.simulate.responses import Asked, responses


def table(**asked: Any) -> pl.DataFrame:
    """Responses of one engine."""
    return from_rows("made", [row for wrapped in responses(Asked(**asked)) for row in parse(wrapped)])


def texts(**asked: Any) -> Texts:
    """Their sums."""
    found = Texts()
    found.add(table(**asked))
    return found


def counts(found: Texts) -> Counts:
    """What a check of responses reads."""
    return Counts(0, 0, 0, (), sums=({"texts": found},))
