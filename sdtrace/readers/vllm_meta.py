"""vLLM 0.29+: `metrics.speculative_decoding` of a response or a stream's last chunk, summary or detailed.

Steps without a draft are not in it. AIPerf up to 0.12 read `speculative_decoding_stats` of a choice, the same figures
with a histogram of string keys.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

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
    histogram = _histogram(found, steps, accepted)
    drafted = _list(found.get("per_step_drafted"))
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
        "histogram": histogram,
        "accepted_by_position": [float(sum(histogram[j + 1 :])) for j in range(len(histogram) - 1)]
        if histogram
        else None,
        "drafted_by_position": [float(sum(n > j for n in drafted)) for j in range(int(max(drafted)))]
        if drafted
        else None,
        "said_length": _number(found.get("mean_acceptance_length")),
        "said_rate": _number(found.get("draft_acceptance_rate")),
        "busy_ms": _number(metrics.get("generation_time_ms")) if isinstance(metrics, Mapping) else None,
        "said": {n: found[n] for n in _SAID if n in found},
    }


def _histogram(found: Mapping[str, Any], steps: float | None, accepted: float | None) -> list[float] | None:
    """The printed histogram; the one of the single steps where there is none, or where only that one contradicts the counts."""
    printed = found.get("acceptance_histogram")
    if isinstance(printed, Mapping):
        printed = [
            printed.get(str(j), 0) for j in range(1 + max((int(k) for k in printed if str(k).isdigit()), default=0))
        ]
    said, single = _list(printed), _list(found.get("per_step_accepted"))
    if not single:
        return said
    counts = Counter(int(n) for n in single)
    made = [float(counts.get(j, 0)) for j in range(int(max(single)) + 1)]
    contradicts = steps is not None and accepted is not None and (len(single) != steps or sum(single) != accepted)
    return made if said is None or contradicts else said


def _number(found: Any) -> float | None:
    """A finite number, None for anything else."""
    usable = isinstance(found, int | float) and not isinstance(found, bool) and found - found == 0
    return float(found) if usable else None


def _list(found: Any) -> list[float] | None:
    """A list of counts, None for anything else."""
    if not isinstance(found, list) or not found or len(found) > 1 << 20:
        return None
    numbers = [_number(v) for v in found]
    return [n for n in numbers if n is not None] if all(n is not None and 0 <= n < 1 << 53 for n in numbers) else None
