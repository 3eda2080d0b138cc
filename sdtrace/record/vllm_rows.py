"""What is kept of one call of model runner V2's rejection sampler, as tensors on its device.

vllm/v1/worker/gpu/spec_decode/rejection_sampler_utils.py, `rejection_sample`: row i of m holds the target's logits where token
i of `draft_sampled` stood, so the token that was drafted for row i is the one at i + 1; the last row of a request is its bonus.
Drafts' logits are from before the temperature and lie by slot and draft step.
"""

from collections.abc import Mapping
from typing import Any

from sdtrace.record.sums import of_rows, probability

Tensor = Any

#: Entries of rows over the vocabulary that are worked on at a time.
_CELLS = 1 << 24


def kept(given: Mapping[str, Any], sampled: Tensor, number: Tensor, *, sums: bool, top: int = 0) -> dict[str, Tensor]:
    """Columns of every row, by name, and what places them; `given`: the arguments of `rejection_sample` by name; `top`: entries of
    p and q to keep of every row, likeliest first (FLy needs those of its entropy).

    `cu` (requests + 1), `ids` and `pos` (m); columns of a step (m, the bonus rows' entries of drafts are meaningless); `last_p` and
    `last_q` (requests), `sampled` and `number`: what the kernels decided.
    """
    import torch

    logits, q_logits, cu = given["target_logits"], given["draft_logits"], given["cu_num_logits"]
    vocab = logits.shape[1] if q_logits is None else min(logits.shape[1], q_logits.size(-1))
    logits = logits[:, :vocab]
    drafted = torch.roll(given["draft_sampled"], -1)
    found = _columns(given, logits, drafted.clamp(0, vocab - 1), vocab, sums=sums, top=top)
    last = (number - 1).long().clamp(min=0)
    row = cu[:-1].long() + last
    token = sampled.gather(1, last.unsqueeze(1)).squeeze(1).clamp(0, vocab - 1)
    found["last_p"] = probability(logits, row, token)
    if q_logits is not None:
        found["last_q"] = _q(given, row, vocab).gather(1, token.unsqueeze(1)).squeeze(1)
    return found | {"cu": cu, "ids": given["draft_sampled"], "pos": given["pos"], "sampled": sampled, "number": number}


def _columns(
    given: Mapping[str, Any], logits: Tensor, ids: Tensor, vocab: int, *, sums: bool, top: int
) -> dict[str, Tensor]:
    import torch

    size, parts = max(1, _CELLS // vocab), []
    target_top = max(top, given["fly_entropy_top_k"] if given.get("fly_window_size") else 0)
    for start in range(0, logits.shape[0], size):
        rows = torch.arange(start, min(start + size, logits.shape[0]), device=logits.device)
        q = None if given["draft_logits"] is None else _q(given, rows, vocab)
        mine = logits[start : start + size]
        parts.append(of_rows(mine, ids[start : start + size], q, sums=sums))
        if target_top:
            log_z, best = mine.float().logsumexp(-1, keepdim=True), mine.float().topk(min(target_top, vocab), dim=-1)
            parts[-1] |= {"top_probs": (best.values - log_z).exp(), "top_ids": best.indices}
        if top and q is not None:
            best = q.topk(min(top, vocab), dim=-1)
            parts[-1] |= {"draft_top_probs": best.values, "draft_top_ids": best.indices}
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _q(given: Mapping[str, Any], rows: Tensor, vocab: int) -> Tensor:
    """The draft's distribution at some rows (n, vocabulary); of a bonus row, that of the last draft step."""
    logits, slot = given["draft_logits"], given["expanded_idx_mapping"][rows].long()
    step = given["expanded_local_pos"][rows].long().clamp(max=logits.shape[1] - 1)
    temperature = given["temperature"][slot].float()
    scale = temperature.where(temperature > 0, temperature.new_ones(())).unsqueeze(1)
    return (logits[slot, step][:, :vocab].float() / scale).softmax(-1)
