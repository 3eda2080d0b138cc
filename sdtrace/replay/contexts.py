"""What a broken engine may have had in its cache, as packed sequences: each is run like the healthy one."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sdtrace.replay.conversation import Conversation
from sdtrace.replay.packing import Packed, pack, places


def not_rolled_back(one: Conversation) -> Packed:
    """Rejected tokens stay in the context and are counted: later tokens stand behind them."""
    return _kept(one, counted=True)


def stale_entries(one: Conversation) -> Packed:
    """Rejected tokens stay visible in the cache, later tokens have their right positions."""
    return _kept(one, counted=False)


def _kept(one: Conversation, *, counted: bool) -> Packed:
    tokens, where = list(one.prompt), dict[tuple[int, int], int]()
    true = list(range(len(one.prompt)))
    for s, step in enumerate(one.steps):
        begin = len(tokens)
        for j in range(places(step)):
            where[s, j] = begin + j - 1
        block = [*step.draft, *step.output[len(step.draft) :]]
        block = block if not step.rejected else [*step.draft, *step.output[step.n_a : step.n_a + 1]]
        tokens += block
        true += [step.begin + j for j in range(len(step.draft))]
        true += [step.begin + min(step.n_a, len(step.draft))] * (len(block) - len(step.draft))
    tokens, true = tokens[: max(where.values()) + 1], true[: max(where.values()) + 1]
    n = len(tokens)
    chain = np.arange(n)
    positions = chain if counted else np.array(true, dtype=np.int64)
    return Packed(np.array(tokens, dtype=np.int64), positions, chain + 1, chain, n, where)


def shifted(by: Callable[[Conversation, int], int]) -> Callable[[Conversation], Packed]:
    """The healthy context with position ids moved: by(conversation, number of the step) for what that step fed."""

    def view(one: Conversation) -> Packed:
        packed = pack(one)
        move = np.zeros(len(packed), dtype=np.int64)
        for s, step in enumerate(one.steps):
            # the token after the accepted block enters the cache with the next step's draft
            last = step.begin + min(step.n_a, len(step.output))
            move[step.begin : last] = by(one, s)
            move[last : step.begin + len(step.output)] = by(one, s + 1)
            for j in range(places(step)):
                if (row := packed.where[s, j]) >= packed.text:
                    move[row] = by(one, s)
        return replace(packed, positions=np.maximum(packed.positions + move, 0))

    return view


def without_first(one: Conversation) -> Packed:
    """The first token of the prompt (often the beginning-of-sequence token) was not there."""
    return _prompt(one, one.prompt[1:])


def first_twice(one: Conversation) -> Packed:
    """The first token of the prompt was there twice."""
    return _prompt(one, [one.prompt[0], *one.prompt])


def without(special: frozenset[int]) -> Callable[[Conversation], Packed]:
    """The prompt without its special tokens: the template was not applied."""
    return lambda one: _prompt(one, [t for t in one.prompt if t not in special])


def _prompt(one: Conversation, prompt: list[int]) -> Packed:
    """The same answer behind another prompt; an empty one leaves its last token, since something must be read."""
    prompt = prompt or one.prompt[-1:]
    by = len(prompt) - len(one.prompt)
    steps = [replace(step, begin=step.begin + by) for step in one.steps]
    return pack(replace(one, prompt=prompt, steps=steps, tokens=prompt + one.tokens[len(one.prompt) :]))
