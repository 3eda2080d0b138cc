"""vLLM 0.29+: `metrics.speculative_decoding` of a response or a stream's last chunk, summary or detailed.

Steps without a draft are not in it. AIPerf up to 0.12 read `speculative_decoding_stats` of a choice, the same figures
with a histogram of string keys.
"""

from collections.abc import Mapping
from typing import Any

from sdtrace.readers.counts import above, gathered, histogram, number, numbers

_SAID = ("mean_acceptance_length", "draft_acceptance_rate", "num_spec_steps", "num_accepted_draft_tokens")


def request_window(node: Mapping[str, Any]) -> dict[str, Any] | None:
    """A window from a response; None where it carries no such figures."""
    metrics = node.get("metrics")
    found = (
        metrics.get("speculative_decoding") if isinstance(metrics, Mapping) else node.get("speculative_decoding_stats")
    )
    if not isinstance(found, Mapping) or "num_spec_steps" not in found:
        return None
    usage = node.get("usage")
    steps, accepted = _number(found.get("num_spec_steps")), _number(found.get("num_accepted_draft_tokens"))
    by_length = _histogram(found, steps, accepted)
    drafted = gathered(_list(found.get("per_step_drafted")) or [])
    return {
        "engine": "vllm",
        "surface": "response metrics",
        "family": "0.29+",
        "basis": "request",
        "drafts": steps,
        "drafted": _number(found.get("num_draft_tokens")),
        "accepted": accepted,
        "emitted": _number(usage.get("completion_tokens")) if isinstance(usage, Mapping) else None,
        "k": _number(found.get("num_spec_tokens")),
        "histogram": by_length,
        "accepted_by_position": above(by_length) if by_length else None,
        "drafted_by_position": above(drafted) if drafted else None,
        "said_length": _number(found.get("mean_acceptance_length")),
        "said_rate": _number(found.get("draft_acceptance_rate")),
        "busy_ms": _number(metrics.get("generation_time_ms")) if isinstance(metrics, Mapping) else None,
        "said": {n: found[n] for n in _SAID if n in found},
    }


def _histogram(record: Mapping[str, Any], steps: float | None, accepted: float | None) -> list[float] | None:
    """The printed histogram; the one of the single steps where there is none, or where only that one contradicts the counts."""
    said, single = histogram(record.get("acceptance_histogram")), _list(record.get("per_step_accepted"))
    made = gathered(single) if single else None
    if made is None or single is None:
        return said
    contradicts = steps is not None and accepted is not None and (len(single) != steps or sum(single) != accepted)
    return made if said is None or contradicts else said


def _number(value: Any) -> float | None:
    """A finite number, None for anything else."""
    known = number(value)
    return None if known is None else float(known)


def _list(value: Any) -> list[float] | None:
    """A list of counts, None for anything else."""
    listed = numbers(value) if isinstance(value, list) else None
    return listed if listed and all(v >= 0 for v in listed) else None
