"""Forward passes over packed requests, and the few numbers that are kept of every row of p.

Rows stay on the device; what leaves it is one line a position: log p of the drafted and of the emitted token, the
argmax and its margin, and where the emitted token stands in the cumulative distribution. torch and numpy are enough for it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sdtrace.replay.conversation import Conversation
from sdtrace.replay.model import Verifier
from sdtrace.replay.packing import Packed, batches, chunks, places
from sdtrace.replay.parameters import Parameters, shaped

Tensor = Any

#: Tokens of one pass, and elements of a block of logits rows (float32) that exist at a time.
TOKENS = {"cpu": 1024, "cuda": 8192}
ELEMENTS = {"cpu": 1 << 24, "cuda": 1 << 28}


@dataclass(frozen=True)
class Place:
    """A row that is wanted: whose, where, and the tokens whose probability is asked."""

    one: int
    step: int
    position: int
    drafted: int | None
    emitted: int | None


def wanted(conversations: Sequence[Conversation], packed: Sequence[Packed], i: int) -> list[tuple[Place, int]]:
    """Every (place, packed row) of conversation i, in order of step and position."""
    found = []
    for s, step in enumerate(conversations[i].steps):
        for j in range(places(step)):
            drafted = step.draft[j] if j < len(step.draft) else None
            emitted = step.output[j] if j <= step.n_a and j < len(step.output) else None
            if (row := packed[i].where.get((s, j))) is not None and row >= 0:
                found.append((Place(i, s, j, drafted, emitted), row))
    return found


Rows = Callable[[list[Place], Tensor], None]  #: takes places and their float32 logits (m, vocabulary)


def run(
    verifier: Verifier,
    conversations: Sequence[Conversation],
    view: Callable[[Conversation], Packed],
    take: Rows,
    *,
    tokens: int | None = None,
    progress: Callable[[int], None] = lambda n: None,
) -> Iterator[list[int]]:
    """Run every conversation as `view` packs it; hands rows to `take`, yields the conversations that are finished."""
    packed = [view(one) for one in conversations]
    kind = verifier.device.split(":")[0]
    budget = tokens or TOKENS.get(kind, TOKENS["cuda"])
    for batch in batches(packed, budget):
        if len(batch) == 1 and packed[batch[0]].text > budget:
            _long(verifier, conversations, packed, batch[0], budget, take)
        else:
            _short(verifier, conversations, packed, batch, take)
        progress(sum(len(packed[i]) for i in batch))
        yield batch


def _short(
    verifier: Verifier, conversations: Sequence[Conversation], packed: Sequence[Packed], batch: list[int], take: Rows
) -> None:
    """Requests of similar length in one pass, padded; a padded token sees itself only."""
    longest = max(len(packed[i]) for i in batch)
    tokens = np.zeros((len(batch), longest), dtype=np.int64)
    positions = np.zeros((len(batch), longest), dtype=np.int64)
    mask = np.repeat(np.eye(longest, dtype=bool)[None], len(batch), axis=0)
    for b, i in enumerate(batch):
        one, n = packed[i], len(packed[i])
        tokens[b, :n], positions[b, :n] = one.tokens, one.positions
        mask[b, :n, :n] = next(chunks(one, max(one.text, 1))).mask
    hidden = verifier.hidden(*_device(verifier, tokens, positions, mask[:, None]))
    places = [(b, place, row) for b, i in enumerate(batch) for place, row in wanted(conversations, packed, i)]
    _rows(verifier, hidden, places, take)


def _long(
    verifier: Verifier, conversations: Sequence[Conversation], packed: Sequence[Packed], i: int, size: int, take: Rows
) -> None:
    """One long request in chunks over a key/value cache; branch tokens leave the cache after their chunk."""
    cache = verifier.cache()
    need = wanted(conversations, packed, i)
    for chunk in chunks(packed[i], size):
        tokens, positions = packed[i].tokens[chunk.index], packed[i].positions[chunk.index]
        hidden = verifier.hidden(*_device(verifier, tokens[None], positions[None], chunk.mask[None, None]), cache)
        _drop(cache, len(chunk.index) - chunk.chain)
        at = {int(row): k for k, row in enumerate(chunk.index)}
        _rows(verifier, hidden, [(0, place, at[row]) for place, row in need if row in at], take)


def stepwise(verifier: Verifier, conversations: Sequence[Conversation], take: Rows) -> None:
    """As an engine does it: a cache, one pass a step over the last token and the draft, rejected tokens cropped."""
    for i, one in enumerate(conversations):
        cache, cached = verifier.cache(), 0
        for s, step in enumerate(one.steps):
            tokens = np.array([*one.tokens[cached : step.begin], *step.draft], dtype=np.int64)
            positions = np.arange(cached, cached + len(tokens))
            mask = np.arange(cached + len(tokens))[None, :] <= positions[:, None]
            hidden = verifier.hidden(*_device(verifier, tokens[None], positions[None], mask[None, None]), cache)
            first = step.begin - cached - 1
            need = []
            for j in range(places(step)):
                drafted = step.draft[j] if j < len(step.draft) else None
                emitted = step.output[j] if j <= step.n_a and j < len(step.output) else None
                need.append((0, Place(i, s, j, drafted, emitted), first + j))
            _rows(verifier, hidden, need, take)
            kept = min(step.begin + min(step.n_a, len(step.output)), len(one.tokens) - 1)
            _drop(cache, cached + len(tokens) - kept)
            cached = kept


def _drop(cache: Any, tokens: int) -> None:
    """Forget the last `tokens` entries."""
    if tokens:
        cache.crop(-tokens)


def _device(verifier: Verifier, tokens: Any, positions: Any, mask: Any) -> tuple[Tensor, Tensor, Tensor]:
    tensors = (torch.from_numpy(np.ascontiguousarray(a)).to(verifier.device) for a in (tokens, positions, mask))
    one, two, three = tensors
    return one, two, three


def _rows(verifier: Verifier, hidden: Tensor, places: Sequence[tuple[int, Place, int]], take: Rows) -> None:
    kind = verifier.device.split(":")[0]
    size = max(ELEMENTS.get(kind, ELEMENTS["cuda"]) // verifier.vocab_size, 1)
    for start in range(0, len(places), size):
        block = places[start : start + size]
        b = torch.tensor([entry[0] for entry in block], device=hidden.device)
        row = torch.tensor([entry[2] for entry in block], device=hidden.device)
        take([entry[1] for entry in block], verifier.logits(hidden[b, row]))


def shape_rows(
    places: list[Place], logits: Tensor, conversations: Sequence[Conversation], given: Mapping[int, Parameters]
) -> Tensor:
    """Logits after each conversation's parameters; rows of one conversation are shaped together."""
    out = torch.empty_like(logits)
    for i in sorted({place.one for place in places}):
        mine = [k for k, place in enumerate(places) if place.one == i]
        one = conversations[i]

        def before(k: int, mine: list[int] = mine, one: Conversation = one) -> tuple[list[int], list[int]]:
            place = places[mine[k]]
            step = one.steps[place.step]
            text = one.tokens[len(one.prompt) : step.begin]
            return one.prompt, [*text, *step.draft[: place.position]]

        with torch.inference_mode():
            out[mine] = shaped(logits[mine], given[i], before)
    return out


def numbers(places: list[Place], logits: Tensor) -> dict[str, Any]:
    """What is kept of each row, from shaped logits, as numpy arrays (m): log p of the drafted and of the emitted token, how much of p
    lies below the latter (`below`), the best token and its lead (`gap`), and by how much the two tokens are behind it (`margin`). log 0
    is -inf; columns of a token that is None mean nothing."""
    with torch.inference_mode():
        log_p = logits.log_softmax(-1)
        best = logits.topk(2, dim=-1)
        top = best.values[:, 0]
        columns: dict[str, Any] = {"best": best.indices[:, 0], "gap": top - best.values[:, 1]}
        for name, ids in (("drafted", [p.drafted for p in places]), ("emitted", [p.emitted for p in places])):
            index = torch.tensor([0 if x is None else x for x in ids], device=logits.device).unsqueeze(-1)
            value = log_p.gather(-1, index).squeeze(-1)
            margin = top - logits.gather(-1, index).squeeze(-1)
            columns["log_p" if name == "drafted" else "log_p_emitted"] = value
            columns["margin_drafted" if name == "drafted" else "margin"] = margin
            if name == "emitted":
                columns["below"] = (log_p.exp().cumsum(-1).gather(-1, index).squeeze(-1) - value.exp()).clamp(0, 1)
        return {name: value.cpu().numpy() for name, value in columns.items()}
