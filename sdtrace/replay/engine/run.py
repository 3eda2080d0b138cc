"""`replay --verifier http://...`: gather, score, compare; what was found as part of a report."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from sdtrace.errors import NoInputError
from sdtrace.readers import Opened
from sdtrace.replay.compare import COUNT, SHARE, Decisions, decisions
from sdtrace.replay.engine.client import Client, Engine, known
from sdtrace.replay.engine.score import Scores, far, scores
from sdtrace.replay.engine.texts import branches, facts, of_conversations, of_responses, rejected
from sdtrace.replay.requests import gather


@dataclass
class EngineReplay:
    """What the engine says of the ids that it is said to have written. `scored` of responses and of requests of traces."""

    shown: str
    engine: Engine
    scored: Scores
    texts: int
    left_out: Counter[str] = field(default_factory=Counter)
    decisions: Decisions = field(default_factory=lambda: Decisions(0, 0, 0, ()))

    @property
    def differs(self) -> bool:
        """Whether recorded log probabilities are not the engine's: more than strays lie outside the band."""
        n = far(self.scored)
        return n >= COUNT and n > SHARE * len(self.scored.d)


def conduct(
    sources: Sequence[Opened],
    client: Client,
    requests: int | None = None,
    state: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> EngineReplay:
    """Raises NoInputError where the inputs hold nothing that can be scored, or nothing answers."""
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
    if not any(lists for lists in found.rows):
        why = found.left_out.most_common(1)[0][0]
        hint = f"status 401 or 403: put the key into the variable {client.key_from}; --api-key-env names another one"
        raise NoInputError(f"{client.shown}: no text was scored: {why}", hint)
    more = branches(gathered.conversations, found)
    extra: dict[tuple[str, str, int], float] = {}
    if more:
        side = scores(client, engine, more, state, told)
        pairs = [(text.branch, lists) for text, lists in zip(more, side.rows, strict=True) if text.branch and lists]
        extra = {key: lists["logprobs"][0] for key, lists in pairs if lists["logprobs"][0] is not None}
        found.tokens += side.tokens
    judged = Decisions(0, 0, 0, ())
    if gathered.conversations:
        table = facts(gathered.conversations, found, extra)
        found.d += rejected(gathered.conversations, table)
        with np.errstate(all="ignore"):
            judged = decisions(gathered.conversations, table, found.band)
    return EngineReplay(client.shown, engine, found, len(texts), left_out + found.left_out, judged)
