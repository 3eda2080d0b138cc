"""A request as one sequence for one forward pass: the accepted text, then every rejected branch, with a tree mask.

A packed token sees a prefix of the sequence and its own branch: visible(i, j) = j < upto[i] or since[i] <= j <= i.
Positions count tokens of the text that the model is meant to have seen, so that a branch token stands where it stood
in the engine's step. The same form holds what a broken engine had in its cache (`wrong_contexts`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdtrace.replay.conversation import Conversation, Step
from sdtrace.schema.arrays import Ints


@dataclass(frozen=True)
class Packed:
    """n packed tokens; `where[step, position]` is the packed token whose row is p at that position of that step.

    `text` is how many tokens at the front are the chain itself; the rest are branches, in order of where they attach.
    """

    tokens: Ints
    positions: Ints
    upto: Ints
    since: Ints
    text: int
    where: dict[tuple[int, int], int]

    def __len__(self) -> int:
        return len(self.tokens)


def places(step: Step) -> int:
    """Positions of a step that have a row: every drafted one, and the one of the token after the accepted block."""
    return max(len(step.draft), min(step.n_a + 1, len(step.output)))


def pack(one: Conversation, *, branches: bool = True) -> Packed:
    """The healthy engine's view. Without branches only positions up to the first rejection have a row."""
    text = one.tokens[: _last(one)]
    tokens, positions = list(text), list(range(len(text)))
    upto, since = [i + 1 for i in range(len(text))], list(range(len(text)))
    where: dict[tuple[int, int], int] = {}
    for s, step in enumerate(one.steps):
        agreed = _agreed(step)
        for j in range(min(agreed + 1, places(step))):
            where[s, j] = step.begin + j - 1
        rest = step.draft[agreed : places(step) - 1] if branches else []
        block = len(tokens)
        for k, token in enumerate(rest):
            tokens.append(token)
            positions.append(step.begin + agreed + k)
            upto.append(step.begin + agreed)
            since.append(block)
            where[s, agreed + k + 1] = block + k
    return Packed(_array(tokens), _array(positions), _array(upto), _array(since), len(text), where)


def _array(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def _agreed(step: Step) -> int:
    """How many drafted tokens stand in the text as they were drafted."""
    pairs = zip(step.draft, step.output, strict=False)
    return next((i for i, (x, y) in enumerate(pairs) if x != y), min(len(step.draft), len(step.output)))


def _last(one: Conversation) -> int:
    """Tokens of the text that something is predicted from."""
    final = one.steps[-1]
    return max(final.begin + min(_agreed(final), max(places(final) - 1, 0)), 1)


@dataclass(frozen=True)
class Chunk:
    """A piece of a packed request for one pass over a cache of `cached` chain tokens.

    `index` are the packed tokens of the piece, chain first; `chain` of them stay in the cache. `mask` is (len(index),
    cached + len(index)), true where the row may look.
    """

    index: Ints
    cached: int
    chain: int
    mask: npt.NDArray[np.bool_]


def chunks(packed: Packed, size: int) -> Iterator[Chunk]:
    """The request in pieces of `size` chain tokens, each with the branches that attach inside it (or at its edge)."""
    n, text = len(packed), packed.text
    branch = np.arange(text, n)
    for begin in range(0, text, size):
        end = min(begin + size, text)
        edge = packed.upto[branch]
        mine = branch[(edge > begin) & (edge <= end)]
        index = np.concatenate([np.arange(begin, end), mine])
        yield Chunk(index, begin, end - begin, _mask(packed, index, begin))


def _mask(packed: Packed, index: Ints, cached: int) -> npt.NDArray[np.bool_]:
    columns = np.concatenate([np.arange(cached), index])
    rows = index[:, None]
    inside: npt.NDArray[np.bool_] = columns[None, :] < packed.upto[rows]
    own = (columns[None, :] >= packed.since[rows]) & (columns[None, :] <= rows)
    return inside & (columns < packed.text)[None, :] | own


def batches(packed: Sequence[Packed], budget: int) -> Iterator[list[int]]:
    """Which requests share a pass: neighbours in length, padded to the longest, `budget` tokens in all; long ones alone."""
    order = sorted(range(len(packed)), key=lambda i: (len(packed[i]), i))
    batch: list[int] = []
    for i in order:
        if batch and len(packed[i]) * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
