"""vLLM's own rejection sampler of model runner V2 with the plugin on, in Triton's interpreter: no GPU, random logits.

    python tests/vllm/second.py FOLDER [--law ratio] [--rows 20000] [--fault bonus-row]

Needs torch, triton and the Python files of vLLM 0.32 or 0.33 with what they import; prints one JSON object, or says what is missing and
exits 3. Drafts are drawn by vLLM's own kernel; every uniform that its test draws is compared bit for bit with that of the law and with the
recorded one; `sdtrace report FOLDER` judges the decisions. `--fault`: one of the kernels is made wrong first (tests/vllm/mutilated.py).
"""

import argparse
import importlib
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mutilated import KERNELS, mutilate

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.made.stand_ins import MISSING, stand_in

os.environ["TRITON_INTERPRET"] = "1"
os.environ.setdefault("VLLM_TARGET_DEVICE", "empty")
LAWS = ("ratio", "one-hot", "block", "fly", "synthetic")
K, VOCAB, BATCH = 4, 48, 64


def vllm_on_triton() -> None:
    """vLLM switches Triton off where no GPU is there; the interpreter needs none."""
    # transformers looks for what is installed before the others stand in
    importlib.import_module("transformers.utils.import_utils")
    stand_in()
    import vllm.platforms

    backends = importlib.import_module("triton.backends").backends
    backends["nvidia"].driver.is_active = staticmethod(lambda: True)
    vllm.platforms.vllm_version_matches_substr = lambda word: False


def sampler_of(law: str, states: Any) -> Any:
    import torch
    from vllm.v1.worker.gpu.spec_decode.rejection_sampler import RejectionSampler

    method = law if law in ("block", "fly", "synthetic") else "standard"
    spec = SimpleNamespace(
        num_speculative_tokens=K, enable_adaptive_verification=False, rejection_sample_method=method, fly_window_size=2,
        fly_entropy_threshold=0.9, fly_entropy_top_k=3, synthetic_acceptance_rates=[0.8, 0.5, 0.3, 0.2],
    )  # fmt: skip
    stub = SimpleNamespace(
        apply_sampling_params=lambda logits, *_: logits, sampling_states=states, logprobs_mode="raw_logprobs", compute_nans=False,
        use_fp64_gumbel=False, return_sampling_mask=False,
        req_states=SimpleNamespace(prefill_len=SimpleNamespace(gpu=torch.ones(BATCH, dtype=torch.int32))),
    )  # fmt: skip
    return RejectionSampler(stub, spec, torch.device("cpu"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--law", choices=LAWS, default="ratio")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--fault", choices=sorted(KERNELS))
    given = parser.parse_args()
    os.environ["SDTRACE_RECORD"] = str(given.folder)
    try:
        vllm_on_triton()
        if given.fault:
            mutilate(given.fault)
        from vllm.v1.worker.gpu import model_runner
    except Exception as error:  # whatever is too old, too new or not there: nothing of the plugin ran yet
        print(f"vLLM's files do not import here: {type(error).__name__}: {error}")
        raise SystemExit(MISSING) from None
    import numpy as np
    import torch
    from vllm.triton_utils import tl
    from vllm.v1.worker.gpu.sample.gumbel import gumbel_sample
    from vllm.v1.worker.gpu.spec_decode import rejection_sampler_utils

    from sdtrace.record.vllm import register

    # the interpreter has no libdevice
    rejection_sampler_utils.tldevice = SimpleNamespace(log1p=lambda x: tl.log(1.0 + x))
    rejection_sampler_utils.tl_rand32, drawn = watched(rejection_sampler_utils.tl_rand32)
    register()
    runner = model_runner.GPUModelRunner.__new__(model_runner.GPUModelRunner)
    steps = runner._sdtrace
    rng = torch.Generator().manual_seed(5)
    seeds = torch.randint(-(2**62), 2**62, (BATCH,), generator=rng)
    temperature = torch.ones(BATCH)
    temperature[::8] = 0.0
    states = SimpleNamespace(
        temperature=SimpleNamespace(gpu=temperature), seeds=SimpleNamespace(gpu=seeds, np=seeds.numpy()),
        max_num_logprobs=lambda rows: -1,
    )  # fmt: skip
    runner.rejection_sampler = sampler_of(given.law, states)
    runner.sampler, runner.batch_sharder = runner.rejection_sampler.sampler, None
    runner.model = SimpleNamespace(compute_logits=lambda hidden: hidden)
    runner.device, runner.req_states = torch.device("cpu"), SimpleNamespace(max_model_len=1 << 20)
    runner.speculative_config = SimpleNamespace(method="draft_model", num_speculative_tokens=K, model="draft")
    runner.vllm_config = SimpleNamespace(
        model_config=SimpleNamespace(model="random", get_vocab_size=lambda: VOCAB, dtype=torch.float32),
        parallel_config=SimpleNamespace(tensor_parallel_size=1),
    )  # fmt: skip
    names = [f"r{i}" for i in range(BATCH)]
    fresh = [
        SimpleNamespace(
            req_id=name, prompt_token_ids=[1],
            sampling_params=SimpleNamespace(
                temperature=float(temperature[i]), top_p=1.0, top_k=0, min_p=0.0, repetition_penalty=1.0, presence_penalty=0.0,
                frequency_penalty=0.0, seed=int(seeds[i]), max_tokens=1 << 19, stop_token_ids=(), eos_token_id=None, logit_bias=None,
            ),
        )
        for i, name in enumerate(names)
    ]  # fmt: skip
    each, m = K + 1, BATCH * (K + 1)
    at = torch.full((BATCH,), 10, dtype=torch.int64)
    slots = torch.arange(BATCH)
    local = torch.arange(each, dtype=torch.int32).repeat(BATCH)
    for number in range(max(1, given.rows // (BATCH * K))):
        scheduled = SimpleNamespace(finished_req_ids=set(), scheduled_new_reqs=fresh if number == 0 else [])
        steps.begin(runner, scheduled)
        steps.added(None, runner, scheduled)
        target = torch.randn(m, VOCAB, generator=rng) * 2.0
        draft = target.view(BATCH, each, VOCAB)[:, :K] * 0.8 + torch.randn(BATCH, K, VOCAB, generator=rng)
        if given.law == "one-hot":
            x = draft.argmax(-1)
        else:
            where = (at.unsqueeze(1) + torch.arange(K)).view(-1)
            rows, slot = draft.reshape(-1, VOCAB).contiguous(), slots.repeat_interleave(K)
            x = gumbel_sample(rows, slot, temperature, seeds, where, True, True).view(BATCH, K)
        ids = torch.cat([torch.ones(BATCH, 1, dtype=torch.int64), x], dim=1).view(-1)
        runner.speculator = SimpleNamespace(draft_logits=None if given.law == "one-hot" else draft)
        cu = torch.arange(0, m + 1, each, dtype=torch.int32)
        batch = SimpleNamespace(
            req_ids=names, num_reqs=BATCH, idx_mapping=slots, idx_mapping_np=slots.numpy(),
            expanded_idx_mapping=slots.repeat_interleave(each), expanded_local_pos=local, num_draft_tokens=BATCH * K,
            input_ids=ids.to(torch.int32), positions=(at.repeat_interleave(each) + local), logits_indices=torch.arange(m),
            cu_num_logits=cu, cu_num_logits_np=cu.numpy(), seq_lens=(at + each).to(torch.int32),
            seq_lens_cpu_upper_bound=(at + each).to(torch.int32),
        )  # fmt: skip
        _, count, _ = runner.sample(target, batch, None)
        steps.end(None, runner)
        at += count.long()
    steps.close()
    steps.writer.close()
    print(
        json.dumps(
            {"law": given.law, "fault": given.fault, "rows": int(number + 1) * BATCH * K}
            | bits(given.folder, np, drawn, mixed=given.law == "block" and steps.mixed)
        )
    )


Drawn = dict[tuple[int, int], float]


def watched(draw: Any) -> tuple[Any, Drawn]:
    """The function that draws a uniform, and what the kernel has drawn with it: (seed, position) to uniform."""
    drawn: Drawn = {}

    def drawing(seed: Any, pos: Any, **how: Any) -> Any:
        u = draw(seed, pos, **how)
        drawn[_number(seed), _number(pos)] = float(u.handle.data.item())
        return u

    return drawing, drawn


def _number(value: Any) -> int:
    return int(value.handle.data.item())


def bits(folder: Path, np: Any, drawn: Drawn, *, mixed: bool) -> dict[str, int]:
    """How many of the uniforms that the kernel drew equal those of the law bit for bit; and of those in the trace, the recorded ones."""
    from sdtrace.verify.streams.philox import uniform

    def words(values: Any) -> Any:
        return np.asarray(values, dtype=np.float32).view(np.int32)

    seed, pos = np.array(list(drawn), dtype=np.int64).T
    law = uniform(seed, pos)
    rows = [json.loads(line) for file in sorted(folder.rglob("*.jsonl")) for line in file.read_text().splitlines()]
    seeds = {row["request_id"]: row["seed"] for row in rows if row["kind"] == "request"}
    both = [
        (u, drawn[key])
        for row in rows if row["kind"] == "step" for j, u in enumerate(row.get("uniforms") or [])
        if (key := (seeds[row["request_id"]] ^ (j << 32 if mixed else 0), 9 + row["context_len"] + j)) in drawn
    ]  # fmt: skip
    told, mine = np.array(both, dtype=np.float32).reshape(-1, 2).T
    return {
        "drawn": len(drawn), "equal": int((words(law) == words(list(drawn.values()))).sum()),
        "recorded": len(both), "recorded_equal": int((words(told.copy()) == words(mine.copy())).sum()),
    }  # fmt: skip


if __name__ == "__main__":
    main()
