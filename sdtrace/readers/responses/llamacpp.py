"""llama.cpp /completion with `n_probs`: logprobs before the chain, or probabilities after it (`post_sampling_probs`).

`generation_settings` echoes every parameter. The chain cuts first and applies the temperature last, unless `samplers` says otherwise.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sdtrace.readers.responses.parameters import parameters, whole
from sdtrace.readers.responses.position import Position, floored, joined, key, logarithm

Node = Mapping[str, Any]
#: The seed that stands for a random one.
_RANDOM = 0xFFFFFFFF
_CUTS = ("top_k", "top_p", "min_p")


def rows(node: Node) -> Iterator[dict[str, Any]]:
    """Columns of RESPONSE; nothing where the object is no such answer."""
    told = node.get("completion_probabilities")
    if not isinstance(told, list) or not told or not all(isinstance(one, Mapping) for one in told):
        return
    after = "prob" in told[0]
    if not after and "logprob" not in told[0]:
        return  # an older form, which does not say of which distribution it is
    positions = [_position(one, after) for one in told]
    yield drafted(joined(positions, "top")) | {
        "request_id": None if node.get("id") is None else str(node["id"]),
        "choice": whole(node.get("index")) or 0,
        "engine": "llama.cpp",
        "basis": "processed" if after else "raw",
        **ended(node),
    }


def drafted(lists: dict[str, Any]) -> dict[str, Any]:
    """The lists of a response. Tokens of a step of speculation come with probability 1 and nothing beside them (build 11434: "TODO: set
    result.probs"): none is told. Where nothing is ever listed, all stand as they are."""
    if not any(lists["top_ids"]):
        return lists
    both = zip(lists["logprobs"], lists["top_ids"], strict=True)
    return lists | {"logprobs": [None if value == 0 and not top else value for value, top in both]}


def ended(node: Node) -> dict[str, Any]:
    """What an answer, or the last chunk of one, tells of the whole: parameters, why it ended, how many tokens it has."""
    settings = node.get("generation_settings")
    more = parameters(settings) if isinstance(settings, Mapping) else {}
    if isinstance(settings, Mapping):
        more["temperature_last"] = _temperature_last(settings.get("samplers"))
        types = settings.get("speculative.types")
        more["drafter"] = types[:60] if isinstance(types, str) else None
    if more.get("seed") in (_RANDOM, -1):
        more["seed"] = None
    counted = whole(node.get("tokens_predicted")) if node.get("stop") is not False else None
    told = {"version": node.get("system_fingerprint"), "model": node.get("model"), "finish_reason": _finish(node)}
    return more | told | {"completion_tokens": counted}


def _position(one: Node, after: bool) -> Position:
    value = "prob" if after else "logprob"
    read = logarithm if after else floored
    listed = one.get("top_probs" if after else "top_logprobs")
    entries = [
        (key(other.get("id"), other.get("token")), read(other.get(value)))
        for other in (listed if isinstance(listed, list) else ())
        if isinstance(other, Mapping)
    ]
    return Position.of(key(one.get("id"), one.get("token")), read(one.get(value)), entries)


def _temperature_last(samplers: Any) -> bool | None:
    """Whether every cut stands before the temperature in the chain; None where some do and some do not, or nothing is told."""
    if not isinstance(samplers, list) or "temperature" not in samplers:
        return None
    at = samplers.index("temperature")
    cuts = {samplers.index(name) < at for name in _CUTS if name in samplers}
    return cuts.pop() if len(cuts) == 1 else None if cuts else True


def _finish(node: Node) -> str | None:
    kind = node.get("stop_type")
    return {"eos": "stop", "word": "stop", "limit": "length"}.get(kind) if isinstance(kind, str) else None
