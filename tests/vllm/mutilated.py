"""Kernels of vLLM made wrong in one line each: the module is loaded from a changed copy of its source, which Triton reads back."""

import importlib
import importlib.util
import sys
import tempfile
from pathlib import Path

_SAMPLER = "vllm.v1.worker.gpu.spec_decode.rejection_sampler_utils"
_NOISE = "vllm.v1.worker.gpu.sample.gumbel"
_TEST = "accepted = target_logprob > tl.log(u) + draft_logprob"
#: Fault: module, and what stands there against what it is made.
KERNELS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "inverted": (_SAMPLER, ((_TEST, "accepted = draft_logprob > tl.log(u) + target_logprob"),)),
    "lenient": (_SAMPLER, ((_TEST, f"{_TEST} - 0.2"),)),
    # as before vllm#47386: the draft is drawn with the noise that its recovered token is drawn with
    "shared-noise": (_NOISE, (("pos = pos + _DRAFT_NOISE_SALT", "pos = pos"),)),
    "stale-draft-row": (
        _SAMPLER,
        (
            (
                "                + draft_step * draft_logits_stride_1\n                + token",
                "                + (draft_step + 3) % 4 * draft_logits_stride_1\n                + token",
            ),
        ),
    ),
    "bonus-row": (
        _SAMPLER,
        (
            (
                "target_logits_ptr + resample_token_idx * target_logits_stride + block",
                "target_logits_ptr + (resample_token_idx - tl.where(is_bonus, 1, 0)) * target_logits_stride + block",
            ),
        ),
    ),
}
#: What each is to be called.
CAUSES = {
    "inverted": "inverted-ratio",
    "lenient": "lenient-acceptance",
    "shared-noise": "shared-noise",
    "stale-draft-row": "misaligned-draft-probs",
    "bonus-row": "misaligned-target-probs",
}


def mutilate(fault: str) -> None:
    """Load the fault's module in its changed form, before anything imports it."""
    name, changes = KERNELS[fault]
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text()
    for old, new in changes:
        if source.count(old) != 1:
            raise SystemExit(f"this vLLM has {source.count(old)} places of {old!r} in {name}: the fault fits 0.33")
        source = source.replace(old, new)
    file = Path(tempfile.mkdtemp()) / f"{name.rpartition('.')[2]}.py"
    file.write_text(source)
    changed = importlib.util.spec_from_file_location(name, file)
    assert changed is not None
    assert changed.loader is not None
    module = importlib.util.module_from_spec(changed)
    sys.modules[name] = module
    changed.loader.exec_module(module)
    parent, _, last = name.rpartition(".")
    setattr(importlib.import_module(parent), last, module)
