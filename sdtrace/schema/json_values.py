"""What travels as JSON: read from a file, kept in one, or put into one."""

from typing import Any

#: An object of a JSON document, by key.
Json = dict[str, Any]
