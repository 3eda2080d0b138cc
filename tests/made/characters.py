"""Which characters an item of `re`'s parse tree fits."""

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

c = import_module("re._constants")


def _category(name: Any, char: str) -> bool:
    kinds: dict[Any, Callable[[str], bool]] = {
        c.CATEGORY_DIGIT: str.isdigit,
        c.CATEGORY_SPACE: str.isspace,
        c.CATEGORY_WORD: lambda x: x.isalnum() or x == "_",
    }
    negated = {
        c.CATEGORY_NOT_DIGIT: c.CATEGORY_DIGIT,
        c.CATEGORY_NOT_SPACE: c.CATEGORY_SPACE,
        c.CATEGORY_NOT_WORD: c.CATEGORY_WORD,
    }
    return not kinds[negated[name]](char) if name in negated else kinds[name](char)


def fits(op: Any, value: Any, flags: int) -> Callable[[str], bool]:
    fold: Callable[[str], str] = str.lower if flags & re.I else str
    if op is c.LITERAL:
        return lambda x: fold(x) == fold(chr(value))
    if op is c.NOT_LITERAL:
        return lambda x: fold(x) != fold(chr(value))
    if op is c.ANY:
        return (lambda x: True) if flags & re.S else (lambda x: x != "\n")
    parts, negate = [p for p in value if p[0] is not c.NEGATE], value[0][0] is c.NEGATE

    def one(char: str) -> bool:
        for kind, what in parts:
            if kind is c.LITERAL and fold(char) == fold(chr(what)):
                return True
            if kind is c.RANGE and what[0] <= ord(char) <= what[1]:
                return True
            if kind is c.CATEGORY and _category(what, char):
                return True
        return False

    return (lambda x: not one(x)) if negate else one
