"""Which part of a step a span is, by its name: those of vLLM, SGLang, Transformers, of their kernels, and plain words of one's own.

Sources: vLLM's `record_function_or_nullcontext` scopes (0.10.2 to 0.33) and the annotation of its worker; SGLang's `spec_stage_span`
(0.5.14 on) and `step[...]`; functions of transformers.generation as torch.profiler names them with `with_stack=True`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal

#: A part with a + is more of it, which begins no step: the target's logits, SGLang's second draft pass.
Role = Literal["step", "draft", "draft+", "verify", "verify+", "sample", "graph"]

#: What stands before the name of a kernel.
_VOID = r"(?:void )?(?:\(anonymous namespace\)::|\w+::){0,4}"
#: (pattern of the whole name, role, engine); the first that fits counts. Words of one's own fit `record_function("draft")`.
_NAMES: tuple[tuple[str, Role, str | None], ...] = (
    (r"gpu_model_runner: draft|ngram_proposer_gpu: kernel|Draft", "draft", "vllm"),
    (r"gpu_model_runner: forward|Forward", "verify", "vllm"),
    (r"gpu_model_runner: postprocess|Postprocess", "verify+", "vllm"),  # the target's logits
    (r"gpu_model_runner: sample|Sample", "sample", "vllm"),
    (r"draft_extend\w*", "draft+", "sglang"),
    (r"step\[.*", "step", "sglang"),
    (r"transformers/generation/candidate_generator\.py\(\d+\): get_candidates", "draft", "transformers"),
    (r"nn\.Module: \w+(?:ForCausalLM|LMHeadModel|ForConditionalGeneration)_\d+", "verify", "transformers"),
    (r"transformers/generation/utils\.py\(\d+\): _speculative_sampling", "sample", "transformers"),
    (r"step \d+", "step", None),
    (r"(?:sdtrace[:.] ?)?(?:draft|drafting|propose)", "draft", None),
    (r"(?:sdtrace[:.] ?)?(?:verify|verification|target_verify|target_forward)", "verify", None),
    (r"(?:sdtrace[:.] ?)?(?:sample|sampling|rejection_sampl\w+)", "sample", None),
    (_VOID + r"(?:_?rejection_\w*kernel|sample_recovered_tokens_kernel|_\w{0,32}resample\w{0,32}_kernel).*", "sample", "vllm"),
    (_VOID + r"(?:TreeSpeculativeSampling|VerifyTreeGreedy|speculative_sampling_classic).*", "sample", "sglang"),
    (r"cu(?:da)?GraphLaunch|hipGraphLaunch", "graph", None),
)  # fmt: skip
_KNOWN_SPAN = re.compile("|".join(f"(?P<n{i}>{pattern})" for i, (pattern, _, _) in enumerate(_NAMES)))


#: What a user may name a span as.
PARTS: tuple[Role, ...] = ("draft", "verify", "sample", "step")
#: (pattern, role) of spans that the user has named, the first that fits counts, before all names that are known here.
_NAMED: list[tuple[str, Role]] = []


@contextmanager
def naming(spans: Sequence[tuple[Role, str]]) -> Iterator[None]:
    """Spans of these names (* and ? as in file names) are these parts while this holds."""
    _NAMED.extend((pattern, part) for part, pattern in spans)
    try:
        yield
    finally:
        del _NAMED[len(_NAMED) - len(spans) :]


def role(name: str) -> tuple[Role, str | None] | None:
    """The role of a span and the engine whose name that is; None where it is no part of a step that is known."""
    for pattern, part in _NAMED:
        if fnmatchcase(name[:400], pattern):
            return part, None
    return _known(name)


@lru_cache(65_536)
def _known(name: str) -> tuple[Role, str | None] | None:
    found = _KNOWN_SPAN.fullmatch(name[:400])
    if found is None or found.lastgroup is None:
        return None
    _, which, engine = _NAMES[int(found.lastgroup[1:])]
    return which, engine


#: Annotations of the engines that are known to be no part: the host's own work.
_HOST = re.compile(
    r"gpu_model_runner: .*|schedule: .*|llm_engine step: .*|execute_(?:context|new|\d+_context)_.*"
    r"|ProfilerStep#\d+|Preprocess|Bookkeep|EPLB"
)


def of_the_host(name: str) -> bool:
    """Whether an annotation without a role is one that engines always write."""
    return _HOST.fullmatch(name) is not None
