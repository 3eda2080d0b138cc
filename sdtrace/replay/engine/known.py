"""Known ways to be wrong that an engine's scores can tell: parameters, rows, contexts; and from which place on p is another one's.

Positions and entries of a cache cannot be asked for. Where they go wrong, p is right up to a certain place: behind the prompt alone, in the
first step, up to the first rejection.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sdtrace.replay.contexts import not_rolled_back
from sdtrace.replay.conversation import Conversation
from sdtrace.replay.engine.score import Text
from sdtrace.replay.engine.ways import Change, Place, Way, applied
from sdtrace.responses.bounds import Sampling

_CHANGES: dict[str, Change] = {
    "temperature-ignored": lambda p: replace(p, temperature=1.0),
    "temperature-twice": lambda p: replace(p, temperature=p.temperature**2),
    "top-k-ignored": lambda p: replace(p, top_k=0),
    "top-p-ignored": lambda p: replace(p, top_p=1.0),
    "min-p-ignored": lambda p: replace(p, min_p=0.0),
    "truncation-ignored": lambda p: replace(p, top_k=0, top_p=1.0, min_p=0.0),
    "parameters-ignored": lambda p: Sampling(1.0),
}


def ways(conversations: Sequence[Conversation], special: frozenset[int]) -> Iterator[Way]:
    """Those that an engine's scores can tell, of these requests. `special`: tokens of the prompts that stand for a template."""
    given = [one for c in conversations if (one := applied(c)) is not None]
    known = [given]
    for name, change in _CHANGES.items():
        changed = [change(one) for one in given]
        if changed not in known:
            known.append(changed)
            yield Way(name, "sampling-params-ignored", change)
    yield Way("row-before", "misaligned-target-probs", by=-1)
    yield Way("row-after", "misaligned-target-probs", by=1)
    kept = tuple(_kept(one) for one in conversations)
    yield Way("not-rolled-back", "state-not-rolled-back", texts=kept)
    # rejected tokens that are seen at their old positions are likest to those that stand in the text
    yield Way("stale-entries", "state-not-rolled-back", texts=kept, begin=after_rejection)
    off = "position-off-by-one"
    yield Way("positions-drift-on-rejection", off, begin=after_rejection)
    yield Way("positions-drift", off, begin=lambda one: (1, 0))
    yield Way("positions-shifted", off, begin=lambda one: (0, 1))
    if all(len(one.prompt) > 1 for one in conversations):
        yield Way(
            "first-token-dropped",
            "verifier-differs",
            texts=tuple(_prompt(one, one.prompt[1:]) for one in conversations),
        )
    twice = tuple(_prompt(one, [one.prompt[0], *one.prompt]) for one in conversations)
    yield Way("first-token-twice", "verifier-differs", texts=twice)
    if special:
        without = tuple(_prompt(one, [t for t in one.prompt if t not in special]) for one in conversations)
        yield Way("template-dropped", "verifier-differs", texts=without)


def after_rejection(one: Conversation) -> Place:
    """The first place of the step behind the first rejection; behind the last step where nothing was rejected."""
    return next((s for s, step in enumerate(one.steps) if step.rejected), len(one.steps)) + 1, 0


def _kept(one: Conversation) -> tuple[Text, dict[Place, int]]:
    packed = not_rolled_back(one)
    ids = [*packed.tokens.tolist(), one.tokens[-1]]
    return Text(ids, len(one.prompt), {}, {}, ("", "", 0)), {place: row + 1 for place, row in packed.where.items()}


def _prompt(one: Conversation, prompt: list[int]) -> tuple[Text, dict[Place, int]]:
    prompt = prompt or one.prompt[-1:]  # something must be read
    by = len(prompt) - len(one.prompt)
    text = Text([*prompt, *one.tokens[len(one.prompt) :]], len(prompt), {}, {}, ("", "", 0))
    return text, {(s, j): step.begin + j + by for s, step in enumerate(one.steps) for j in range(step.n_a + 1)}
