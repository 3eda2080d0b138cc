"""SGLang's meta_info of a request, as it stands in responses, Finish lines and metrics files."""

from collections.abc import Mapping
from typing import Any

_ACCEPTED = ("spec_num_correct_drafts", "spec_accepted_drafts", "spec_accept_token_num")
_PROPOSED = ("spec_num_proposed_drafts", "spec_proposed_drafts", "spec_draft_token_num")
_HISTOGRAM = ("spec_correct_drafts_histogram", "spec_accept_histogram")


def request_window(meta: Mapping[str, Any]) -> dict[str, Any] | None:
    """A window from meta_info; None for a request without speculation.

    spec_accept_length is completion_tokens / verify_ct: it counts the prefill's token and leaves out trimmed ones, so
    our length is taken from accepted tokens where those are given. Proposed tokens are verify_ct times the configured
    number, assumed rather than counted.
    """
    steps = _number(meta.get("spec_verify_ct"))
    if not steps:
        return None
    histogram = next((h for n in _HISTOGRAM if (h := _list(meta.get(n))) is not None), None)
    accepted, drafted = _first(meta, _ACCEPTED), _first(meta, _PROPOSED)
    if accepted is None and histogram:
        accepted = sum(j * n for j, n in enumerate(histogram))
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
        "histogram": histogram,
        "accepted_by_position": [float(sum(histogram[j + 1 :])) for j in range(len(histogram) - 1)]
        if histogram
        else None,
        "said_rate": _number(meta.get("spec_accept_rate")),
        "said_length": said,
        "said": {k: v for k, v in meta.items() if k.startswith("spec_") or k == "completion_tokens"},
    }


def _number(found: Any) -> float | None:
    usable = isinstance(found, int | float) and not isinstance(found, bool) and found - found == 0
    return float(found) if usable else None


def _list(found: Any) -> list[float] | None:
    numbers = [_number(v) for v in found] if isinstance(found, list) and 0 < len(found) <= 4096 else [None]
    return [n for n in numbers if n is not None] if all(n is not None for n in numbers) else None


def _first(meta: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    return next((v for n in names if (v := _number(meta.get(n))) is not None), None)
