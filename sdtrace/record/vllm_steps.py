"""What the vLLM plugin does with what it sees: one engine step, its requests, its few numbers, the lines written of it."""

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sdtrace.record.known import Known
from sdtrace.record.sums import of_rows, probability
from sdtrace.record.vllm_run import asked, writer
from sdtrace.record.writer import TraceWriter

_log = logging.getLogger("sdtrace.record")


@dataclass
class Pending:
    """A step whose numbers may still be on their way from the device."""

    at: float
    ids: list[str]
    skip: set[int]  #: rows whose token is thrown away: their prompt is not read to its end yet
    counts: list[int]  #: drafted tokens of every row
    tensors: dict[str, Any] = field(default_factory=dict)
    event: Any = None
    times: dict[str, float] = field(default_factory=dict)
    number: int = 0


class Steps:
    """Collects one engine step at a time. Methods are called in the order of the engine: begin, sampling, uniforms and
    verify (where something was drafted), sampled, drafting, drafted, end."""

    def __init__(self) -> None:
        self.writer: TraceWriter | None = None
        self.known: dict[str, Known] = {}
        self.now: Pending | None = None
        self.inside = False  #: between sampling and sampled: warm-up runs verify outside
        self.began, self.number = 0.0, 0
        self.draft_ms: float | None = None  #: of the drafts that the next step verifies
        self.marks: dict[str, float] = {}
        self.sums = os.environ.get("SDTRACE_RECORD_SUMS", "1") != "0"

    def begin(self, runner: Any, scheduled: Any, *_: Any, **__: Any) -> None:
        """The forward pass begins; the step before it is written by now."""
        self._finish()
        self.began = time.time()
        for request_id in getattr(scheduled, "finished_req_ids", ()):
            self._ended(request_id)

    def sampling(self, runner: Any, logits: Any, metadata: Any, *_: Any, **__: Any) -> None:
        """The forward pass has ended, the sampler begins."""
        batch = runner.input_batch
        rows = len(batch.req_ids)
        counts = [0] * rows if metadata is None else list(metadata.num_draft_tokens)
        skip = {i for i in range(rows) if runner.discard_request_mask.np[i]}
        self.now = Pending(self.began, list(batch.req_ids), skip, counts, number=self.number)
        self.number += 1
        self.marks = {"sampling": time.time()}
        self.inside = True
        if self.writer is None:
            self.writer = writer(runner)
        for request_id in self.now.ids:
            if request_id not in self.known:
                self._learn(runner, request_id)

    def uniforms(self, drawn: Any) -> None:
        """The draws that the rejection sampler compares."""
        if self.inside and self.now is not None:
            self.now.tensors["uniforms"] = drawn

    def verify(self, ids: Any, counts: Any, longest: int, ends: Any, q: Any, logits: Any, *_: Any, **__: Any) -> None:
        """Processed logits and q of every drafted token, all requests one after the other."""
        if not self.inside or self.now is None or not len(ids):
            return
        self.now.tensors |= of_rows(logits, ids, q, sums=self.sums) | {"draft_token_ids": ids}
        self.logits, self.q = logits, q

    def sampled(self, output: Any, runner: Any, *_: Any, **__: Any) -> None:
        """Tokens are chosen: gather the last one's probabilities, send everything to the host."""
        now, self.inside = self.now, False
        if now is None:
            return
        tokens = output.sampled_token_ids
        now.tensors["output"] = tokens
        if "target_probs" in now.tensors and self.sums:
            rows, last = _recovered(tokens, now.counts)
            now.tensors["last_p"] = probability(self.logits, rows, last)
            if self.q is not None:
                now.tensors["last_q"] = self.q[rows, last]
        self.logits = self.q = None
        self.marks["sampled"] = time.time()
        if tokens.device.type == "cuda":
            now.event = _copied(now.tensors)

    def drafting(self, runner: Any, *_: Any, **__: Any) -> None:
        """The drafter begins on the next step's tokens."""
        self.marks["drafting"] = time.time()

    def drafted(self, result: Any, runner: Any, *_: Any, **__: Any) -> None:
        """The drafter has ended."""
        self.marks["drafted"] = time.time()

    def end(self, result: Any, runner: Any, *_: Any, **__: Any) -> None:
        """The step has ended; host times mean something where the host waits for the device (CPU)."""
        if self.now is None or "sampled" not in self.marks:
            return
        m, ended = self.marks, time.time()
        drafted = (m["drafted"] - m["drafting"]) * 1e3 if "drafted" in m else None
        if getattr(runner.device, "type", None) == "cpu":
            before = self.draft_ms or 0.0
            self.now.at -= before / 1e3
            self.now.times = {
                "draft_ms": before,
                "verify_ms": (m["sampling"] - self.began) * 1e3,
                "sample_ms": (m["sampled"] - m["sampling"]) * 1e3,
                "step_ms": before + (ended - self.began) * 1e3 - (drafted or 0.0),
            }
        self.draft_ms, self.marks = drafted, {}
        if self.now.event is None:
            self._finish()

    def _finish(self) -> None:
        now, self.now = self.now, None
        if now is None or "output" not in now.tensors or self.writer is None:
            return
        if now.event is not None:
            now.event.synchronize()
        for request_id, row in _lines(now, self.known, self.writer):
            self.writer.step(request_id, **row)

    def _learn(self, runner: Any, request_id: str) -> None:
        state = runner.requests[request_id]
        prompt = list(state.prompt_token_ids or ())
        known = self.known[request_id] = asked(state.sampling_params, prompt, runner.max_model_len)
        if self.writer is not None:
            self.writer.request(request_id, **known.columns)

    def _ended(self, request_id: str) -> None:
        known = self.known.pop(request_id, None)
        if known is not None and self.writer is not None:
            ended = {"finished_at": self.began, "output_len": known.output_len}
            self.writer.request(request_id, **known.columns, **ended, finish_reason=known.reason or "abort")


def _recovered(tokens: Any, counts: list[int]) -> tuple[Any, Any]:
    """Row of p and token for every request that drafted something and was rejected; (0, 0) stands for the others.

    On the tokens' device, so that the host does not wait for it.
    """
    import torch

    count = torch.tensor(counts, device=tokens.device)
    n = (tokens >= 0).sum(-1)
    rejected = (n > 0) & (n <= count)
    last = tokens.long().gather(-1, (n - 1).clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return (count.cumsum(0) - count + n - 1) * rejected, last * rejected


def _copied(tensors: dict[str, Any]) -> Any:
    """Start the copies to the host and mark their end on the device's stream."""
    import torch

    for name, value in tensors.items():
        tensors[name] = value.to("cpu", non_blocking=True)
    event = torch.cuda.Event()
    event.record()
    return event


def _lines(now: Pending, known: dict[str, Known], writer: TraceWriter) -> Iterator[tuple[str, dict[str, Any]]]:
    """The step of every request in the batch, cut as the scheduler cuts it."""
    numbers = {k: v.cpu().numpy() for k, v in now.tensors.items()}
    output = numbers.pop("output").tolist()
    last_p, last_q = numbers.pop("last_p", None), numbers.pop("last_q", None)
    shared = {
        "at": now.at,
        **now.times,
        "batch_size": len(now.ids),
        "batch_tokens": len(now.ids) + sum(now.counts),
        "engine_step": now.number,
    }
    start = 0
    for i, (request_id, count) in enumerate(zip(now.ids, now.counts, strict=True)):
        mine = {k: v[start : start + count] for k, v in numbers.items()} if count else {}
        start += count
        state = known.get(request_id)
        tokens = [token for token in output[i] if token >= 0]
        if i in now.skip or state is None or state.reason is not None or not tokens:
            continue
        context = state.prompt_len + state.output_len
        kept = state.cut(tokens)
        row = shared | mine | {"step": state.step, "slot": i, "context_len": context, "output_token_ids": kept}
        row |= {"draft_token_ids": mine.get("draft_token_ids", []), "num_accepted": len(tokens) - 1}
        if len(kept) == len(tokens):
            row["last_kind"] = "plain" if not count else "bonus" if len(tokens) > count else "recovered"
            if row["last_kind"] == "recovered" and last_p is not None:
                row["last_target_prob"] = float(last_p[i])
                row["last_draft_prob"] = None if last_q is None else float(last_q[i])
        if state.columns["temperature"] == 0:
            row.pop("uniforms", None)
        state.step += 1
        yield request_id, row
