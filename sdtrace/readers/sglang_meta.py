"""SGLang's meta_info of a request, as it stands in responses, Finish lines and metrics files."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from sdtrace.readers.counts import above, histogram, number
from sdtrace.readers.prompt_counts import prompt_counts

_ACCEPTED = ("spec_num_correct_drafts", "spec_accepted_drafts", "spec_accept_token_num")
_PROPOSED = ("spec_num_proposed_drafts", "spec_proposed_drafts", "spec_draft_token_num")
_HISTOGRAM = ("spec_correct_drafts_histogram", "spec_accept_histogram")


def rules(length: float, rate: float) -> tuple[set[int], set[int]]:
    """Verified tokens a step that make rate = length / n (to 0.5.10), and drafted ones k that make it (length - 1) / k."""
    e = 0.0051
    old = _whole((length - e) / (rate + e), (length + e) / max(rate - e, 1e-9))
    if rate <= e and length <= 1 + e:
        return old if rate > e else set(), set(range(1, 257))
    return old, _whole(max(length - 1 - e, 0) / (rate + e), (length - 1 + e) / max(rate - e, 1e-9))


def _whole(low: float, high: float) -> set[int]:
    return set(range(max(math.ceil(low), 1), math.floor(high) + 1)) if high < 1e4 else set(range(1, 257))


def means(length: float | None, rate: float | None, k: int | None) -> dict[str, Any]:
    """Rate and k of the gauges, as accepted / drafted: by the configured k where it is told, else by the rule that fits."""
    if length is None or rate is None:
        return {"rate": None, "k": k}
    if k:
        return {"rate": max(length - 1, 0.0) / k, "k": k}
    old, new = rules(length, rate)
    if new and not old:
        return {"rate": rate, "k": next(iter(new)) if len(new) == 1 else None, "family": "0.5.11+"}
    if old and not new:
        n = min(old)
        return {
            "rate": (length - 1) / (n - 1) if n > 1 else None,
            "k": n - 1 or None,
            "family": "to 0.5.10, rate counts the bonus",
        }
    either = open_rule(old, new)
    return {"rate": (length - 1) / either["k"] if either["k"] else None, **either}


def open_rule(old: Collection[int], new: Collection[int]) -> dict[str, Any]:
    """Columns of a rate that does not tell its rule: the draft length where both rules ask for the same one, both where they do not."""
    before, since = {n - 1 for n in old if n > 1}, set(new)
    if len(before) != 1 or len(since) != 1:
        return {"k": None, "family": "rate of unknown rule"}
    if before == since:
        return {"k": min(since), "family": "rate that is the same by both rules"}
    lengths = [float(min(since)), float(min(before))]
    return {"k": None, "family": "rate that fits both rules", "k_by_rule": lengths}


def request_window(meta: Mapping[str, Any]) -> dict[str, Any] | None:
    """A window from meta_info; None for a request without speculation.

    spec_accept_length is completion_tokens / verify_ct: it counts the prefill's token and leaves out trimmed ones, so
    our length is taken from accepted tokens where those are given. Proposed tokens are verify_ct times the configured
    number, assumed rather than counted.
    """
    steps = _number(meta.get("spec_verify_ct"))
    if not steps:
        return None
    by_length = next((h for n in _HISTOGRAM if (h := _list(meta.get(n))) is not None), None)
    accepted, drafted = _first(meta, _ACCEPTED), _first(meta, _PROPOSED)
    if accepted is None and by_length:
        accepted = sum(j * n for j, n in enumerate(by_length))
    emitted, said = _number(meta.get("completion_tokens")), _number(meta.get("spec_accept_length"))
    length = None
    if accepted is None:  # the engine's own mean, or what it is the mean of (before 0.5.3.post1)
        length = said if said is not None or emitted is None else emitted / steps
    return {
        "engine": "sglang",
        "surface": "meta_info",
        "family": "completion tokens / verifications" if length else None,
        "length": length,
        "basis": "request",
        "drafts": steps,
        "drafted": drafted,
        "accepted": accepted,
        "emitted": emitted,
        "k": drafted // steps if drafted else None,
        "histogram": by_length,
        "accepted_by_position": above(by_length) if by_length else None,
        "said_rate": _number(meta.get("spec_accept_rate")),
        "said_length": said,
        "said": {k: v for k, v in meta.items() if k.startswith("spec_") or k == "completion_tokens"}
        | prompt_counts(meta),
    }


def _number(value: Any) -> float | None:
    known = number(value)
    return None if known is None else float(known)


def _list(value: Any) -> list[float] | None:
    return histogram(value) if isinstance(value, list) else None


def _first(meta: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    return next((v for n in names if (v := _number(meta.get(n))) is not None), None)
