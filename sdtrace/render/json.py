"""The document as JSON: the same bytes for the same input, and never a NaN."""

from typing import Any

import orjson

from sdtrace.redaction import redacted
from sdtrace.results.report import Report
from sdtrace.schema.json_values import Json


def dumps(report: Report) -> bytes:
    """The report's document, indented, with a newline at the end."""
    return document(report.document)


def document(value: Json) -> bytes:
    """Any document of plain values. Raises TypeError on a value that JSON has no word for."""
    return orjson.dumps(_plain(value), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _plain(value: Any) -> Any:
    """Non-finite numbers become null, lone surrogates a replacement character; both would be no JSON. Credentials go."""
    if isinstance(value, dict):
        return {_plain(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, str):
        return redacted(value).encode("utf-8", "replace").decode("utf-8")
    if value is None or isinstance(value, bool | int):
        return value
    raise TypeError(f"{type(value).__name__} is no plain value")
