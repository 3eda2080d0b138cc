"""What the engine's scores make of a recorded probability, and which known way to be wrong explains those that are not the engine's.

An engine tells raw log probabilities of the best tokens of a row. What a request's temperature and cuts make of them is known between
bounds (`responses.bounds`), which are narrow where the listed tokens hold nearly all of what is left. Penalties need logits, which are not
told: what they shaped is not compared. Positions and weights of a cache cannot be asked for: those ways are left to a replay of the model.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from sdtrace.replay.bands import LEAST
from sdtrace.replay.conversation import Conversation
from sdtrace.replay.engine.score import Text
from sdtrace.replay.likelihood import SAYS
from sdtrace.responses.bounds import GREEDY, Sampling, Weights, weights
from sdtrace.responses.evidence import Rows
from sdtrace.responses.positions import listed, sampling, sure
from sdtrace.schema.responses import Lists, Parameters

#: Bounds of a log probability wider than this, in nats, tell nothing.
WIDE = 0.5
#: A row of a text and what is applied to it: one place of a step under a way.
Place = tuple[int, int]
Change = Callable[[Sampling], Sampling]
Begin = Callable[[Conversation], Place]


@dataclass(frozen=True)
class Seen:
    """A recorded log probability of `token` at a place of a conversation; `own`: the engine's, where it was asked for by itself."""

    of: int
    step: int
    position: int
    token: int
    log_p: float
    rejected: bool
    own: float | None = None


@dataclass
class Scored:
    """A text with what the engine says of it: bounds of any token's log probability at any place from `begin` on."""

    lists: Lists
    begin: int
    rows: Rows | str = field(init=False)
    found: dict[Sampling, Weights] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rows = sure(listed(self.lists), self.lists)

    def bounds(self, at: int, token: int, given: Sampling, own: float | None = None) -> tuple[float, float] | None:
        """Least and greatest log probability; None where nothing is told of the token."""
        r, rows = at - self.begin, self.rows
        if isinstance(rows, str) or not 0 <= r < len(rows.top):
            return None
        if given not in self.found:
            self.found[given] = weights(rows.top, rows.edge, rows.error, given)
        all_of = self.found[given]
        low, high = float(all_of.low[r].sum()), float(all_of.high[r].sum())
        rest_low, rest_high = float(all_of.rest_low[r]), float(all_of.rest_high[r])
        hit = np.flatnonzero(rows.ids[r] == token)
        if len(hit):
            least, most = float(all_of.low[r, hit[0]]), float(all_of.high[r, hit[0]])
            return _log(least, high - most + rest_high), _log(most, low - least + rest_low)
        raw = dict(zip(self.lists["top_ids"][r], self.lists["top_logprobs"][r], strict=True)).get(token, own)
        if raw is None:
            return None
        most = math.exp((raw - float(rows.top[r, 0]) + float(rows.error[r, 0])) / given.temperature)
        least = most * math.exp(-2 * float(rows.error[r, 0]) / given.temperature) if given.uncut else 0.0
        most = min(most, rest_high)
        return _log(least, high + max(rest_high - least, 0.0)), _log(most, low + max(rest_low - most, 0.0))


def _log(part: float, others: float) -> float:
    return math.log(max(part / (part + others), LEAST)) if part > 0 else math.log(LEAST)


def applied(one: Conversation) -> Sampling | None:
    """What shaped recorded p of a request: nothing, its parameters, or None where that is not said or cannot be known."""
    request: dict[str, Any] = dict.fromkeys(("steered", "temperature_last")) | dict(one.request)
    request["top_k"] = max(request["top_k"] or 0, 0)
    request |= {name: request.get(name) or 0.0 for name in ("presence_penalty", "frequency_penalty")}
    asked = request | {"temperature": request["temperature"] if request["temperature"] is not None else 1.0}
    plain = sampling(cast("Parameters", asked), usual=True)
    if one.run.prob_basis == "raw" or plain == Sampling(1.0, temperature_last=None):
        return Sampling(1.0)
    if one.run.prob_basis != "processed" or isinstance(plain, str) or request["temperature"] is None:
        return None
    if plain.temperature < GREEDY or plain.penalised or (request.get("tags") and "logit_bias" in str(request["tags"])):
        return None
    known = one.run.engine in ("vllm", "sglang", "transformers")
    # SGLang takes top-p of the whole
    return replace(
        plain, temperature_last=False if known else None, top_p_of_left=one.run.engine in ("vllm", "transformers")
    )


def seen(conversations: Sequence[Conversation], extra: Mapping[tuple[str, str, int], float]) -> list[Seen]:
    """Every recorded probability of a place that was looked at. `extra`: the engine's log p of rejected tokens that no row lists."""
    found = []
    for of, one in enumerate(conversations):
        for s, step in enumerate(one.steps):
            for j, p in enumerate((step.row["target_probs"] or [])[: min(step.n_a + 1, len(step.draft))]):
                if p is not None and 0 < p <= 1.001:
                    own = extra.get((*one.key, s)) if j == step.n_a else None
                    found.append(Seen(of, s, j, step.draft[j], math.log(max(p, LEAST)), j == step.n_a, own))
            last = step.row["last_target_prob"]
            if last is not None and 0 < last <= 1.001 and len(step.output) == step.n_a + 1:
                found.append(Seen(of, s, step.n_a, step.output[step.n_a], math.log(max(last, LEAST)), False))
    return found


@dataclass(frozen=True)
class Way:
    """A known way to be wrong. `change` of the parameters, `by` rows away, or other texts with where places stand in them; `begin`: all of
    that only from this place of a conversation on, before it p is right. `model`: another one, with its name."""

    name: str
    cause: str
    change: Change | None = None
    by: int = 0
    texts: tuple[tuple[Text, dict[Place, int]], ...] = ()
    begin: Begin | None = None
    model: str | None = None

    @property
    def says(self) -> str:
        """For the headline."""
        return f"the target was another model: {self.model}" if self.model is not None else SAYS[self.name]


def bounded(
    one: Seen, way: Way | None, conversations: Sequence[Conversation], texts: Sequence[Scored | None]
) -> tuple[float, float] | None:
    """Bounds of a recorded log probability under a way (None: none), whose texts, or the conversations' own, were scored."""
    text, given = texts[one.of], applied(conversations[one.of])
    if text is None or given is None:
        return None
    if way is not None and way.texts:
        at = way.texts[one.of][1].get((one.step, one.position))
        return None if at is None else text.bounds(at, one.token, given)
    at = conversations[one.of].steps[one.step].begin + one.position
    if way is not None and way.change is not None:
        given = way.change(given)
    by = way.by if way is not None else 0
    return text.bounds(at + by, one.token, given, None if by else one.own)


def distance(log_p: float, bounds: tuple[float, float]) -> float:
    """How far outside of the bounds, in nats."""
    return log_p - min(max(log_p, bounds[0]), bounds[1])
