"""A setting in a printed configuration: whether it has a value, or is off (None, null, False, -1, an empty string)."""

import re

_OFF = re.compile(r"(?:None|null|[Ff]alse|off|-\d[\d.]*|''|\"\"|\[\]|0(?:\.0*)?)(?![\w.])")


def on(text: str, name: str) -> bool:
    """Whether a line sets a name to something that is not off."""
    start = text.find(name)
    while start >= 0:
        rest = text[start + len(name) : start + len(name) + 40]
        value = rest.lstrip("'\"")
        if value[:1] in ("=", ":", " ") and (value := value.lstrip("=: ")) and not _OFF.match(value):
            return True
        start = text.find(name, start + 1)
    return False
