"""SGLang's own verification on CPU tensors with the plugin's hooks on, in Triton's interpreter: random logits, chains, trees, blocks.

    python tests/sglang/trees.py FOLDER [--law ratio] [--rows 2000]

Needs torch, triton and the Python files of SGLang 0.5.23 with what they import; prints one JSON object, or says what is missing and exits
3. `eagle_sample`, its inputs (EagleVerifyInput; NgramVerifyInput for the laws ngram and ngram-greedy), the chain kernel (ratio, block),
the greedy tree kernel, and of DFlash `_accept_block` and its kernel for greedy batches are SGLang's own. Its target-only tree kernel is
CUDA alone: `target_only` is written after kernels/jit/include/sgl_kernel/speculative/sampling.cuh, so that where it decides (tree,
tree-chain, ngram, standalone, dflash) the hooks are tested, and the kernel is not. `sdtrace report FOLDER` judges the decisions.
"""

import argparse
import contextlib
import importlib
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.made.stand_ins import MISSING, stand_in

os.environ["TRITON_INTERPRET"] = "1"
LAWS = (
    "ratio",
    "block",
    "tree-chain",
    "tree",
    "greedy",
    "standalone",
    "ngram",
    "ngram-greedy",
    "dflash",
    "dflash-greedy",
)
ALGORITHMS = {"standalone": "STANDALONE", "ngram": "NGRAM", "dflash": "DFLASH"}
VOCAB, BATCH, STEPS = 48, 32, 4


def target_only(**given: Any) -> None:
    """The target-only tree kernel, one request after the other."""
    import torch

    batch, nodes = given["candidates"].shape
    whole, single = max(given["threshold_acc"], 1e-9), given["threshold_single"]
    follows, siblings = given["retrive_next_token"], given["retrive_next_sibling"]
    for b in range(batch):
        ids, p, q = given["candidates"][b], given["target_probs"][b], given["draft_probs"][b]
        coin, row, at, kept, told = given["uniform_samples"][b, 0], 0, 0, 0, torch.zeros((), dtype=torch.float32)
        given["accept_index"][b, 0] = b * nodes
        for _ in range(1, given["accept_index"].shape[1]):
            at = int(follows[b, at])
            while at != -1:
                mine = p[row, ids[at]]
                told = told + mine
                if mine > 0 and (coin < told / whole or mine >= single):
                    given["predicts"][b * nodes + row] = ids[at]
                    kept, row, coin, told = kept + 1, at, given["uniform_samples"][b, at], torch.zeros(())
                    given["accept_index"][b, kept] = b * nodes + at
                    break
                q[row, ids[at]] = mine
                at = int(siblings[b, at])
            if at == -1:
                break
        given["accept_token_num"][b] = kept
        left = p[row] if kept == given["accept_index"].shape[1] - 1 else (p[row] - q[row]).clamp(min=0)
        edge = left.cumsum(0)
        y = int(torch.searchsorted(edge, given["uniform_samples_for_final_sampling"][b] * edge[-1], right=True))
        given["predicts"][b * nodes + row] = min(y, len(edge) - 1)


def links(parents: list[int]) -> tuple[list[int], list[int]]:
    """First child and next sibling of every node, -1 where there is none; `parents` of nodes 1, 2, ..."""
    follows, siblings = [-1] * (len(parents) + 1), [-1] * (len(parents) + 1)
    last: dict[int, int] = {}
    for node, parent in enumerate(parents, start=1):
        if parent in last:
            siblings[last[parent]] = node
        else:
            follows[parent] = node
        last[parent] = node
    return follows, siblings


def engine(law: str) -> tuple[Any, Any, Any]:
    """(eagle_utils, its arguments of speculation, server arguments), with what a GPU would have in its place."""
    import torch

    # transformers looks for what is installed before the others stand in
    importlib.import_module("transformers.utils.import_utils")
    stand_in()
    importlib.import_module("triton.backends")
    from sglang.kernels.ops.speculative.spec_tree import verify_tree_greedy_triton
    from sglang.srt import runtime_context
    from sglang.srt.speculative import eagle_utils

    spec = SimpleNamespace(
        speculative_use_rejection_sampling=law in ("ratio", "block"), speculative_use_block_verification=law == "block",
        speculative_accept_threshold_single=1.0, speculative_accept_threshold_acc=1.0,
        speculative_algorithm=ALGORITHMS.get(law.removesuffix("-greedy"), "EAGLE"),
        speculative_draft_model_path="draft", speculative_num_draft_tokens=None, speculative_num_steps=STEPS,
    )  # fmt: skip
    server = SimpleNamespace(model_path="random", dtype="float32", tp_size=1)
    parallel = SimpleNamespace(
        attn_tp_rank=0, tp_group=SimpleNamespace(world_size=1), attn_tp_group=SimpleNamespace(world_size=1)
    )
    runtime_context.get_spec = eagle_utils.get_spec = lambda: spec
    runtime_context.get_server_args, runtime_context.get_parallel = lambda: server, lambda: parallel

    def greedy(*, topk: int, predicts: Any, accept_index: Any, accept_token_num: Any, **given: Any) -> Any:
        verify_tree_greedy_triton(
            predicts=predicts, accept_index=accept_index, accept_token_num=accept_token_num, **given
        )
        return predicts, accept_index, accept_token_num

    eagle_utils.verify_tree_greedy_func = greedy
    eagle_utils.sampling_softmax = lambda logits, temperatures: torch.softmax(logits / temperatures, dim=-1)
    eagle_utils.tree_speculative_sampling_target_only = target_only
    if law.startswith("dflash"):
        from sglang.srt.speculative import dflash_utils

        dflash_utils.tree_speculative_sampling_target_only, dflash_utils.get_spec = target_only, eagle_utils.get_spec
        dflash_utils._DFLASH_SAMPLING_VERIFY_AVAILABLE = True
    return eagle_utils, spec, server


def request(name: str, temperature: float) -> SimpleNamespace:
    params = SimpleNamespace(
        temperature=temperature or 1.0, top_k=1 << 30 if temperature else 1, top_p=1.0, min_p=0.0, repetition_penalty=1.0,
        presence_penalty=0.0, frequency_penalty=0.0, sampling_seed=None, max_new_tokens=1 << 19, stop_token_ids=None,
        ignore_eos=True, logit_bias=None,
    )  # fmt: skip
    return SimpleNamespace(rid=name, sampling_params=params, origin_input_ids=[1] * 10, eos_token_ids=None)


def checked(law: str, ids: Any, follows: Any, siblings: Any, q: Any) -> Any:
    """What `eagle_sample` is asked to verify, as SGLang's workers hand it over."""
    import torch
    from sglang.srt.speculative.eagle_info import EagleVerifyInput
    from sglang.srt.speculative.ngram_info import NgramVerifyInput

    nodes = ids.shape[1]
    shared: dict[str, Any] = {
        "draft_token": ids.reshape(-1), "custom_mask": torch.ones(1, dtype=torch.bool), "positions": None, "draft_token_num": nodes,
        "retrieve_index": torch.arange(ids.numel()).view(ids.shape), "retrieve_next_token": follows, "retrieve_next_sibling": siblings,
    }  # fmt: skip
    if law.startswith("ngram"):
        return NgramVerifyInput(**shared)
    return EagleVerifyInput(
        **shared, retrieve_cum_len=None, spec_steps=STEPS, topk=2 if law == "tree" else 1, capture_hidden_mode=None, seq_lens_sum=0,
        seq_lens_cpu=None, draft_probs=q,
    )  # fmt: skip


def blocks(hooks: Any, batch: Any, ids: Any, target: Any) -> Any:
    """DFlash's own `_accept_block`, as its worker calls it; the lengths that it keeps."""
    from sglang.srt.plugins.hook_registry import HookRegistry
    from sglang.srt.speculative.dflash_worker_v2 import DFlashWorkerV2

    if f"{DFlashWorkerV2.__module__}.DFlashWorkerV2._accept_block" not in HookRegistry._patched:
        hooks.served(None, SimpleNamespace(spec_algorithm=SimpleNamespace(name="DFLASH")))
    worker = DFlashWorkerV2.__new__(DFlashWorkerV2)
    worker._selector_sample, worker.block_size, worker._use_triton_accept_bonus = None, ids.shape[1], True
    worker._accept_bonus_buffer_cap, worker._accept_bonus_buffer_slot = 0, 0
    worker.device, worker._tp_sync = "cpu", SimpleNamespace(sync=lambda *_: None)
    worker._validate_phase1_sampling_support = _begun
    with contextlib.suppress(_Begun):  # the hook sees the batch; the forward pass itself takes a model
        worker.forward_batch_generation(batch)
    drafted = SimpleNamespace(max_top_k=None, uniform_top_k_value=None)
    kept = worker._accept_block(
        candidates=ids, next_token_logits=target, sampling_info=batch.sampling_info, draft_input=drafted, prefix_lens=batch.seq_lens,
        bs=len(ids),
    )  # fmt: skip
    return kept[1]


class _Begun(Exception):
    """Ends a forward pass where it begins."""


def _begun(batch: Any) -> None:
    raise _Begun


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--law", choices=LAWS, default="ratio")
    parser.add_argument("--rows", type=int, default=2_000)
    given = parser.parse_args()
    os.environ["SDTRACE_RECORD"] = str(given.folder)
    import torch

    try:
        utils, _, _ = engine(given.law)
    except Exception as error:  # whatever is too old, too new or not there: nothing of the plugin ran yet
        print(f"SGLang's files do not import here: {type(error).__name__}: {error}")
        raise SystemExit(MISSING) from None
    from sglang.srt.plugins.hook_registry import HookRegistry

    from sdtrace.record.sglang import installed

    hooks = installed()
    assert hooks is not None
    HookRegistry.apply_hooks()
    rng = torch.Generator().manual_seed(5)
    torch.manual_seed(6)
    tree = given.law in ("tree", "ngram", "ngram-greedy")
    parents = [0, 0, 1, 1, 2, 2, 3, 3, 4, 7] if tree else list(range(STEPS))
    follows, siblings = (torch.tensor(one).repeat(BATCH, 1) for one in links(parents))
    nodes = len(parents) + 1
    temperature = 0.0 if given.law.endswith("greedy") else 1.0
    requests = [request(f"r{i}", temperature) for i in range(BATCH)]
    before = torch.full((BATCH,), 10, dtype=torch.int64)
    sampling = SimpleNamespace(
        acc_additive_penalties=None, acc_scaling_penalties=None, logit_bias=None, has_watermark_candidates=False, sampling_seed=None,
        is_all_greedy=temperature == 0, temperatures=torch.ones(BATCH, 1), need_top_k_sampling=False, need_top_p_sampling=False,
    )  # fmt: skip
    batches = max(1, given.rows // (BATCH * len(parents)))
    for _ in range(batches):
        target = torch.randn(BATCH * nodes, VOCAB, generator=rng) * 2.0
        rows = target.view(BATCH, nodes, VOCAB)
        if tree:
            q, drafted = None, rows[:, torch.tensor(parents)] + torch.randn(BATCH, len(parents), VOCAB, generator=rng)
            x = drafted.argmax(-1)
            x[:, 1::2] = drafted[:, 1::2].topk(2, dim=-1).indices[..., 1]  # siblings differ
        else:
            draft = rows[:, :STEPS] * 0.8 + torch.randn(BATCH, STEPS, VOCAB, generator=rng)
            q = draft.softmax(-1)
            drawn = torch.multinomial(q.view(-1, VOCAB), 1, generator=rng).view(BATCH, STEPS)
            x = drawn if given.law in ("ratio", "block") else draft.argmax(-1)
        ids = torch.cat([torch.ones(BATCH, 1, dtype=torch.int64), x], dim=1)
        batch = SimpleNamespace(
            device="cpu", forward_mode=SimpleNamespace(is_idle=lambda: False), seq_lens=before, sampling_info=sampling,
            reqs=requests, return_logprob=False, req_pool_indices=None,
        )  # fmt: skip
        if given.law.startswith("dflash"):
            lens = blocks(hooks, batch, ids, target)
        else:
            verify = checked(given.law, ids, follows, siblings, q)
            _, lens, _ = utils.eagle_sample(verify, batch, SimpleNamespace(next_token_logits=target))
        before = before + lens
    hooks.close()
    print(json.dumps({"law": given.law, "rows": batches * BATCH * len(parents)}))


if __name__ == "__main__":
    main()
