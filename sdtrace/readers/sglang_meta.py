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
    steps = meta.get("spec_verify_ct")
    if not steps:
        return None
    histogram = next((meta[n] for n in _HISTOGRAM if isinstance(meta.get(n), list)), None)
    accepted = next((meta[n] for n in _ACCEPTED if meta.get(n) is not None), None)
    if accepted is None and histogram:
        accepted = sum(j * n for j, n in enumerate(histogram))
    drafted = next((meta[n] for n in _PROPOSED if meta.get(n) is not None), None)
    emitted = meta.get("completion_tokens")
    length = meta.get("spec_accept_length") if accepted is None else None
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
        "said_rate": meta.get("spec_accept_rate"),
        "said_length": meta.get("spec_accept_length"),
        "said": {k: v for k, v in meta.items() if k.startswith("spec_") or k == "completion_tokens"},
    }
