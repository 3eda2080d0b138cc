"""Steps of vLLM's model runner V2 (vllm/v1/worker/gpu/model_runner.py): decisions stay on the device and come over in one copy a step.

The uniform of a test is not copied: it is Philox of the request's seed and of the position of its row (sdtrace.verify.streams.philox),
with the draft step mixed into the seed under block verification of 0.33. Nothing waits for the device: a step is written when its copy
has arrived, at the latest `BEHIND` steps later.
"""

import atexit
import logging
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sdtrace.record.copies import BEHIND, OF_DRAFT, OF_TARGET, Flat, flat, sent
from sdtrace.record.known import Known
from sdtrace.record.vllm_rows import kept
from sdtrace.record.vllm_run import asked, writer
from sdtrace.record.writer import TraceWriter
from sdtrace.verify.streams.philox import uniform

_log = logging.getLogger("sdtrace.record")
#: Requests that vLLM makes for itself before it serves.
_WARM_UP = ("_warmup", "_v2_mixed_warmup", "_mixed_warmup")


@dataclass
class Batch:
    """One engine step on its way: what the host knew when it was sampled, and the copy from the device."""

    at: float
    number: int
    ids: list[str]
    seeds: np.ndarray[Any, np.dtype[np.int64]]
    mixed: bool = False  #: block verification mixes the draft step into the seed (0.33; 0.32 does not)
    rule: str | None = None
    chunks: list[dict[str, Any]] = field(default_factory=list)
    copy: Flat | None = None
    event: Any = None
    times: dict[str, float] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)  #: requests that were gone before this step began


class SecondSteps:
    """Collects one engine step at a time. Methods are called in the order of the engine: begin, added, sampling, verified (for each
    chunk where something was drafted), sampled, end."""

    def __init__(self, *, mixed: bool) -> None:
        self.mixed = mixed
        self.writer: TraceWriter | None = None
        self.known: dict[str, Known] = {}
        self.now: Batch | None = None
        self.waiting: deque[Batch] = deque()
        self.ended: list[str] = []
        self.began, self.number = 0.0, 0
        self.dummy, self.inside = False, False
        self.sums = os.environ.get("SDTRACE_RECORD_SUMS", "1") != "0"
        self.top = int(os.environ.get("SDTRACE_RECORD_TOP", "0"))
        self.told: set[str] = set()  #: requests whose line was written once
        self.said = False

    def begin(self, runner: Any, scheduled: Any, *args: Any, **given: Any) -> None:
        """The forward pass begins."""
        self.dummy = bool(given.get("dummy_run", args[1] if len(args) > 1 else False))
        if self.dummy:
            return
        self._drain(BEHIND)
        self.began = time.time()
        self.ended += sorted(getattr(scheduled, "finished_req_ids", ()))

    def added(self, result: Any, runner: Any, scheduled: Any, *_: Any, **__: Any) -> None:
        """Requests that the runner now has; one that was preempted comes again."""
        for one in scheduled.scheduled_new_reqs:
            if one.sampling_params is None or one.req_id in self.known or one.req_id.startswith(_WARM_UP):
                continue
            self.known[one.req_id] = asked(
                one.sampling_params, list(one.prompt_token_ids or ()), runner.req_states.max_model_len
            )

    def sampling(self, runner: Any, hidden: Any, batch: Any, *_: Any, **__: Any) -> None:
        """The forward pass has ended, the sampler begins."""
        self.now, self.inside = None, False
        if self.dummy or runner.sampler is None:
            return
        if getattr(runner, "batch_sharder", None) is not None:
            if not self.said:
                self.said = True
                _log.warning(
                    "sdtrace does not record sampling that is sharded over ranks by request: turn it off to record"
                )
            return
        self.inside = True
        seeds = runner.sampler.sampling_states.seeds.np[batch.idx_mapping_np].copy()
        self.now = Batch(self.began, self.number, list(batch.req_ids), seeds, self.mixed)
        self.now.ended, self.ended = self.ended, []
        self.now.times = {"sampling": time.time()}
        self.number += 1
        if self.writer is None:
            self.writer = _writer(runner)
            atexit.register(self.close)  # before the writer's own end
        for request_id in self.now.ids:
            known = self.known.get(request_id)
            if known is not None and request_id not in self.told:
                self.told.add(request_id)
                self.writer.request(request_id, **known.columns)

    def verified(self, result: Any, given: Mapping[str, Any]) -> None:
        """A call of `rejection_sample` is queued on the device: so is what is kept of its rows."""
        if not self.inside or self.now is None:
            return
        self.now.rule = rule_of(given)
        self.now.chunks.append(kept(given, *result, sums=self.sums, top=self.top))

    def sampled(self, result: Any, runner: Any, *_: Any, **__: Any) -> None:
        """Tokens are chosen: the one copy of the step is queued."""
        now, self.inside = self.now, False
        if now is None:
            return
        output = result[0]
        tensors = {f"{i}.{name}": value for i, chunk in enumerate(now.chunks) for name, value in chunk.items()}
        tensors |= {"sampled": output.sampled_token_ids, "number": output.num_sampled}
        now.copy, now.event = sent(flat(tensors))
        now.times["sampled"] = time.time()

    def end(self, result: Any, runner: Any, *_: Any, **__: Any) -> None:
        """The step has ended; host times mean something where the host waits for the device (CPU)."""
        now, self.now = self.now, None
        if now is None or now.copy is None:
            return
        marks, ended, begin = now.times, time.time(), now.at
        now.times = {}
        if getattr(runner.device, "type", None) == "cpu":
            now.times = {
                "verify_ms": (marks["sampling"] - begin) * 1e3,
                "sample_ms": (marks["sampled"] - marks["sampling"]) * 1e3,
                "step_ms": (ended - begin) * 1e3,
            }
        self.waiting.append(now)
        self._drain(BEHIND)

    def _drain(self, behind: int) -> None:
        """Write what has arrived, in order; wait only for what is more than `behind` steps old."""
        while self.waiting:
            first = self.waiting[0]
            if first.event is not None:
                if len(self.waiting) > behind:
                    first.event.synchronize()
                elif not first.event.query():
                    return
            self.waiting.popleft()
            self._write(first)

    def _write(self, batch: Batch) -> None:
        if self.writer is None:
            return
        for request_id in batch.ended:
            self._gone(request_id, batch.at)
        for request_id, row in lines(batch, self.known):
            self.writer.step(request_id, **row)

    def _gone(self, request_id: str, at: float) -> None:
        known = self.known.pop(request_id, None)
        self.told.discard(request_id)
        if known is not None and self.writer is not None:
            ended = {"finished_at": at, "output_len": known.output_len}
            self.writer.request(request_id, **known.columns, **ended, finish_reason=known.reason or "abort")

    def close(self) -> None:
        """The process ends: what is on its way is waited for, and requests that are gone are told."""
        self._drain(0)
        for request_id in self.ended:
            self._gone(request_id, time.time())
        self.ended = []


def rule_of(given: Mapping[str, Any]) -> str:
    """The law of a call of `rejection_sample`."""
    if given.get("synthetic_conditional_rates") is not None:
        return "synthetic"
    if given.get("use_block_verification"):
        return "block"
    if given.get("fly_window_size"):
        return "fly"
    return "one-hot" if given["draft_logits"] is None else "ratio"


def _writer(runner: Any) -> TraceWriter:
    """The run line says what this runner's own sampler will do."""
    sampler = runner.rejection_sampler
    drawn = getattr(getattr(runner, "speculator", None), "draft_logits", None) is not None
    params: dict[str, Any] = {}
    if sampler is None:
        return writer(runner, config={"model_runner": "V2"})
    rates = getattr(sampler, "synthetic_conditional_rates", None)
    if rates is not None:
        rule, params = "synthetic", {"rates": [float(rate) for rate in rates.tolist()]}
    elif getattr(sampler, "use_block_verification", False):
        rule = "block"
    elif getattr(sampler, "fly_window_size", 0):
        rule = "fly"
        params = {
            name: getattr(sampler, name) for name in ("fly_window_size", "fly_entropy_threshold", "fly_entropy_top_k")
        }
    else:
        rule = "ratio" if drawn else "one-hot"
    config: dict[str, Any] = {"model_runner": "V2"}
    if getattr(sampler, "watermark_key", None) is not None:
        config["watermarking"] = True
    more = {"rule": rule, "rule_params": params or None, "draft_sampling": "sampled" if drawn else "argmax"}
    return writer(runner, config=config, **more)


def lines(batch: Batch, known: Mapping[str, Known]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The step of every request in the batch, cut as the scheduler cuts it."""
    assert batch.copy is not None
    arrays = batch.copy.arrays()
    sampled, number = arrays["sampled"].astype(np.int64), arrays["number"].astype(np.int64)
    drafts = list(_drafts(batch, arrays))
    total = len(batch.ids) + sum(len(one["draft_token_ids"]) for one in drafts)
    shared = {
        "at": batch.at,
        **batch.times,
        "batch_size": len(batch.ids),
        "batch_tokens": total,
        "engine_step": batch.number,
    }
    for i, request_id in enumerate(batch.ids):
        state, n = known.get(request_id), int(number[i])
        if state is None or state.reason is not None or n <= 0:
            continue
        mine = dict(drafts[i]) if drafts else {"draft_token_ids": []}
        tau = len(mine["draft_token_ids"])
        tokens = sampled[i, :n].tolist()
        context = state.prompt_len + state.output_len
        kept_tokens = state.cut(tokens)
        last_p, last_q = mine.pop("last_p", None), mine.pop("last_q", None)
        row = shared | mine | {"step": state.step, "slot": i, "context_len": context, "output_token_ids": kept_tokens}
        row["num_accepted"] = n - 1
        if len(kept_tokens) == n:
            row["last_kind"] = "plain" if not tau else "bonus" if n > tau else "recovered"
            if tau:
                row["last_target_prob"] = last_p
                row["last_draft_prob"] = last_q if row["last_kind"] == "recovered" else None
        if state.columns["temperature"] == 0:
            row.pop("draft_probs", None)
            if batch.rule != "synthetic":
                row.pop("uniforms", None)
        state.step += 1
        yield request_id, row


def _drafts(batch: Batch, arrays: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What was drafted and tested for each request, chunk by chunk; nothing where the step had no draft."""
    at = 0
    for chunk in range(len(batch.chunks)):
        mine = {name.partition(".")[2]: value for name, value in arrays.items() if name.startswith(f"{chunk}.")}
        cu, ids, pos = (mine[name].astype(np.int64) for name in ("cu", "ids", "pos"))
        seeds = np.repeat(batch.seeds[at : at + len(cu) - 1], np.diff(cu))
        step = np.arange(len(ids)) - np.repeat(cu[:-1], np.diff(cu))
        drawn = uniform(seeds ^ (step << 32) if batch.rule == "block" and batch.mixed else seeds, pos)
        for i in range(len(cu) - 1):
            begin, end = int(cu[i]), int(cu[i + 1])
            tokens = ids[begin + 1 : end]
            invalid = np.flatnonzero(tokens < 0)  # a placeholder ends the draft: behind it nothing is tested
            tau = int(invalid[0]) if len(invalid) else len(tokens)
            row: dict[str, Any] = {"draft_token_ids": tokens[:tau].tolist()}
            if tau:
                whole = slice(begin, begin + tau + 1)
                # block verification of 0.32 draws what stands behind a rejection once more in the next step: it is not said
                # what either step used it for, so that nothing is held against it
                if batch.rule != "block" or batch.mixed:
                    row["uniforms"] = drawn[begin : begin + tau]
                row["target_probs"] = mine["target_probs"][begin : begin + tau]
                row |= {name: mine[name][whole] for name in OF_TARGET if name in mine}
                row |= {name: mine[name][begin : begin + tau] for name in OF_DRAFT if name in mine}
                if "target_argmax_ids" in row:
                    row["target_argmax_ids"] = row["target_argmax_ids"].astype(np.int64)
                for side, name in (("target", "top"), ("draft", "draft_top")):
                    if f"{name}_probs" in mine:
                        row[f"{side}_top_ids"] = mine[f"{name}_ids"][begin : begin + tau].astype(np.int64).tolist()
                        row[f"{side}_top_probs"] = mine[f"{name}_probs"][begin : begin + tau].tolist()
                row["last_p"] = float(mine["last_p"][i])
                row["last_q"] = float(mine["last_q"][i]) if "last_q" in mine else None
            yield row
        at += len(cu) - 1
