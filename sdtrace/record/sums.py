"""What a recorder keeps of rows of p and q: the drafted token's entry and sums over the vocabulary, never the rows."""

from typing import Any

Rows = Any  #: a torch tensor of m rows over the vocabulary

#: In place of log 0, so that 0 log 0 = 0: no float32 above 0 has a log below -104, and a clamp costs a tenth of a `where`.
_LEAST = -1e4
#: Rows at a time on a CPU: temporaries that the allocator can reuse. Fresh pages cost three times the arithmetic.
_BLOCK = 8


def of_rows(logits: Rows, ids: Any, q: Rows = None, *, sums: bool = True) -> dict[str, Any]:
    """Step columns as tensors, from logits after everything that shapes them and the draft's probabilities `q`, if known.

    `ids` are the tokens drafted at the first len(ids) rows, `q` (len(ids), vocabulary). The gap is in the logits that
    are given, p their softmax. Columns of a distribution have an entry for each of its rows; without `sums` only the
    drafted tokens' probabilities are worked out.
    """
    import torch

    size = _BLOCK if logits.device.type == "cpu" else max(len(logits), 1)
    parts = []
    for start in range(0, len(logits), size):
        block = slice(start, start + size)
        p = logits[block].softmax(-1, dtype=torch.float32)
        mine = ids[block].long().unsqueeze(-1)
        columns = {"target_probs": p[: len(mine)].gather(-1, mine).squeeze(-1)}
        if q is not None:
            columns |= {"draft_probs": q[block].gather(-1, mine).squeeze(-1)}
            columns |= _draft(q[block], p[: len(mine)]) if sums else {}
        parts.append(columns | (_target(logits[block], p) if sums else {}))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]} if parts else {}


def probability(logits: Rows, rows: Any, ids: Any) -> Any:
    """p of one token in each of some rows."""
    import torch

    p = logits[rows].softmax(-1, dtype=torch.float32)
    return p.gather(-1, torch.as_tensor(ids, device=p.device).unsqueeze(-1)).squeeze(-1)


def _target(logits: Rows, p: Rows) -> dict[str, Any]:
    best = logits.topk(2, dim=-1)
    log_p = p.log().clamp_(min=_LEAST)
    share = log_p * p
    mean = share.sum(-1)
    square = share.mul_(log_p).sum(-1)
    return {
        "target_argmax_ids": best.indices[:, 0],
        "target_top2_gap": (best.values[:, 0] - best.values[:, 1]).float(),
        "target_sq": p.norm(dim=-1).square(),
        "target_entropy": mean.abs(),
        "target_varentropy": (square - mean * mean).clamp(min=0),
    }


def _draft(q: Rows, p: Rows) -> dict[str, Any]:
    return {
        "overlap": q.minimum(p).sum(-1),
        "draft_sq": q.norm(dim=-1).square(),
        "draft_entropy": q.log().clamp_(min=_LEAST).mul_(q).sum(-1).abs(),
    }
