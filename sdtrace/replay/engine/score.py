"""Texts scored by the engine: what was recorded of each beside what the engine says of the same ids, and their tokens under its rows."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from sdtrace.errors import StateError
from sdtrace.readers.io.http import Unanswered
from sdtrace.readers.responses import responses
from sdtrace.replay.engine.client import Client, Engine
from sdtrace.replay.engine.dialects import complete, score, scored
from sdtrace.responses.texts import Texts
from sdtrace.schema.json_values import Json
from sdtrace.schema.responses import ScoredLists, from_rows

#: The band is never narrower, in nats: engines add in another order when a batch has another shape.
LEAST_BAND = 2e-2
#: What tells one way to be wrong from another, where both compute in float32, is never narrower than this.
LEAST_FINE = 1e-3
#: Texts whose tokens are judged at a time.
_TOGETHER = 200
#: Texts that are scored twice to measure it, and places of each that are asked for by themselves.
_TWICE, _ALONE = 4, 3
#: Never wider on account of the latter: that much is no arithmetic.
_MOST_ALONE = 0.25


@dataclass(frozen=True)
class Text:
    """Ids that can be scored: from `begin` on they were emitted. `row`: a row of RESPONSE (parameters, place). `recorded`: log p of some
    of them as recorded, by index; `branch`: drafted tokens that were not kept, behind the text (None for a text itself)."""

    ids: list[int]
    begin: int
    row: dict[str, Any]
    recorded: dict[int, float]
    branch: tuple[str, str, int] | None = None


def recorded(row: dict[str, Any], logprobs: Sequence[float | None], begin: int) -> dict[int, float]:
    """Recorded log probabilities by index, where they can be compared."""
    return {i: v for i, v in enumerate(logprobs, begin) if v is not None} if comparable(row) else {}


def comparable(row: dict[str, Any]) -> bool:
    """Whether a recorded log probability is the raw one: said so, or no parameter would change it."""
    off = {"top_k": 0, "top_p": 1, "min_p": 0, "repetition_penalty": 1, "presence_penalty": 0, "frequency_penalty": 0}
    plain = row["temperature"] in (0, 1) and row["steered"] is None and all(row[n] == v for n, v in off.items())
    return plain or row["basis"] == "raw"


@dataclass(frozen=True)
class Apart:
    """A recorded probability that is not the scored one, and where: `token_at` counts from the first emitted token, `position` within
    a `step`."""

    path: str | None
    line: int | None
    request_id: str | None
    recorded: float
    scored: float
    token_at: int | None = None
    step: int | None = None
    position: int | None = None

    @property
    def nats(self) -> float:
        """How far the two are apart."""
        return abs(math.log(self.recorded or 1e-300) - math.log(self.scored or 1e-300))

    def row(self) -> Json:
        """As evidence of a cause has it."""
        named = {"path": self.path, "line": self.line, "request_id": self.request_id}
        at = {"token_at": self.token_at} if self.step is None else {"step": self.step, "position": self.position}
        return named | at | {"recorded": self.recorded, "scored": self.scored}


@dataclass
class Scores:
    """`d`: recorded minus scored log p; `bounded`: how far recorded ones lie outside of what parameters make of the scored ones.
    `places`: where the widest ones stand. `rows`: per text the lists of RESPONSE."""

    texts: Texts = field(default_factory=Texts)
    d: list[float] = field(default_factory=list)
    bounded: list[float] = field(default_factory=list)
    places: list[Apart] = field(default_factory=list)
    rows: list[ScoredLists | None] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    band: float = LEAST_BAND
    fine: float = LEAST_BAND  #: how far the engine was seen to be from itself, without that floor
    tokens: int = 0
    tokenised: int = 0  #: texts whose ids the engine made

    @property
    def distances(self) -> list[float]:
        """Of all recorded log probabilities that can be compared."""
        return [*self.d, *self.bounded]

    def widest(self) -> None:
        """Keep the places that are furthest off."""
        self.places.sort(key=lambda place: -place.nats)
        del self.places[8:]


@dataclass
class Kept:
    """Answers that came already, in a folder: the same command goes on from them."""

    folder: str | None
    found: dict[str, ScoredLists] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.folder is None:
            return
        try:
            Path(self.folder).mkdir(parents=True, exist_ok=True)
            for line in self._file().read_bytes().splitlines() if self._file().exists() else ():
                try:
                    row = orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue  # the last line of a run that was killed
                self.found[row["key"]] = row["lists"]
        except OSError as error:
            raise StateError(f"{self.folder}: {error.strerror}", "name a folder that can be written") from None

    def _file(self) -> Path:
        return Path(self.folder or "") / "scores.jsonl"

    def keep(self, key: str, lists: ScoredLists) -> None:
        """Remember an answer."""
        if self.folder is not None:
            with self._file().open("ab") as out:
                out.write(orjson.dumps({"key": key, "lists": lists}) + b"\n")


def scores(
    client: Client,
    engine: Engine,
    texts: Sequence[Text],
    state: str | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Scores:
    """Every text, scored. What the engine refuses is left out and counted."""
    found, kept = Scores(), Kept(state)
    keys = [_key(client, engine, text) for text in texts]
    missing = [i for i, key in enumerate(keys) if key not in kept.found]
    asked = _asked(client, engine, [texts[i] for i in missing], lambda n, total: progress("scoring", n, total))
    for i, lists in zip(missing, asked, strict=True):
        if isinstance(lists, str):
            found.left_out[lists] += 1
            continue
        kept.found[keys[i]] = lists
        kept.keep(keys[i], lists)
    found.fine = _band(client, engine, texts, [kept.found.get(key) for key in keys])
    found.band = max(found.fine, LEAST_BAND)
    for text, key in zip(texts, keys, strict=True):
        _add(found, text, kept.found.get(key))
    _judge(found, texts)
    return found


def _asked(
    client: Client,
    engine: Engine,
    texts: Sequence[Text],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[ScoredLists | str]:
    """Lists of RESPONSE of every text in order, or why there are none."""
    jobs = [score(engine, text.ids, text.begin) for text in texts]
    total = sum(map(len, jobs))
    answers = client.all([one for several in jobs for one in several], lambda n: progress(n, total))
    for text, several in zip(texts, jobs, strict=True):
        mine = list(islice(answers, len(several)))
        bad = next((one for one in mine if isinstance(one, Unanswered)), None)
        lists = scored(engine, mine, text.ids, text.begin) if bad is None else None
        yield str(bad) if bad is not None else "the answer holds no logprobs of the prompt" if lists is None else lists


def _key(client: Client, engine: Engine, text: Text) -> str:
    told = json.dumps([client.shown, engine.name, engine.version, engine.model, text.begin, text.ids])
    return sha256(told.encode()).hexdigest()


def _band(client: Client, engine: Engine, texts: Sequence[Text], known: Sequence[ScoredLists | None]) -> float:
    """How far the engine is from itself: four times the widest of some texts that it scores again, and of some of their rows in passes of
    another shape."""
    chosen = [(text, lists) for text, lists in zip(texts, known, strict=True) if lists is not None][:_TWICE]
    moved = [0.0]
    for (_, lists), again in zip(chosen, _asked(client, engine, [text for text, _ in chosen]), strict=True):
        if not isinstance(again, str):
            both = zip(lists["logprobs"], again["logprobs"], strict=True)
            moved += [
                abs(a - b) for a, b in both if a is not None and b is not None and math.isfinite(a) and math.isfinite(b)
            ]
    alone = _alone(client, engine, [(text, lists) for text, lists in chosen if text.branch is None])
    return max(4 * max(moved), min(4 * alone, _MOST_ALONE), LEAST_FINE)


def _alone(client: Client, engine: Engine, some: Sequence[tuple[Text, ScoredLists]]) -> float:
    """The widest difference, in nats, between rows of a scored text and the same ones of requests for one token, as in decoding: passes
    of another shape add in another order, in low precision by much. 0 where that cannot be asked, or is told on another basis."""
    if engine.name == "llama.cpp":
        return 0.0  # each row comes from a request of its own
    places = [
        (text, lists, i)
        for text, lists in some
        for i in np.linspace(0, len(lists["top_ids"]) - 1, min(_ALONE, len(lists["top_ids"])), dtype=int).tolist()
    ]
    given = {"max_tokens": 1, "temperature": 0.0}
    jobs = [complete(engine, text.ids[: text.begin + i], given) for text, _, i in places]
    moved = list[float]()
    for (_, body), (_, lists, i), answer in zip(jobs, places, client.all(jobs), strict=True):
        row = next(iter(responses({"request": body, "response": answer})), None) if isinstance(answer, dict) else None
        if row is None or not row["top_ids"]:
            continue
        mine = dict(zip(lists["top_ids"][i], lists["top_logprobs"][i], strict=True))
        told = zip(row["top_ids"][0], row["top_logprobs"][0], strict=True)
        moved += [abs(v - mine[t]) for t, v in told if t in mine and v is not None and v > -12]
    return max(moved) if moved and float(np.median(moved)) < _MOST_ALONE else 0.0


def _add(scores: Scores, text: Text, lists: ScoredLists | None) -> None:
    scores.rows.append(lists)
    if lists is None:
        return
    scores.tokens += len(lists["token_ids"])
    scores.tokenised += bool(text.row.get("tokenised"))
    unlisted = set(lists.get("unlisted", ()))
    for i, log_p in text.recorded.items():
        mine = lists["logprobs"][i - text.begin]
        if mine is None or i - text.begin in unlisted or not (math.isfinite(log_p) and math.isfinite(mine)):
            continue
        d = log_p - mine
        scores.d.append(d)
        if abs(d) > scores.band:
            path, line, request = (text.row.get(name) for name in ("path", "line", "request_id"))
            scores.places.append(Apart(path, line, request, math.exp(log_p), math.exp(mine), token_at=i - text.begin))
    scores.widest()


def _judge(scores: Scores, texts: Sequence[Text]) -> None:
    """Tokens under the engine's rows, many texts at a time: each time costs, however few there are."""
    by_path: dict[str, list[dict[str, Any]]] = {}
    for text, lists in zip(texts, scores.rows, strict=True):
        if lists is not None and text.branch is None:
            by_path.setdefault(str(text.row.get("path")), []).append({**text.row, **lists})
    for path, rows in by_path.items():
        for begin in range(0, len(rows), _TOGETHER):
            scores.texts.add(from_rows(path, rows[begin : begin + _TOGETHER]))


def far(scores: Scores) -> int:
    """How many recorded log probabilities are further off than the engine is from itself."""
    return int((np.abs(np.array(scores.distances, dtype=np.float64)) > scores.band).sum())
