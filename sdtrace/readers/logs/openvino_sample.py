"""OpenVINO GenAI's sample of speculation: the metrics of the main and of the draft model.

The draft model's token count is cumulative over the pipeline's life and holds processed tokens: it is no count of drafts.
"""

import re
from typing import Any

import polars as pl

from sdtrace.readers.logs.dialect import Dialect, Heard, number
from sdtrace.schema.counters import Row

_HEAD = re.compile(r"(?:^|\s)(MAIN|DRAFT) MODEL\b")
_FIELD = re.compile(
    r"(?:^|\s)(Generate time|TPOT|Num generated token|Total iteration number|Num accepted token): ~?(\d+(?:\.\d+)?)"
)


def listen(path: str) -> Any:
    """A listener that remembers which model's figures come."""
    part, values, row = "", dict[tuple[str, str], float](), Row()

    def hear(rows: pl.DataFrame) -> Heard:
        nonlocal part, values, row
        heard = Heard()
        for line, text in rows.iter_rows():
            if m := _HEAD.search(text):
                part = m[1]
                if part == "MAIN":
                    values, row = {}, {}
                heard.used.add(line)
            elif part and (m := _FIELD.search(text)) and (value := number(m[2])) is not None:
                heard.used.add(line)
                values[part, m[1]] = value
                if made := _row(values):
                    if not any(row is other for other in heard.rows):
                        row = {"line": line}
                        heard.rows.append(row)
                    row |= made
        return heard

    return hear


def _row(values: dict[tuple[str, str], float]) -> Row | None:
    tokens, accepted = values.get(("MAIN", "Num generated token")), values.get(("MAIN", "Num accepted token"))
    if accepted is None:
        return None
    rounds = values.get(("MAIN", "Total iteration number"))
    if rounds is None and tokens is not None and tokens > accepted:
        rounds = tokens - accepted  # every iteration gives one token and those that it accepts
    row: Row = {"engine": "openvino", "surface": "sample", "basis": "request", "drafts": rounds}
    row |= {"accepted": accepted, "emitted": tokens, "busy_ms": values.get(("MAIN", "Generate time"))}
    row |= {"draft_ms": values.get(("DRAFT", "Generate time")), "family": "drafted tokens are not printed"}
    return row | {"said": {f"{part} {name}": v for (part, name), v in values.items()}}


DIALECT = Dialect(
    name="openvino-sample",
    engine="openvino",
    says="OpenVINO GenAI's sample of speculation",
    looks_for="`MAIN MODEL` and `Num accepted token:`",
    needles=(
        b"MAIN MODEL",
        b"DRAFT MODEL",
        b"Generate time:",
        b"TPOT:",
        b"Num generated token:",
        b"Total iteration number:",
        b"Num accepted token:",
    ),
    mark=re.compile(r"MAIN MODEL\b|Num accepted token: \d"),
    listen=listen,
)
