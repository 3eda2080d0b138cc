"""OpenVINO GenAI extended metrics, as JSON: accepted and drafted tokens of a generation, durations of both models.

Before 2026 there is no count of drafted tokens: get_num_generated_tokens of the draft model is cumulative over the
pipeline's life and is not used. Accepted tokens then follow from the main model's batch sizes (size - 1 a round, the
first entry is the prefill).
"""

from typing import Any

from sdtrace.readers.records.shape import Node, Rows, Shape, numbers, value
from sdtrace.schema.counters import Row


def rows(node: Node) -> Rows | None:
    """The object with main_model_metrics and draft_model_metrics."""
    if "main_model_metrics" not in node or "draft_model_metrics" not in node:
        return None
    main, draft = (node[n] if isinstance(node[n], dict) else {} for n in ("main_model_metrics", "draft_model_metrics"))
    accepted, drafted = _got(node, "num_accepted_tokens"), _got(node, "num_draft_tokens")
    raw = main.get("raw_metrics")
    sizes = numbers(raw, "m_batch_sizes") if isinstance(raw, dict) else None
    rounds = sizes[1:] if sizes and len(sizes) > 1 else None
    row: Row = {
        "engine": "openvino",
        "surface": "extended_perf_metrics",
        "basis": "request",
        "family": "2026+" if drafted is not None else "before 2026, drafted tokens not counted",
        "drafts": None if rounds is None else float(len(rounds)),
        "accepted": float(sum(s - 1 for s in rounds)) if accepted is None and rounds else accepted,
        "drafted": drafted,
        "emitted": _got(main, "num_generated_tokens"),
        "said_rate": _got(node, "draft_acceptance_rate"),
        "draft_ms": _mean(draft.get("inference_duration", draft.get("get_inference_duration"))),
        "busy_ms": _mean(main.get("generate_duration", main.get("get_generate_duration"))),
    }
    return [row | {"said": {k: v for k, v in node.items() if isinstance(v, int | float)}}]


def _got(node: Node, name: str) -> float | None:
    """A figure under its own name or its getter's."""
    own = value(node, name)
    return value(node, f"get_{name}") if own is None else own


def _mean(duration: Any) -> float | None:
    """A duration in ms: a number, or the mean of a mean-and-deviation pair."""
    return value({"ms": duration["mean"] if isinstance(duration, dict) and "mean" in duration else duration}, "ms")


SHAPE = Shape("openvino", "openvino", "OpenVINO GenAI extended metrics", "`main_model_metrics`", rows)
