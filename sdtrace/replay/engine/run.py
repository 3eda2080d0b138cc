"""`replay --verifier http://...`: gather, score, compare; what was found as part of a report."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np

from sdtrace.errors import NoInputError
from sdtrace.readers import Opened
from sdtrace.replay.compare import COUNT, SHARE, Decisions, decisions
from sdtrace.replay.conversation import Conversation
from sdtrace.replay.engine import precision
from sdtrace.replay.engine.client import Client, Engine, known
from sdtrace.replay.engine.dialects import narrowed
from sdtrace.replay.engine.known import ways
from sdtrace.replay.engine.score import Apart, Scores, far, scores
from sdtrace.replay.engine.texts import branches, facts, of_conversations, of_responses, raw, rejected
from sdtrace.replay.engine.tokenize import special
from sdtrace.replay.engine.tried import Tried, named, other_weights, tried
from sdtrace.replay.engine.ways import WIDE, Scored, Seen, Way, bounded, distance, seen
from sdtrace.replay.requests import dtype, gather
from sdtrace.schema.responses import Lists

#: Records further off than the engine is from itself, from which ways to be wrong are tried: one that explains them makes so few a finding.
FEW = 2


@dataclass
class EngineReplay:
    """What the engine says of the ids that it is said to have written. `scored` of responses and of requests of traces."""

    shown: str
    engine: Engine
    scored: Scores
    texts: int
    left_out: Counter[str] = field(default_factory=Counter)
    decisions: Decisions = field(default_factory=lambda: Decisions(0, 0, 0, ()))
    ways: list[Tried] = field(default_factory=list)
    named: Tried | None = None
    rivals: list[Tried] = field(default_factory=list)
    precision: str | None = None  #: in which the engine that was asked computes, by what it tells
    recorded_precision: str | None = None  #: in which the recorded one did, by its p or by what the run says
    said_precision: str | None = None  #: what the run says

    @property
    def differs(self) -> bool:
        """Whether recorded log probabilities are not the engine's: more than strays lie outside the band."""
        n = far(self.scored)
        return n >= COUNT and n > SHARE * len(self.scored.distances)

    @property
    def apart(self) -> bool:
        """Whether the recorded engine and the one that was asked compute in two precisions, which move log p by as much."""
        d = np.abs(np.array(self.scored.distances, dtype=np.float64))
        return self.named is None and precision.explains(self.precision, self.recorded_precision, d)

    @property
    def name(self) -> str | None:
        """Of the known way to be wrong that explains the records."""
        if self.named is not None:
            return self.named.way.name
        return f"precision-{self.recorded_precision}" if self.differs and self.apart else None


def conduct(
    sources: Sequence[Opened],
    client: Client,
    requests: int | None = None,
    state: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    suspects: Sequence[Client] = (),
) -> EngineReplay:
    """`suspects`: engines that serve another model, which may have run instead. Raises NoInputError where the inputs hold nothing that
    can be scored, or nothing answers."""
    engine = known(client)
    told = progress or (lambda what, done, total: None)
    gathered = gather(sources, requests)
    left_out = Counter(gathered.left_out)
    texts = [*of_conversations(gathered.conversations), *of_responses(sources, left_out, client, engine, requests)]
    if not texts:
        why = left_out.most_common(1)[0][0] if left_out else "the inputs hold no ids"
        raise NoInputError(
            f"nothing can be scored: {why}", "record token ids of prompt and output; sdtrace probe asks for them"
        )
    found = scores(client, engine, texts, state, told)
    while not any(found.rows) and (less := narrowed(engine, client)) is not None:
        engine = less
        found = scores(client, engine, texts, state, told)
    if not any(lists for lists in found.rows):
        why = found.left_out.most_common(1)[0][0]
        hint = client.hint or "the log of the server says why"
        raise NoInputError(f"{client.shown}: no text was scored: {why}", hint)
    more = branches(gathered.conversations, found)
    extra: dict[tuple[str, str, int], float] = {}
    if more:
        side = scores(client, engine, more, state, told)
        pairs = [(text.branch, lists) for text, lists in zip(more, side.rows, strict=True) if text.branch and lists]
        extra = {key: lists["logprobs"][0] for key, lists in pairs if lists["logprobs"][0] is not None}
        found.tokens += side.tokens
    made = EngineReplay(client.shown, engine, found, len(texts), left_out + found.left_out)
    made.precision = precision.of_scores(found.rows)
    raw_rows = cast("list[Lists]", [text.row for text in texts if text.recorded])
    made.recorded_precision = precision.of_scores(raw_rows)
    if gathered.conversations:
        made.said_precision = dtype(gathered.conversations)
        told_by_p = precision.of_records(gathered.conversations)
        made.recorded_precision = told_by_p or made.said_precision or made.recorded_precision
        _compared(made, gathered.conversations, extra, client, told, suspects, state)
    return made


def _compared(
    made: EngineReplay,
    ones: Sequence[Conversation],
    extra: dict[tuple[str, str, int], float],
    client: Client,
    progress: Callable[[str, int, int], None],
    suspects: Sequence[Client],
    state: str | None,
) -> None:
    """Recorded p, decisions, and known ways to be wrong, where p is not the engine's."""
    found = made.scored
    own = [
        None if lists is None else Scored(lists, len(one.prompt)) for one, lists in zip(ones, found.rows, strict=False)
    ]
    table = facts(ones, found, extra, own)
    found.d += rejected(ones, table)
    recorded = seen(ones, extra)
    sound = [bounded(one, None, ones, own) for one in recorded]
    for one, bounds in zip(recorded, sound, strict=True):
        if bounds is not None and not raw(ones[one.of]) and not one.rejected:
            _bounded(made, ones[one.of], one, bounds)
    found.widest()
    # bounds are half a band wide where parameters shaped p
    width = found.band if all(map(raw, ones)) else 2 * found.band
    if made.apart:
        width = max(width, max(precision.MOVES[one][1] for one in (made.precision, made.recorded_precision) if one))
    with np.errstate(all="ignore"):
        made.decisions = decisions(ones, table, width)
    if far(found) >= FEW:
        template = special(client, made.engine, {token for one in ones for token in one.prompt})
        known_ways = [way for way in ways(ones, template) if made.differs or way.begin is None]
        tries = [(way, _under(way, recorded, ones, own, made, client, progress, state)) for way in known_ways]
        tries += [_suspected(other, recorded, ones, progress, state) for other in suspects]
        exact = (made.precision, made.recorded_precision or "float32") == ("float32", "float32")
        for way, its in tries:
            if (told := tried(way, recorded, sound, its, found.fine if exact else found.band, ones)) is not None:
                made.ways.append(told)
        made.ways.sort(key=lambda told: -told.log_odds)
        made.named, made.rivals = named(made.ways)
        if made.named is None and made.differs and not made.apart:
            made.named = other_weights(recorded, sound, found.band)


def _suspected(
    other: Client,
    recorded: Sequence[Seen],
    ones: Sequence[Conversation],
    progress: Callable[[str, int, int], None],
    state: str | None,
) -> tuple[Way, list[tuple[float, float] | None]]:
    """Bounds of what was recorded under the model of another engine. Raises NoInputError where none answers."""
    engine = known(other)
    name = f"{engine.model} at {other.shown}" if engine.model else other.shown
    rows = scores(other, engine, of_conversations(ones), state, progress).rows
    texts = [None if lists is None else Scored(lists, len(one.prompt)) for one, lists in zip(ones, rows, strict=True)]
    way = Way(f"model:{engine.model or other.shown}", "verifier-differs", model=name)
    return way, [bounded(replace(one, own=None), way, ones, texts) for one in recorded]


def _bounded(made: EngineReplay, conversation: Conversation, one: Seen, bounds: tuple[float, float]) -> None:
    off, found = distance(one.log_p, bounds), made.scored
    if off or bounds[1] - bounds[0] <= WIDE:
        found.bounded.append(off)
    if abs(off) > found.band:
        row, nearest = conversation.steps[one.step].row, bounds[0] if off < 0 else bounds[1]
        path, line, request = (row[name] for name in ("path", "line", "request_id"))
        said, again = math.exp(one.log_p), math.exp(nearest)
        found.places.append(Apart(path, line, request, said, again, step=one.step, position=one.position))


def _under(
    way: Way,
    recorded: Sequence[Seen],
    ones: Sequence[Conversation],
    own: Sequence[Scored | None],
    made: EngineReplay,
    client: Client,
    progress: Callable[[str, int, int], None],
    state: str | None,
) -> list[tuple[float, float] | None]:
    """Bounds of what was recorded under a way; texts that it needs are scored."""
    texts = own
    if way.texts:
        new = [text for text, _ in way.texts]
        scored = scores(client, made.engine, new, state, progress)
        made.scored.tokens += scored.tokens
        texts = [
            None if lists is None else Scored(lists, text.begin) for text, lists in zip(new, scored.rows, strict=True)
        ]
    return [bounded(one, way, ones, texts) for one in recorded]
