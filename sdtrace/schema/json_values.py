"""What travels as JSON: read from a file, kept in one, or put into one."""

import json
from typing import Any

#: An object of a JSON document, by key.
Json = dict[str, Any]


def json_object(text: str | None) -> Json:
    """The JSON object in a text; {} where there is no text, no JSON in it, or something else."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
