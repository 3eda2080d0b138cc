"""JSON of strangers: bare NaN and Infinity, integers of any length, nesting of any depth."""

import json
from typing import Any

import orjson

#: Deeper than anything that is written for others to read; what looks at values further on may go down step by step.
DEPTH = 64


def parsed(text: bytes) -> Any:
    """A JSON value; bare NaN and Infinity are taken as numbers. None where it is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return json.loads(text, parse_int=whole)
        except (ValueError, RecursionError):
            return None


def whole(digits: str) -> int | float:
    """An integer, as a float where it is beyond 64 bits: as orjson has it."""
    return int(digits) if len(digits) < 19 else float(digits)


def too_deep(value: Any, left: int = DEPTH) -> bool:
    """Whether a value is nested more than DEPTH deep."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(left == 0 or too_deep(v, left - 1) for v in inside if isinstance(v, dict | list))
