"""SGLang's DSpark: the record of steps in /server_info (SGLANG_DSPARK_DEBUG_DUMP), and the file of its block estimate.

A step of the record is one pass over a batch; with the component `reqs` it tells of each request how many tokens were
verified (`verify_len`, the root counted) and how many were accepted (`correct_drafts`). `cap_trim` are tokens that would
have been accepted and were cut by the budget: they are no rejections. The estimate file has one line a request and step:
`w` verified drafts, `cl` accepted ones.
"""

from sdtrace.readers.counts import above, gathered
from sdtrace.readers.records.shape import Node, Rows, Shape, value
from sdtrace.schema.counters import Row


def rows(node: Node) -> Rows | None:
    """A dspark_info_record with its steps, or a line of the estimate file."""
    if isinstance(inner := node.get("dspark_info_record"), dict):
        length = value(node, "avg_spec_accept_length")
        mean = {"engine": "sglang", "surface": "server_info", "basis": "gauge", "said_length": length, "length": length}
        return [mean, *(rows(inner) or [])] if length is not None else rows(inner)
    if isinstance(node.get("records"), list) and "verify_num_draft_tokens" in node:
        return [_step(step, node) for step in node["records"] if isinstance(step, dict)]
    if {"rid", "fct", "w", "cl"} <= node.keys():
        return [_estimate(node)]
    return [] if {"rid", "eos_end"} == node.keys() else None


def _step(step: Node, record: Node) -> Row:
    """One pass: its times, and the sums over its requests where they are told."""
    k = value(record, "verify_num_draft_tokens")
    row: Row = {"engine": "sglang", "surface": "DSpark steps", "basis": "iteration"}
    row |= {"k": int(k) - 1 if k else None, "running": value(step, "bs"), "draft_ms": value(step, "draft_gpu_ms")}
    row["busy_ms"] = value(step, "step_gpu_ms") or value(step, "step_cpu_ms")
    row["said"] = {n: step[n] for n in ("forward_ct", "target_verify_gpu_ms", "num_verify_tokens") if n in step}
    requests = [r for r in step.get("reqs") or [] if isinstance(r, dict)] if isinstance(step.get("reqs"), list) else []
    lengths, accepted = [value(r, "verify_len") for r in requests], [value(r, "correct_drafts") for r in requests]
    if not requests or any(n is None for n in accepted):
        return row
    taken = [n for n in accepted if n is not None]
    row |= {"drafts": float(len(requests)), "accepted": sum(taken), "emitted": sum(taken) + len(requests)}
    row["accepted_by_position"] = above(gathered(taken) or []) or [0.0]
    if any(n is None for n in lengths):
        return row
    judged = [n - 1 for n in lengths if n is not None]
    row["drafted_by_position"] = above(gathered(judged) or [])
    return row | {"drafted": sum(judged)}


def _estimate(node: Node) -> Row:
    window, accepted = value(node, "w"), value(node, "cl")
    row: Row = {"engine": "sglang", "surface": "DSpark estimate", "basis": "round"}
    row |= {"request_id": str(node["rid"])[:200], "family": "requests that sample at plain temperature"}
    if window is None or accepted is None or not 0 <= accepted <= window <= 4096:
        return row | {"bad": "w and cl are no counts of one step"}
    row |= {"drafts": 1.0, "drafted": window, "accepted": accepted, "emitted": accepted + 1}
    return row | {"said": {n: node[n] for n in ("fct", "w", "cl", "ct") if n in node}}


SHAPE = Shape(
    "sglang-dspark",
    "sglang",
    "SGLang DSpark: record of steps, estimate of blocks",
    "`dspark_info_record`, or `rid`, `fct`, `w` and `cl`",
    rows,
)
