"""OpenVINO GenAI extended metrics, as JSON: accepted and drafted tokens of a generation, durations of both models."""

from typing import Any

from sdtrace.readers.records.shape import Node, Rows, Shape, value


def rows(node: Node) -> Rows | None:
    """The object with main_model_metrics and draft_model_metrics."""
    if "main_model_metrics" not in node or "draft_model_metrics" not in node:
        return None
    main, draft = node["main_model_metrics"], node["draft_model_metrics"]
    rate = value(node, "draft_acceptance_rate")
    row: dict[str, Any] = {"engine": "openvino", "surface": "extended_perf_metrics", "basis": "request"}
    row |= {
        "accepted": value(node, "num_accepted_tokens"),
        "drafted": value(node, "num_draft_tokens"),
        "said_rate": rate,
    }
    if isinstance(main, dict):
        row["emitted"] = value(main, "num_generated_tokens")
    if isinstance(draft, dict):
        row["draft_ms"] = value(draft, "inference_duration")
    return [row | {"said": {k: v for k, v in node.items() if isinstance(v, int | float)}}]


SHAPE = Shape("openvino", "openvino", "OpenVINO GenAI extended metrics", rows)
