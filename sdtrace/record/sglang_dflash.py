"""DFlash of SGLang 0.5.23 (srt/speculative/dflash_worker_v2.py): a block of drafted tokens is a chain, verified by `_accept_block`.

Sampled requests go through the target-only tree kernel, greedy ones are held against the target's argmax. Not recorded, and said so:
blocks of a drafter that tells its own q (a selector, LiLiCorr), which DSpark's kernel verifies, and greedy batches whose logits stay
sharded over ranks, of which only the argmax is ever gathered.
"""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from sdtrace.record.sglang_steps import TreeSteps

#: Runs what it is given, and says once what it raises.
Safely = Callable[[Callable[[], None]], None]
_OWN_Q = "a drafter that tells its own q (a selector, LiLiCorr) is verified by DSpark's kernel, where no hook is"
_SHARDED = "logits of a greedy batch stay sharded over ranks; a request with logprobs has them gathered"


class Blocks:
    """Hooks on a DFlash worker. `writing` gives the collector of this process, None on a rank that does not record; `say` tells once
    why a block is not recorded."""

    def __init__(self, writing: Callable[[Any], TreeSteps | None], safely: Safely, say: Callable[[str], None]) -> None:
        self._writing, self._safely, self._say = writing, safely, say
        self.requests: list[Any] = []
        self._tree: Any = None

    def serving(self, worker: Any, batch: Any, *args: Any, **given: Any) -> None:
        """Before `forward_batch_generation`: whose blocks they are."""
        self.requests = list(getattr(batch, "reqs", None) or ())

    def around(self, original: Callable[..., Any], worker: Any, *args: Any, **given: Any) -> Any:
        """`_accept_block`."""
        self._tree = None
        own_q = getattr(worker, "_selector_sample", None) is not None
        self._safely(lambda: self._begin(given, own_q=own_q))
        result = original(worker, *args, **given)
        if self._tree is not None:
            self._safely(lambda: self._verified(result, given))
        return result

    def _begin(self, given: Mapping[str, Any], *, own_q: bool) -> None:
        tree = chain(given["candidates"])
        steps = self._writing(tree)
        if steps is None:
            return
        if own_q or given["next_token_logits"] is None:
            self._say(_OWN_Q if own_q else _SHARDED)
            return
        steps.begin()
        self._tree = tree

    def _verified(self, result: Any, given: Mapping[str, Any]) -> None:
        tree, steps = self._tree, self._writing(self._tree)
        if steps is None:
            return
        _, lens, _, tokens, _ = result
        batch = SimpleNamespace(reqs=self.requests, seq_lens=given["prefix_lens"])
        index = kept(lens, tree.draft_token_num)
        steps.verified((tokens.reshape(-1), lens, index), tree, batch, given["next_token_logits"])


def chain(candidates: Any) -> Any:
    """A block (requests, N), node 0 the token before, in the words of SGLang's trees."""
    import torch

    n, nodes = candidates.shape
    follows = torch.arange(1, nodes + 1, device=candidates.device)
    follows[-1] = -1
    return SimpleNamespace(
        draft_token=candidates.reshape(-1),
        draft_token_num=nodes,
        tree_topk=1,
        retrieve_next_token=follows.expand(n, nodes),
    )


def kept(lens: Any, nodes: int) -> Any:
    """Places (requests, N) of the accepted nodes in the whole batch, -1 behind them; `lens` counts node 0."""
    import torch

    at = torch.arange(nodes, device=lens.device).expand(len(lens), nodes)
    whole = at + nodes * torch.arange(len(lens), device=lens.device).unsqueeze(1)
    return torch.where(at < lens.unsqueeze(1), whole, -1)
