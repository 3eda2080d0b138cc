"""An SGLang plugin that records trace format 1 from the verification of draft trees. Set SDTRACE_RECORD to a folder and start SGLang.

SGLang 0.5.23 finds it by its entry point (`sglang.srt.plugins`) in every process; without the variable it does nothing. It hooks
`eagle_sample` (EAGLE, EAGLE-3, MTP, STANDALONE, NGRAM), blocks of DFlash (`sdtrace.record.sglang_dflash`), and the kernels that both
sample with. Drafters that verify elsewhere (DSpark, UNO) are not recorded, and it says so. The variables are those of
`sdtrace.record.vllm`, without SDTRACE_RECORD_TOP.

| what verifies | law of the record |
|---|---|
| target-only tree kernel | tree-coin, with its two thresholds; topk 1 is a chain |
| chain with rejection sampling, with block verification | ratio, block |
| greedy tree | greedy (requests at temperature 0) |
| SGLANG_SIMULATE_ACC_LEN | synthetic |
"""

import inspect
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from sdtrace.record import settings
from sdtrace.record.sglang_dflash import Blocks
from sdtrace.record.sglang_steps import TreeSteps
from sdtrace.record.writer import TraceWriter

_log = logging.getLogger("sdtrace.record")
#: Releases whose verification was read.
KNOWN = ("0.5.23",)
_UTILS = "sglang.srt.speculative.eagle_utils"
_DFLASH = "sglang.srt.speculative.dflash_worker_v2.DFlashWorkerV2"
#: Arguments of its `_accept_block` that are read.
_BLOCK = {"candidates", "next_token_logits", "prefix_lens"}
#: Arguments that are read, by function of `eagle_utils`.
_READ = {
    "eagle_sample": {"verify_input", "batch", "logits_output"},
    "chain_speculative_sampling_triton": {"candidates", "uniform_samples", "target_probs", "draft_probs"},
}
#: Words of the format for SGLang's algorithms.
_METHODS = {
    "EAGLE": "eagle", "EAGLE3": "eagle3", "NEXTN": "mtp", "FROZEN_KV_MTP": "mtp", "STANDALONE": "draft_model", "NGRAM": "ngram",
    "DFLASH": "dflash",
}  # fmt: skip


def register() -> None:
    """Called by SGLang in each of its processes."""
    if not os.environ.get("SDTRACE_RECORD") or "sglang.srt.managers.scheduler" not in sys.modules:
        return  # tokens are verified in the process of a scheduler
    try:
        if told := settings.checked():
            _log.warning("sdtrace: %s", told)
        installed()
    except Exception as error:  # a recorder must not keep a server from starting
        _log.warning("sdtrace does not record: %s", settings.said(error))


def installed() -> "Hooks | None":
    """Register the hooks, which SGLang applies; None where this release is not known."""
    import sglang
    from sglang.srt.plugins.hook_registry import HookRegistry, HookType
    from sglang.srt.speculative import eagle_utils

    missing = [
        f"{name}({', '.join(sorted(gone))})"
        for name, read in _READ.items()
        if (gone := read - set(inspect.signature(getattr(eagle_utils, name)).parameters))
    ]
    if sglang.__version__.partition("+")[0] not in KNOWN or missing:
        lacks = f" (not there: {', '.join(missing)})" if missing else ""
        _log.warning(
            "sdtrace does not record SGLang %s%s: known is %s; it would take a look at eagle_sample in %s",
            sglang.__version__, lacks, ", ".join(KNOWN), _UTILS.replace(".", "/") + ".py",
        )  # fmt: skip
        return None
    hooks = Hooks()
    HookRegistry.register(f"{_UTILS}.eagle_sample", hooks.around, HookType.AROUND)
    for name in ("chain_speculative_sampling_triton", "tree_speculative_sampling_target_only"):
        if getattr(eagle_utils, name) is not None:
            kernel = hooks.chain if name.startswith("chain") else hooks.tree
            HookRegistry.register(f"{_UTILS}.{name}", kernel, HookType.AFTER)
    HookRegistry.register("sglang.srt.managers.scheduler.Scheduler.__init__", hooks.served, HookType.AFTER)
    return hooks


class Hooks:
    """The hooks of one process, and the writer once something was verified."""

    def __init__(self) -> None:
        self.steps: TreeSteps | None = None
        self.rank: bool | None = None
        self.said: set[str] = set()

    def served(self, result: Any, scheduler: Any, *args: Any, **given: Any) -> None:
        """A scheduler is there, and so is its drafter: one whose verification is not hooked is named."""
        name = getattr(getattr(scheduler, "spec_algorithm", None), "name", "NONE")
        if name == "DFLASH":
            self._safely(self.dflash)
        elif name not in _METHODS:
            known = ", ".join(sorted({"EAGLE", "EAGLE3", "STANDALONE", "NGRAM", "DFLASH"}))
            self._say(
                "speculation is off" if name == "NONE" else f"{name} verifies where no hook is (known are {known})"
            )

    def dflash(self) -> None:
        """Hook the worker of DFlash, which no other server imports."""
        from sglang.srt.plugins.hook_registry import HookRegistry, HookType
        from sglang.srt.speculative.dflash_worker_v2 import DFlashWorkerV2

        missing = sorted(_BLOCK - set(inspect.signature(DFlashWorkerV2._accept_block).parameters))
        if missing:
            self._say(f"{', '.join(missing)} are no arguments of DFlashWorkerV2._accept_block in dflash_worker_v2.py")
            return
        blocks = Blocks(lambda tree: self._writing(tree) if self._ours() else None, self._safely, self._say)
        HookRegistry.register(f"{_DFLASH}.forward_batch_generation", blocks.serving, HookType.BEFORE)
        HookRegistry.register(f"{_DFLASH}._accept_block", blocks.around, HookType.AROUND)
        HookRegistry.apply_hooks()

    def around(
        self, original: Callable[..., Any], tree: Any, batch: Any, logits_output: Any, *args: Any, **more: Any
    ) -> Any:
        """`eagle_sample`: its logits are shaped in place."""
        ours = self._ours()
        if ours:
            self._safely(lambda: self._writing(tree).begin())
        result = original(tree, batch, logits_output, *args, **more)
        if ours:
            self._safely(lambda: self._writing(tree).verified(result, tree, batch, logits_output.next_token_logits))
        return result

    def chain(self, result: Any, *args: Any, **given: Any) -> None:
        """The chain kernel with draft probabilities."""
        if self.steps is not None:
            steps = self.steps
            self._safely(lambda: steps.sampled(given | {"ratio": True}))

    def tree(self, result: Any, *args: Any, **given: Any) -> None:
        """The target-only tree kernel; it writes into draft_probs."""
        if self.steps is not None:
            steps = self.steps
            self._safely(lambda: steps.sampled(given))

    def close(self) -> None:
        """Write what is on its way."""
        if self.steps is not None:
            self.steps.close()
            self.steps.writer.close()

    def _ours(self) -> bool:
        """Of the ranks of one model one records: all decide alike."""
        if self.rank is None:
            from sglang.srt.runtime_context import get_parallel

            self.rank = getattr(get_parallel(), "attn_tp_rank", 0) == 0
        return self.rank

    def _say(self, why: str) -> None:
        if why not in self.said:
            self.said.add(why)
            _log.warning("sdtrace records nothing here: %s", why)

    def _safely(self, watch: Callable[[], None]) -> None:
        try:
            watch()
        except Exception as error:
            if str(error) not in self.said and len(self.said) < 8:
                self.said.add(str(error))
                _log.warning("sdtrace misses a step: %s: %s", type(error).__name__, error, exc_info=True)

    def _writing(self, tree: Any) -> TreeSteps:
        if self.steps is None:
            import atexit

            from sglang.srt.runtime_context import get_server_args, get_spec
            from sglang.srt.speculative.spec_utils import SIMULATE_ACC_LEN

            simulated = SIMULATE_ACC_LEN > 0
            out = writer(get_server_args(), get_spec(), tree.tree_topk, simulated=simulated)
            self.steps = TreeSteps(out, simulated=simulated)
            atexit.register(self.steps.close)  # before the writer's own end
        return self.steps


def draws(spec: Any) -> bool:
    """Whether drafts are drawn, and held against p by their ratio. DFlash drafts the likeliest token whatever the flag says."""
    return bool(spec.speculative_use_rejection_sampling) and spec.speculative_algorithm != "DFLASH"


def rule_of(spec: Any, topk: int, *, simulated: bool) -> tuple[str, dict[str, Any]]:
    """(law, its parameters) of requests at a temperature, by what the server was asked for."""
    if simulated:
        return "synthetic", {}
    if draws(spec):
        return "block" if spec.speculative_use_block_verification else "ratio", {}
    params: dict[str, Any] = {
        "threshold_single": float(spec.speculative_accept_threshold_single),
        "threshold_acc": float(spec.speculative_accept_threshold_acc),
    }
    return "tree-coin", params | ({"topk": topk} if topk > 0 else {})


def writer(args: Any, spec: Any, topk: int, *, simulated: bool) -> TraceWriter:
    """The writer of a scheduler process. `args`: ServerArgs; `spec`: what speaks of speculation; `topk`: children of a node, below 1
    where they differ."""
    import sglang

    rule, params = rule_of(spec, topk, simulated=simulated)
    names = ("dtype", "tp_size", "dp_size", "attention_backend")
    config = {name: str(value) for name in names if (value := getattr(args, name, None)) is not None}
    nodes = spec.speculative_num_draft_tokens or 1
    return settings.writer(
        {
            "run_id": f"sglang-{int(time.time())}-{os.getpid()}",
            "engine": "sglang",
            "engine_version": sglang.__version__,
            "method": _METHODS.get(str(spec.speculative_algorithm), "other"),
            "target_model": args.model_path,
            "draft_model": spec.speculative_draft_model_path,
            "rule": rule,
            "rule_params": params or None,
            "draft_sampling": "sampled" if draws(spec) else "argmax",
            "num_draft_tokens": nodes - 1 if topk == 1 else spec.speculative_num_steps,
            "prob_basis": "processed",
            "prob_dtype": "float32",
            "started_at": time.time(),
            "config": config,
        }
    )
