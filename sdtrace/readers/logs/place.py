"""Whose lines a file holds where a shipper put them together: the pod, container or service named in front of a line."""

import re

#: `[pod/NAME/CONTAINER] ` of kubectl --prefix, `NAME-1  | ` of docker compose
PLACE = r"^\s*(?:\[((?:pod/)?[a-z][\w./-]*)\] |([A-Za-z][\w.-]*)\s*\| )"
_PLACE = re.compile(PLACE)


def place(text: str) -> str:
    """The name in front of a line; nothing where there is none."""
    found = _PLACE.match(text[:200])
    return (found[1] or found[2]) if found else ""
