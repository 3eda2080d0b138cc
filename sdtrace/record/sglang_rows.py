"""What is kept of one verification of SGLang, as tensors on its device (srt/speculative/eagle_utils.py, `eagle_sample`).

A request has N nodes: node 0 is the token before, the others are drafted. Row i of the target tells what follows node i, so that a
node is held against the row of its parent. Trees are walked on the host: p of every node is kept under every row (N x N numbers).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sdtrace.record.sums import of_rows

Tensor = Any

#: Entries of rows over the vocabulary that are worked on at a time.
_CELLS = 1 << 24


@dataclass(frozen=True)
class Rows:
    """The target's rows (requests * N, vocabulary): logits after everything that shapes them, or p as the kernel compared it."""

    values: Tensor
    probabilities: bool

    def logits(self, which: Any) -> Tensor:
        """Some rows as logits."""
        return self.values[which].log() if self.probabilities else self.values[which].float()

    def p(self, which: Any, ids: Tensor) -> Tensor:
        """p of tokens `ids` (n, any) at some rows (n)."""
        mine = self.values[which]
        if self.probabilities:
            return mine.gather(-1, ids).float()
        return (mine.gather(-1, ids).float() - mine.float().logsumexp(-1, keepdim=True)).exp()


def of_nodes(candidates: Tensor, rows: Rows, *, sums: bool) -> dict[str, Tensor]:
    """Columns from the target's rows. `candidates`: ids (requests, N). `pairs` (requests, N, N): p of node j at row i; `node.NAME`
    (requests * N): columns of a row."""
    import torch

    n, nodes = candidates.shape
    ids = candidates.long().repeat_interleave(nodes, dim=0)  # row i of a request holds all of its nodes
    pairs, parts, size = [], [], max(1, _CELLS // rows.values.shape[-1])
    for start in range(0, n * nodes, size):
        block = slice(start, start + size)
        pairs.append(rows.p(block, ids[block]))
        if sums:
            parts.append(of_rows(rows.logits(block), ids[block][:, 0]))
    found = {"pairs": torch.cat(pairs).view(n, nodes, nodes)}
    names = [name for name in parts[0] if name != "target_probs"] if parts else []
    return found | {f"node.{name}": torch.cat([part[name] for part in parts]) for name in names}


def of_drafts(candidates: Tensor, p: Tensor, q: Tensor, *, sums: bool) -> dict[str, Tensor]:
    """Columns of the draft's rows of a chain: `q` (requests, steps, vocabulary), from row j of which node j + 1 was drawn.

    `draft.NAME` (requests * steps); `p` (requests, N, vocabulary).
    """
    import torch

    steps, vocab = q.shape[1:]
    ids = candidates[:, 1 : steps + 1].long().reshape(-1)
    rows_p, rows_q = p[:, :steps].reshape(-1, vocab), q.reshape(-1, vocab)
    parts, size = [], max(1, _CELLS // vocab)
    for start in range(0, len(ids), size):
        block = slice(start, start + size)
        parts.append(of_rows(rows_p[block].log(), ids[block], rows_q[block], sums=sums))
    names = [name for name in parts[0] if name in ("draft_probs", "overlap", "draft_sq", "draft_entropy")]
    return {f"draft.{name}": torch.cat([part[name] for part in parts]) for name in names}


def of_last(given: Mapping[str, Tensor], rows: Rows, q: Tensor | None) -> dict[str, Tensor]:
    """p and q of the token that each request's step ends with: `given` has predict, accept_index and accept_lens."""
    import torch

    end = (given["accept_lens"].long() - 1).clamp(min=0)
    row = given["accept_index"].long().gather(1, end.unsqueeze(1)).squeeze(1).clamp(min=0)
    token = given["predict"].long()[row].clamp(0, rows.values.shape[-1] - 1).unsqueeze(1)
    found = {"last_p": rows.p(row, token).squeeze(1)}
    if q is not None:
        at = end.clamp(max=q.shape[1] - 1)
        found["last_q"] = q[torch.arange(len(end), device=q.device), at].gather(-1, token).squeeze(1)
    return found
