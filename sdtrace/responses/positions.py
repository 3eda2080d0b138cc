"""From a response to positions that can be judged: which tokens are the top ones whatever was emitted, and how exact they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdtrace.responses.bounds import NOISE, Sampling
from sdtrace.responses.evidence import Rows
from sdtrace.schema.arrays import Flags, Floats, Ints
from sdtrace.schema.responses import Lists, Parameters, Response

#: Tokens missing from a record beyond which it says nothing: a share of the recorded ones, and a few.
_MISSING, _FEW = 0.2, 4


@dataclass(frozen=True)
class Listed:
    """All that a response lists, padded: `ids` (n, m) best first, -1 << 62 behind the last; `logprobs` (n, m), -inf there."""

    ids: Ints
    logprobs: Floats
    token: Ints
    value: Floats
    error: Floats


_NONE = -(1 << 62)


def listed(row: Lists) -> Listed:
    """The lists of a row of RESPONSE as arrays; the emitted token is joined to those listed beside it."""
    tokens, values = row["token_ids"], row["logprobs"]
    n = len(tokens)
    longest = max((len(top) for top in row["top_ids"]), default=0) + 1
    ids, logs = np.full((n, longest), _NONE, dtype=np.int64), np.full((n, longest), -np.inf)
    for i, (top, found) in enumerate(zip(row["top_ids"], row["top_logprobs"], strict=True)):
        entries = list(zip(top, found, strict=True))
        own = values[i]
        if own is not None and tokens[i] not in top:
            entries.append((tokens[i], own))
        entries.sort(key=lambda pair: -pair[1])
        ids[i, : len(entries)] = [one for one, _ in entries]
        logs[i, : len(entries)] = [value for _, value in entries]
    value = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    return Listed(ids, logs, np.array(tokens, dtype=np.int64), value, rounding(logs))


def rounding(logs: Floats) -> Floats:
    """How far a printed log probability may be from the exact one: half of its last decimal, or half a step of its float type."""
    known = logs[np.isfinite(logs)]
    if not len(known):
        return np.full(logs.shape, NOISE)
    with np.errstate(invalid="ignore"):
        size = np.where(np.isfinite(logs), np.abs(logs), 0)
    for decimals in (1, 2, 3):
        if np.allclose(known, np.round(known, decimals), rtol=0, atol=1e-7):
            return np.full(logs.shape, NOISE + 0.5 * 10**-decimals)
    bits = known.astype(np.float32).view(np.uint32)
    if not (bits & 0xFFFF).any():  # bfloat16: 8 bits of mantissa
        return NOISE + size * 2.0**-8
    half = known.astype(np.float16).astype(np.float64)
    if np.allclose(known, half, rtol=1e-7, atol=0):
        return NOISE + size * 2.0**-11
    return np.full(logs.shape, NOISE)


def sure(listed: Listed, row: Lists) -> Rows | str:
    """Positions with the top tokens that are listed whatever was emitted, or why there are none.

    Where the emitted token stands among or beside k listed ones, those above the (k-1)-th or k-th value are sure: that value does
    not depend on what was emitted, and tokens alike to it may have been left out.
    """
    counts = np.array([len(top) for top in row["top_ids"]])
    asked, least = row["asked_k"], int(counts.min(initial=1 << 30))
    if not len(counts) or least == 0:
        return "no top tokens are listed at some position"
    if row["listing"] == "top":
        return _own(listed, row, int(counts.max()) if asked is None else min(int(counts.max()), max(asked, 1)))
    if asked is None:
        return "how many top tokens were asked for is not known: keep the request beside the response"
    k = min(asked, least) - (row["listing"] == "among")
    if k < 2:
        return "too few top tokens are listed to know which are the best whatever was emitted: ask for more"
    edge = listed.logprobs[:, k - 1]
    keep = listed.logprobs > edge[:, None]
    if not keep[:, 0].all():
        return "the best tokens of some position are printed alike"
    width = int(keep.sum(axis=1).max())
    ids = np.where(keep, listed.ids, _NONE)[:, :width]
    return _rows(listed, ids, np.where(keep, listed.logprobs, -np.inf)[:, :width], edge)


def _own(listed: Listed, row: Lists, k: int) -> Rows:
    """The first k of each list, best first. A list after the chain that is shorter than asked for is the whole support."""
    n = len(row["top_ids"])
    ids, logs = np.full((n, k), _NONE, dtype=np.int64), np.full((n, k), -np.inf)
    edge = np.zeros(n)
    for i, (top, values) in enumerate(zip(row["top_ids"], row["top_logprobs"], strict=True)):
        entries = sorted(zip(top, values, strict=True), key=lambda pair: -pair[1])[:k]
        ids[i, : len(entries)] = [one for one, _ in entries]
        logs[i, : len(entries)] = [value for _, value in entries]
        whole = row["basis"] == "processed" and len(entries) < (row["asked_k"] or 0)
        edge[i] = -np.inf if whole else entries[-1][1]
    return _rows(listed, ids, logs, edge)


def _rows(listed: Listed, ids: Ints, logs: Floats, edge: Floats) -> Rows:
    """Rows with the place of the emitted token."""
    at = ids == listed.token[:, None]
    place = np.where(at.any(axis=1), at.argmax(axis=1), ids.shape[1])
    error = np.broadcast_to(listed.error.max(axis=1, keepdims=True), ids.shape)
    return Rows(ids, logs, edge, place, error)


def seen(ids: Ints, token: Ints, prompt: Sequence[int] | None, *, everywhere: bool) -> Flags:
    """Which tokens (n, k) came before their position: in the output, and with `everywhere` in the prompt; all of them may have where
    the prompt is not known."""
    if everywhere and prompt is None:
        return np.ones(ids.shape, bool)
    first: dict[int, int] = {}
    for i, one in enumerate(token.tolist()):
        first.setdefault(one, i)
    known = np.array(sorted(first), dtype=np.int64)
    when = np.array([first[one] for one in known.tolist()])
    at = np.clip(np.searchsorted(known, ids), 0, max(len(known) - 1, 0))
    found = (known[at] == ids) & (when[at] < np.arange(len(ids))[:, None]) if len(known) else np.zeros(ids.shape, bool)
    if everywhere and prompt is not None:
        found |= np.isin(ids, np.array(prompt, dtype=np.int64))
        found |= ids < 0  # known by their text: the prompt may hold them
    return np.asarray(found)


def from_prompt(row: Response) -> bool:
    """Whether penalties may count tokens of the prompt: a repetition penalty does; the others do in llama.cpp, not in vLLM and SGLang."""
    return row["repetition_penalty"] != 1 or row["engine"] not in ("vllm", "sglang")


def lost(row: Response) -> int | str:
    """How many tokens the record may lack because of what they were (the last one, those of a stop string); or why that is too many."""
    counted, n = row["completion_tokens"], len(row["token_ids"])
    if counted is not None:
        missing = counted - n
        return (
            missing
            if 0 <= missing <= _FEW + _MISSING * n
            else 0
            if missing < 0
            else "tokens are missing from the record"
        )
    return 0 if row["finish_reason"] in ("length", "abort") else row["stops"] if row["stops"] is not None else 4


def sampling(row: Parameters, *, usual: bool) -> Sampling | str:
    """Parameters of a row, or why nothing can be said. `usual`: what the request does not say is switched off; else unknown."""
    t = row["temperature"]
    if row["steered"] is not None:
        return f"tokens may be forced or weighed otherwise: {row['steered']}"
    if t is None:
        return "the temperature is not known: keep the request beside the response"
    repetition, others = row["repetition_penalty"], (row["presence_penalty"] or 0.0, row["frequency_penalty"] or 0.0)
    if usual and repetition is None:
        repetition = 1.0
    if min(others) < 0 or (repetition is not None and repetition < 1):
        return "a penalty favours tokens that came before"
    top_k, top_p, min_p = row["top_k"], row["top_p"], row["min_p"]
    if usual:
        top_k = 0 if top_k is None else top_k
        top_p = 1.0 if top_p is None else top_p
        min_p = 0.0 if min_p is None else min_p
    penalised = repetition != 1 or max(others) > 0
    return Sampling(t, top_k, top_p, min_p, row["temperature_last"], penalised)
