"""SPEED-Bench client of llama.cpp: one result a sample, draft counts summed over its turns; failed ones are told apart."""

from sdtrace.readers.records.shape import Node, Rows, Shape, value
from sdtrace.schema.counters import Row


def rows(node: Node) -> Rows | None:
    """The document with `results` and `summary`; a row a result, and a row for each category of the summary."""
    results, summary = node.get("results"), node.get("summary")
    if not isinstance(results, list) or not isinstance(summary, list) or "selected_samples" not in node:
        return None
    made = [_result(r) for r in results if isinstance(r, dict)]
    # a summary line `overall` repeats the categories
    parts = [s for s in summary if isinstance(s, dict) and str(s.get("category")).lower() not in ("overall", "total")]
    return made + [_category(s) for s in parts]


def _result(result: Node) -> Row:
    row: Row = {
        "engine": "speed-bench",
        "surface": "results",
        "basis": "request",
        "family": "llama.cpp client",
    }
    row["request_id"] = str(result.get("id"))
    if result.get("ok") is False or result.get("error"):
        return row | {"bad": "the request failed"}
    row |= {"drafted": value(result, "draft_n"), "accepted": value(result, "draft_n_accepted")}
    return row | {"emitted": value(result, "completion_tokens"), "busy_ms": value(result, "predicted_ms")}


def _category(part: Node) -> Row:
    return {
        "engine": "speed-bench",
        "surface": "summary",
        "basis": "run",
        "series": str(part.get("category"))[:80],
        "drafted": value(part, "draft_n"),
        "accepted": value(part, "accepted"),
        "said_rate": value(part, "accept_rate"),
    }


SHAPE = Shape(
    "speed-bench",
    "speed-bench",
    "SPEED-Bench results of llama.cpp's client",
    "`selected_samples`, `summary` and `results`",
    rows,
    deep=False,
)
