"""What a recorder keeps of rows of p and q: the drafted token's entry and sums over the vocabulary, never the rows.

The two functions take torch tensors but only call their methods, so that nothing here imports torch.
"""

from typing import Any

Rows = Any  #: a torch tensor of m rows over the vocabulary


def of_target(logits: Rows, ids: Any) -> dict[str, Any]:
    """Step columns of the target, m entries each, from logits after everything that shapes them; tensors.

    `ids` are the tokens drafted at the first len(ids) rows. The gap is in the logits that are given, p their softmax.
    """
    log_p = logits.float().log_softmax(-1)
    p = log_p.exp()
    best = logits.topk(2, dim=-1)
    surprise = -log_p.where(p > 0, 0.0)  # 0 log 0 = 0
    entropy = (p * surprise).sum(-1)
    return {
        "target_probs": p[: len(ids)].gather(-1, ids.long().unsqueeze(-1)).squeeze(-1),
        "target_argmax_ids": best.indices[:, 0],
        "target_top2_gap": (best.values[:, 0] - best.values[:, 1]).float(),
        "target_sq": (p * p).sum(-1),
        "target_entropy": entropy,
        "target_varentropy": ((p * surprise * surprise).sum(-1) - entropy * entropy).clamp(min=0),
        "p": p,
    }


def of_draft(q: Rows, p: Rows, ids: Any) -> dict[str, Any]:
    """Step columns of the draft, m entries each, from its probabilities and the target's at the same rows; tensors."""
    log_q = q.log().where(q > 0, 0.0)
    return {
        "draft_probs": q.gather(-1, ids.long().unsqueeze(-1)).squeeze(-1),
        "overlap": q.minimum(p[: len(q)]).sum(-1),
        "draft_sq": (q * q).sum(-1),
        "draft_entropy": -(q * log_q).sum(-1),
    }
