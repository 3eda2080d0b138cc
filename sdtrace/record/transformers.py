"""Records assisted generation of Transformers: a context manager around `generate`, nothing drawn is changed.

    from sdtrace.record.transformers import recording
    with recording("trace/", target=model, assistant=draft) as recorder:
        with recorder.request("chat-1", input_ids, temperature=0.8):
            model.generate(input_ids, assistant_model=draft, do_sample=True, temperature=0.8)

Made for one `generate` at a time in one thread (Transformers assists batches of one only). The recorder watches the
candidate generator and the sampler; tested with transformers 5.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sdtrace.errors import MissingExtraError
from sdtrace.record.sums import of_rows, probability
from sdtrace.record.writer import TraceWriter


class Recorder:
    """Hands what `generate` does to the writer; one request at a time."""

    def __init__(self, writer: TraceWriter, prompts: bool) -> None:
        self.writer, self.prompts = writer, prompts
        self.key: str | None = None
        self.step, self.now = 0, dict[str, Any]()
        self.output: list[int] = []

    @contextmanager
    def request(self, request_id: str, input_ids: Any, **columns: Any) -> Iterator[None]:
        """One call of `generate`; `columns` are the request's (temperature, top_p, seed, stop_token_ids, tags, ...).

        Temperature is 0 where nothing is sampled. Prompt ids are written only if the recorder was asked to.
        """
        known = {"arrived_at": time.time(), "prompt_len": int(input_ids.shape[-1]), **columns}
        if self.prompts:
            known["prompt_token_ids"] = input_ids.reshape(-1).tolist()
        self.key, self.step, self.output = request_id, 0, []
        self.writer.request(request_id, **known)
        try:
            yield
        finally:
            stops = columns.get("stop_token_ids") or ()
            reason = "stop" if self.output and self.output[-1] in stops else None
            if reason is None and columns.get("max_tokens") == len(self.output):
                reason = "length"
            ended = {"finished_at": time.time(), "output_len": len(self.output), "finish_reason": reason}
            self.writer.request(request_id, **known, **ended)
            self.key = None

    def add(self, input_ids: Any, scores: Any) -> None:
        """The step that has just been verified: `input_ids` after it, `scores` the processed logits of its rows."""
        if self.key is not None and self.writer.keeps(self.key):
            row = _columns(self.now, input_ids, scores, time.time())
            self.writer.step(self.key, self.step, **row)
        self.step += 1
        self.output += input_ids[0, self.now["before"] :].tolist()
        self.now = {}


@contextmanager
def recording(
    folder: str | Path,
    *,
    target: Any,
    assistant: Any = None,
    run: dict[str, Any] | None = None,
    prompts: bool = False,
    **writer: Any,
) -> Iterator[Recorder]:
    """Record every assisted `generate` inside into `folder`; `run` overrides columns of the run line.

    `prompts` writes prompt token ids, which a replay needs. Further arguments are TraceWriter's. Raises
    MissingExtraError where transformers is not installed.
    """
    try:
        import torch
        import transformers
        from transformers.generation import candidate_generator, utils
    except ImportError as error:
        raise MissingExtraError(f"recording needs {error.name}", "pip install 'sdtrace[replay]'") from error
    told = {
        "run_id": f"transformers-{int(time.time())}",
        "engine": "transformers",
        "engine_version": transformers.__version__,
        "method": "draft_model" if assistant is not None else "lookup",
        "target_model": getattr(target.config, "name_or_path", None),
        "draft_model": getattr(getattr(assistant, "config", None), "name_or_path", None),
        "rule": "ratio",
        "draft_sampling": "sampled",
        "prob_basis": "processed",
        "prob_dtype": "float32",
        "vocab_size": target.config.vocab_size,
        "started_at": time.time(),
        "config": {"dtype": str(target.dtype).removeprefix("torch."), "device": str(target.device)},
    } | (run or {})
    with TraceWriter(folder, told, **writer) as out:
        recorder = Recorder(out, prompts)
        with _watched(recorder, torch, candidate_generator.CandidateGenerator, utils):
            yield recorder


@contextmanager
def _watched(recorder: Recorder, torch: Any, base: Any, utils: Any) -> Iterator[None]:
    """Copies what candidate generators and the sampler are given and give back; all is put back at the end."""
    kinds = [base, *_below(base)]
    kept = [(kind, name, kind.__dict__[name]) for kind in kinds for name in _HOOKS if name in kind.__dict__]
    sampling, rand = utils._speculative_sampling, torch.rand_like
    depth = [0]  # one generator may call the method that it overrides

    def candidates(original: Any) -> Any:
        def get_candidates(self: Any, input_ids: Any, *args: Any, **kwargs: Any) -> Any:
            begin = time.time()
            depth[0] += 1
            try:
                ids, logits = original(self, input_ids, *args, **kwargs)
            finally:
                depth[0] -= 1
            if not depth[0]:
                drafted = time.time()
                recorder.now = {
                    "at": begin,
                    "drafted_at": drafted,
                    "before": input_ids.shape[1],
                    "ids": ids,
                    "q": logits,
                }
            return ids, logits

        return get_candidates

    def updated(original: Any) -> Any:
        def update_candidate_strategy(self: Any, input_ids: Any, scores: Any, num_matches: Any) -> Any:
            if recorder.now:
                recorder.add(input_ids, scores)
            return original(self, input_ids, scores, num_matches)

        return update_candidate_strategy

    def rand_like(like: Any, **kwargs: Any) -> Any:
        drawn = rand(like, **kwargs)
        recorder.now["r"] = drawn.flatten().tolist()
        return drawn

    def speculative_sampling(*args: Any, **kwargs: Any) -> Any:
        torch.rand_like = rand_like
        try:
            tokens, matches = sampling(*args, **kwargs)
        finally:
            torch.rand_like = rand
        recorder.now["n_a"] = int(matches)
        return tokens, matches

    try:
        for kind, name, original in kept:
            setattr(kind, name, (candidates if name == "get_candidates" else updated)(original))
        utils._speculative_sampling = speculative_sampling
        yield
    finally:
        for kind, name, original in kept:
            setattr(kind, name, original)
        utils._speculative_sampling = sampling


_HOOKS = ("get_candidates", "update_candidate_strategy")


def _below(kind: Any) -> list[Any]:
    found = kind.__subclasses__()
    return [*found, *(deeper for one in found for deeper in _below(one))]


def _columns(now: dict[str, Any], after: Any, scores: Any, end: float) -> dict[str, Any]:
    """A step of trace format 1 from what was copied."""
    ids = now["ids"][0, now["before"] :].to(scores.device)
    output, tau = after[0, now["before"] :].tolist(), len(ids)
    drawn = now["q"] is not None and "r" in now
    q = now["q"][0].to(scores.device).float().softmax(-1) if drawn else None
    sums = of_rows(scores[0], ids, q)
    n_a = now["n_a"] if "n_a" in now else _matches(ids.tolist(), sums["target_argmax_ids"].tolist())
    row = {name: value.cpu().numpy() for name, value in sums.items()}
    row |= {
        "at": now["at"],
        "draft_token_ids": ids.tolist(),
        "num_accepted": n_a,
        "verified_len": tau,
        "output_token_ids": output,
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
        row["last_target_prob"] = probability(scores[0], [n_a], [output[-1]]).item()
    if q is not None:
        row["uniforms"] = now["r"]
        if whole and n_a < tau:
            row["last_draft_prob"] = q[n_a, output[-1]].item()
    return row


def _matches(drafted: list[int], best: list[int]) -> int:
    return next((i for i, x in enumerate(drafted) if x != best[i]), len(drafted))
