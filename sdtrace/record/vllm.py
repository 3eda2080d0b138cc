"""A vLLM plugin that records trace format 1 from the rejection sampler. Set SDTRACE_RECORD to a folder and start vLLM.

vLLM finds it by its entry point (`vllm.general_plugins`) in every process; without the variable it does nothing. It
wraps functions of both model runners, of which one serves: V1 (`vllm/v1/worker/gpu_model_runner.py`, `v1/sample/rejection_sampler.py`)
and V2 of vLLM 0.32 and 0.33 (`vllm/v1/worker/gpu/model_runner.py`, `v1/worker/gpu/spec_decode/rejection_sampler.py`).

| variable | means |
|---|---|
| SDTRACE_RECORD | folder to record into |
| SDTRACE_RECORD_PROMPTS=1 | write prompt token ids, which a replay needs |
| SDTRACE_RECORD_SAMPLE=0.01 | share of the requests, by hash of their id |
| SDTRACE_RECORD_MAX_GB=10 | size cap of a process |
| SDTRACE_RECORD_SUMS=0 | p, q and r only: no entropies, overlaps, argmax |
| SDTRACE_RECORD_TOP=20 | the likeliest 20 of p and q at every position, too (model runner V2): large files |
| SDTRACE_RECORD_ENCODING=parquet | Parquet parts in place of JSON Lines |
| SDTRACE_RECORD_MODE=640 | who may read the files; 600, their owner alone, without it |

The output is cut where vLLM's scheduler cuts it (stop ids, max_tokens, max_model_len); stop strings are found in another
process and are not seen here. On a GPU the few numbers of a step are copied without waiting and read in the next step.
"""

import functools
import inspect
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from sdtrace.record import settings
from sdtrace.record.vllm_second import SecondSteps
from sdtrace.record.vllm_steps import Steps

_log = logging.getLogger("sdtrace.record")


def register() -> None:
    """Called by vLLM in each of its processes, perhaps more than once."""
    if not os.environ.get("SDTRACE_RECORD"):
        return
    try:
        if told := settings.checked():
            _log.warning("sdtrace: %s", told)
        _install()
    except Exception as error:  # a recorder must not keep a server from starting
        version = getattr(sys.modules.get("vllm"), "__version__", "")
        _log.warning("sdtrace does not record%s: %s", f" vLLM {version}" if version else "", settings.said(error))


#: Releases that are known: their samplers were read, V1 ran on a CPU, V2 in Triton's interpreter.
KNOWN = ("0.32.", "0.33.")
#: What is watched of model runner V1, and the arguments of its `rejection_sample` that are read, in their order.
_RUNNER = ("execute_model", "_sample", "propose_draft_token_ids", "sample_tokens")
_ARGUMENTS = (
    *("draft_token_ids", "num_draft_tokens", "max_spec_len", "cu_num_draft_tokens", "draft_probs", "target_logits"),
)
#: Arguments of V2's `rejection_sample` that are read.
_READ = frozenset({
    "target_logits", "draft_logits", "draft_sampled", "cu_num_logits", "pos", "expanded_idx_mapping", "expanded_local_pos", "temperature",
})  # fmt: skip


def _install() -> None:
    import vllm
    from vllm.v1.sample import rejection_sampler
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner

    if "_sdtrace" in vars(GPUModelRunner):
        return
    GPUModelRunner._sdtrace = None  # whatever comes of it, once
    _second_runner()
    lacks = [name for name in _RUNNER if not hasattr(GPUModelRunner, name)]
    lacks += [name for name in ("generate_uniform_probs", "rejection_sample") if not hasattr(rejection_sampler, name)]
    if not lacks:
        given = list(inspect.signature(rejection_sampler.rejection_sample).parameters)
        lacks = [name for at, name in enumerate(_ARGUMENTS) if given[at : at + 1] != [name]]
    if says := _refusal("V1", vllm.__version__, lacks, "vllm/v1/sample/rejection_sampler.py"):
        _around(GPUModelRunner, "__init__", before=lambda *_, **__: _log.warning(says))
        return
    steps = Steps()
    GPUModelRunner._sdtrace = steps
    _around(GPUModelRunner, "execute_model", before=steps.begin)
    _around(GPUModelRunner, "_sample", before=steps.sampling, after=steps.sampled)
    _around(GPUModelRunner, "propose_draft_token_ids", before=steps.drafting, after=steps.drafted)
    _around(GPUModelRunner, "sample_tokens", after=steps.end)
    _around(rejection_sampler, "generate_uniform_probs", after=lambda result, *_, **__: steps.uniforms(result))
    _around(rejection_sampler, "rejection_sample", before=steps.verify)


def _refusal(runner: str, version: str, lacks: Sequence[str], where: str) -> str | None:
    """Why a model runner is not recorded, and what it would take; None for one that is known."""
    if version.startswith(KNOWN) and not lacks:
        return None
    gone = f" (gone or in another place: {', '.join(lacks)})" if lacks else ""
    return (
        f"sdtrace does not record model runner {runner} of vLLM {version}{gone}: known are {' and '.join(f'{k}x' for k in KNOWN)}; "
        f"it would take a look at rejection_sample in {where}"
    )


def _second_runner() -> None:
    """Watch model runner V2, where this vLLM has it and it is one that is known; others are named, with what they would take."""
    try:
        import vllm
        from vllm.v1.worker.gpu import model_runner
        from vllm.v1.worker.gpu.spec_decode import rejection_sampler, rejection_sampler_utils
    except ImportError:
        return
    runner = model_runner.GPUModelRunner
    call = inspect.signature(rejection_sampler.rejection_sample)
    lacks = sorted(_READ - set(call.parameters))
    if says := _refusal("V2", vllm.__version__, lacks, "vllm/v1/worker/gpu/spec_decode"):
        if vllm.__version__.startswith(KNOWN):
            says += "; VLLM_USE_V2_MODEL_RUNNER=0 chooses the runner that is recorded"
        _around(runner, "__init__", before=lambda *_, **__: _log.warning(says))
        return
    steps = SecondSteps(mixed=hasattr(rejection_sampler_utils, "spec_step_seed"))
    runner._sdtrace = steps
    if not steps.mixed:
        _around(runner, "__init__", after=_block_draws_twice)
    _around(runner, "execute_model", before=steps.begin)
    _around(runner, "add_requests", after=steps.added)
    _around(runner, "sample", before=steps.sampling, after=steps.sampled)
    _around(runner, "sample_tokens", after=steps.end)

    def verified(result: Any, *args: Any, **kwargs: Any) -> None:
        bound = call.bind(*args, **kwargs)
        bound.apply_defaults()
        steps.verified(result, bound.arguments)

    _around(rejection_sampler, "rejection_sample", after=verified)


def _block_draws_twice(result: Any, runner: Any, *_: Any, **__: Any) -> None:
    """Block verification looks at the uniforms of all drafted positions. 0.32 draws them by position alone, so that those behind the
    accepted block, known to be too large by then, are compared again in the next step; 0.33 mixes the draft step into the seed."""
    if getattr(getattr(runner, "speculative_config", None), "rejection_sample_method", None) == "block":
        _log.warning(
            "block verification of this vLLM compares uniforms again that an earlier step found too large: its text is off the "
            "target's distribution by a little; vLLM 0.33 draws afresh. sdtrace does not record these uniforms"
        )


def _around(
    owner: Any, name: str, before: Callable[..., None] | None = None, after: Callable[..., None] | None = None
) -> None:
    """Watch a function: `before` sees its arguments, `after` its result first. What they raise is said once, no more."""
    original = getattr(owner, name)
    said: set[str] = set()

    def safely(watch: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        try:
            watch(*args, **kwargs)
        except Exception as error:
            if name not in said:
                said.add(name)
                _log.warning("sdtrace misses %s: %s: %s", name, type(error).__name__, error, exc_info=True)

    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            safely(before, *args, **kwargs)
        result = original(*args, **kwargs)
        if after is not None:
            safely(after, result, *args, **kwargs)
        return result

    setattr(owner, name, watched)
