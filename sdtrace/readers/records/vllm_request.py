"""vLLM 0.29+: `metrics.speculative_decoding` of a response, summary or detailed; steps without a draft are not in it."""

from sdtrace.readers.records.shape import Node, Rows, Shape, by_position, numbers, value


def rows(node: Node) -> Rows | None:
    """The object that holds `speculative_decoding`."""
    metrics = node.get("metrics")
    found = metrics.get("speculative_decoding") if isinstance(metrics, dict) else None
    if not isinstance(found, dict):
        return None
    histogram = numbers(found, "acceptance_histogram")
    usage = node.get("usage") if isinstance(node.get("usage"), dict) else {}
    drafted = numbers(found, "per_step_drafted")
    names = ("mean_acceptance_length", "draft_acceptance_rate", "num_spec_steps", "num_accepted_draft_tokens")
    row = {
        "engine": "vllm",
        "surface": "response metrics",
        "family": "0.29+",
        "basis": "request",
        "drafts": value(found, "num_spec_steps"),
        "drafted": value(found, "num_draft_tokens"),
        "accepted": value(found, "num_accepted_draft_tokens"),
        "emitted": value(usage or {}, "completion_tokens"),
        "k": value(found, "num_spec_tokens"),
        "histogram": histogram,
        "accepted_by_position": by_position(histogram) if histogram else None,
        "drafted_by_position": _longer(drafted) if drafted else None,
        "said_length": value(found, "mean_acceptance_length"),
        "said_rate": value(found, "draft_acceptance_rate"),
        "busy_ms": value(metrics or {}, "generation_time_ms"),
        "said": {n: found[n] for n in names if n in found},
    }
    return [row]


def _longer(drafted: list[float]) -> list[float]:
    return [float(sum(n > j for n in drafted)) for j in range(int(max(drafted)))]


SHAPE = Shape("vllm-responses", "vllm", "vLLM responses with per-request speculation metrics", rows)
