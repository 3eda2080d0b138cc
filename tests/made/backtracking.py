"""How many steps a backtracking matcher takes for a pattern: counted on `re`'s own parse tree, so that no clock is needed.

A program of a few instructions is run the way `re` matches: greedy, lazy, possessive, atomic. Strings that may be slow are
made from the pattern: what stands before a repeat, its body many times, and an end that fits nothing.
"""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from tests.made.characters import fits

#: The parser is no public part of `re`; its tree has not changed from Python 3.11 to 3.13.
c, _parser = import_module("re._constants"), import_module("re._parser")

#: Steps after which a pattern is taken for exponential.
MOST = 2_000_000
TAIL = "\0!"
_SAMPLE = "a1 ._-:/|\"',=([{<\\nA0+Z\t"


class TooMany(Exception):
    """The pattern takes more than MOST steps."""


def tree(pattern: re.Pattern[Any]) -> tuple[Any, int]:
    """The parse tree and flags; patterns over bytes as if over text."""
    source = pattern.pattern
    text = source.decode("latin-1") if isinstance(source, bytes) else source
    flags = pattern.flags & (re.I | re.M | re.S | re.X)
    return _parser.parse(text, flags), flags


# ---- programs


def program(items: Any, flags: int) -> list[Any]:
    """Instructions: ("char", fits), ("split", first, second), ("jump", to), ("at", where), ("look", ...), ("atomic", ...)."""
    made: list[Any] = []
    _emit(items, flags, made)
    made.append(("end",))
    return made


def _emit(items: Any, flags: int, made: list[Any]) -> None:
    for op, value in items:
        if op in (c.LITERAL, c.NOT_LITERAL, c.ANY, c.IN):
            made.append(("char", fits(op, value, flags)))
        elif op is c.SUBPATTERN:
            _emit(value[3], (flags | value[1]) & ~value[2], made)
        elif op is c.BRANCH:
            _branch(value[1], flags, made)
        elif op in (c.MAX_REPEAT, c.MIN_REPEAT):
            _repeat(value, flags, made, lazy=op is c.MIN_REPEAT)
        elif op is c.POSSESSIVE_REPEAT:
            inner: list[Any] = []
            _repeat(value, flags, inner, lazy=False)
            made.append(("atomic", [*inner, ("end",)]))
        elif op is c.ATOMIC_GROUP:
            made.append(("atomic", program(value, flags)))
        elif op in (c.ASSERT, c.ASSERT_NOT):
            behind = value[1].getwidth()[0] if value[0] < 0 else 0
            made.append(("look", program(value[1], flags), behind, op is c.ASSERT))
        elif op is c.AT:
            made.append(("at", value))
        else:
            raise NotImplementedError(op)


def _branch(ways: Any, flags: int, made: list[Any]) -> None:
    jumps = []
    for i, way in enumerate(ways):
        split = len(made)
        if i < len(ways) - 1:
            made.append(None)
        _emit(way, flags, made)
        if i < len(ways) - 1:
            jumps.append(len(made))
            made.append(None)
            made[split] = ("split", split + 1, len(made))
    for jump in jumps:
        made[jump] = ("jump", len(made))


def _repeat(value: Any, flags: int, made: list[Any], *, lazy: bool) -> None:
    least, most, body = value
    for _ in range(least):
        _emit(body, flags, made)
    if most is c.MAXREPEAT:
        split = len(made)
        made += [None, ("mark",)]
        _emit(body, flags, made)
        made += [("moved",), ("jump", split)]
        made[split] = ("split", split + 1, len(made)) if not lazy else ("split", len(made), split + 1)
        return
    splits = []
    for _ in range(most - least):
        splits.append(len(made))
        made.append(None)
        _emit(body, flags, made)
    for split in splits:
        made[split] = ("split", split + 1, len(made)) if not lazy else ("split", len(made), split + 1)


class Machine:
    """Runs programs over one text, and counts."""

    def __init__(self, text: str) -> None:
        self.text, self.steps = text, 0

    def run(self, code: list[Any], start: int) -> int:
        """Where the first match ends; -1 where there is none."""
        stack: list[tuple[int, int, tuple[int, ...]]] = [(0, start, ())]
        text = self.text
        while stack:
            pc, at, marks = stack.pop()
            while True:
                self.steps += 1
                if self.steps > MOST:
                    raise TooMany
                step = code[pc]
                kind = step[0]
                if kind == "char":
                    if at < len(text) and step[1](text[at]):
                        pc, at = pc + 1, at + 1
                        continue
                    break
                if kind == "split":
                    stack.append((step[2], at, marks))
                    pc = step[1]
                elif kind == "jump":
                    pc = step[1]
                elif kind == "mark":
                    pc, marks = pc + 1, (*marks, at)
                elif kind == "moved":
                    if marks[-1] == at:
                        break
                    pc, marks = pc + 1, marks[:-1]
                elif kind == "end":
                    return at
                elif kind == "atomic":
                    end = self.run(step[1], at)
                    if end < 0:
                        break
                    pc, at = pc + 1, end
                elif kind == "look":
                    found = at >= step[2] and self.run(step[1], at - step[2]) >= 0
                    if found is not step[3]:
                        break
                    pc += 1
                elif self._at(step[1], at):
                    pc += 1
                else:
                    break
        return -1

    def _at(self, where: Any, at: int) -> bool:
        text = self.text
        if where in (c.AT_BEGINNING, c.AT_BEGINNING_STRING):
            return at == 0
        if where is c.AT_END:
            return at == len(text) or text[at:] == "\n"
        if where is c.AT_END_STRING:
            return at == len(text)
        words = [i >= 0 and i < len(text) and (text[i].isalnum() or text[i] == "_") for i in (at - 1, at)]
        return (words[0] != words[1]) is (where is c.AT_BOUNDARY)


def steps(code: list[Any], text: str, *, anchored: bool) -> int:
    """Steps of a search that fails, or that finds its first match."""
    machine = Machine(text)
    try:
        for start in range(1 if anchored else len(text) + 1):
            if machine.run(code, start) >= 0:
                break
    except TooMany:
        return MOST
    return machine.steps


# ---- texts that may be slow


def example(items: Any, flags: int, variant: int) -> str:
    """A text that the items match: the variant-th character of each set, the variant-th way of each branch."""
    made = []
    for op, value in items:
        if op in (c.LITERAL, c.NOT_LITERAL, c.ANY, c.IN):
            fitting = fits(op, value, flags)
            chars = (
                [chr(value)]
                if op is c.LITERAL
                else [x for x in _SAMPLE if fitting(x)]
                or [chr(i) for i in range(1, 256) if fitting(chr(i))]
                or [chr(v if o is c.LITERAL else v[0]) for o, v in value if o in (c.LITERAL, c.RANGE)]
            )
            made.append(chars[variant % len(chars)])
        elif op is c.SUBPATTERN:
            made.append(example(value[3], flags, variant))
        elif op is c.BRANCH:
            made.append(example(value[1][variant % len(value[1])], flags, variant))
        elif op in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT):
            made.append(example(value[2], flags, variant) * max(value[0], variant % 2 if value[1] else 0))
        elif op is c.ATOMIC_GROUP:
            made.append(example(value, flags, variant))
    return "".join(made)


def _repeats(items: Any, flags: int, variant: int, before: str) -> Iterator[tuple[str, str]]:
    """Every repeat as (a text before it, its body)."""
    for op, value in items:
        if op in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT):
            if value[1] > 1:
                yield before, example(value[2], flags, variant)
            yield from _repeats(value[2], flags, variant, before)
        elif op is c.SUBPATTERN:
            yield from _repeats(value[3], flags, variant, before)
        elif op is c.ATOMIC_GROUP:
            yield from _repeats(value, flags, variant, before)
        elif op is c.BRANCH:
            for way in value[1]:
                yield from _repeats(way, flags, variant, before)
        before += example([(op, value)], flags, variant)


def pumps(pattern: re.Pattern[Any], variants: int = 3) -> set[tuple[str, str]]:
    """(what stands once, what is repeated) of texts that may be slow."""
    items, flags = tree(pattern)
    found = set()
    for variant in range(variants):
        whole = example(items, flags, variant)
        found.add(("", whole))
        for before, body in _repeats(items, flags, variant, ""):
            if body:
                found |= {(before, body), ("", before + body), ("", body)}
    return {(once, again) for once, again in found if again}


#: Repeats of a pump that are tried one after the other, each twice as many against as many, and the growth that is looked into
#: with more of them: a bounded repeat grows faster up to its bound, and a constant hides what grows.
ROUNDS = ((8, 2.15), (64, 2.4), (512, 2.6))


def worst(pattern: re.Pattern[Any], uses: set[str]) -> tuple[float, str]:
    """The greatest growth of steps where the text grows twice as long, and the text that shows it: above 2.6 is not linear.

    `uses`: the methods that it is used with; match and fullmatch begin at the beginning of the text only.
    """
    items, flags = tree(pattern)
    code = program(items, flags)
    anchored = bool(uses) and uses <= {"match", "fullmatch"}
    if uses == {"fullmatch"}:
        code[-1:] = [("at", c.AT_END_STRING), ("end",)]
    found = (0.0, "")
    for once, again in sorted(pumps(pattern)):
        growth = 0.0
        for n, limit in ROUNDS:
            growth = _growth(code, once, again, n, anchored)
            if growth <= limit:
                break
        found = max(found, (growth, f"{once!r} + {again!r} * n"))
        if growth == float("inf"):
            break
    return found


def _growth(code: list[Any], once: str, again: str, n: int, anchored: bool) -> float:
    small, large = (steps(code, once + again * m + TAIL, anchored=anchored) for m in (n, 2 * n))
    return large / small if large < MOST else float("inf")
