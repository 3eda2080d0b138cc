"""llama.cpp /slots: the state of each slot; it tells that speculation is configured and busy, and counts nothing."""

from sdtrace.readers.records.shape import Node, Rows, Shape


def rows(node: Node) -> Rows | None:
    """A slot, busy or not: no figure of acceptance is in it."""
    if not ("n_ctx" in node and "is_processing" in node and "speculative" in node):
        return None
    params = node.get("params")
    types = params.get("speculative.types") if isinstance(params, dict) else None
    row: Node = {"engine": "llama.cpp", "surface": "slots", "basis": "gauge", "series": f"slot {node.get('id')}"}
    row |= {"running": float(bool(node["is_processing"])), "request_id": f"task {node.get('id_task')}"}
    return [row | {"said": {"speculative": node["speculative"], "speculative.types": types}}]


SHAPE = Shape(
    "llamacpp-slots", "llama.cpp", "llama.cpp /slots", "`n_ctx`, `is_processing` and `speculative` of a slot", rows
)
