"""Steps of SGLang's tree verification: what the hooks saw of a batch, copied once, and the accepted chain of each request on the host.

A record holds a chain: the accepted nodes, then the first child of the last of them (the one that was tried first), then its first
children. In a tree, siblings of a rejected node may have been tried too: the law tree-coin knows that.
"""

import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdtrace.record.copies import BEHIND, OF_DRAFT, OF_TARGET, Flat, flat, sent
from sdtrace.record.known import Known
from sdtrace.record.sglang_rows import Rows, of_drafts, of_last, of_nodes
from sdtrace.record.writer import TraceWriter
from sdtrace.schema.arrays import Ints

#: Requests that are remembered; the oldest of more are over.
_REMEMBERED = 65_536


@dataclass
class Batch:
    """One verification on its way."""

    at: float
    number: int
    ids: list[str]
    copy: Flat
    event: Any
    drawn: bool  #: whether the target was sampled; a greedy tree looks at argmax alone
    coins: bool  #: whether a uniform decided; simulated acceptance has none


@dataclass
class Sampled:
    """What a sampling kernel was given: p (requests * N, vocabulary), q of a chain, and tensors that travel."""

    p: Any
    q: Any
    tensors: dict[str, Any]


class TreeSteps:
    """Collects one verification at a time. Order: begin, sampled (where something was drawn), verified."""

    def __init__(self, writer: TraceWriter, *, simulated: bool = False) -> None:
        self.writer, self.simulated = writer, simulated
        self.known: dict[str, Known] = {}
        self.waiting: deque[Batch] = deque()
        self.sample: Sampled | None = None
        self.at, self.number = 0.0, 0
        self.told: deque[str] = deque(maxlen=4096)  #: requests whose end was written
        self.sums = os.environ.get("SDTRACE_RECORD_SUMS", "1") != "0"

    def begin(self) -> None:
        """`eagle_sample` is called."""
        self.at, self.sample = time.time(), None

    def sampled(self, given: Mapping[str, Any]) -> None:
        """A sampling kernel was called: p, q and the coins as it compared them."""
        p, q = given["target_probs"], given["draft_probs"] if given.get("ratio") else None
        self.sample = Sampled(p.reshape(-1, p.shape[-1]), q, {"coins": given["uniform_samples"]})
        if q is not None:
            self.sample.tensors |= of_drafts(given["candidates"], p, q, sums=self.sums)

    def verified(self, result: Any, tree: Any, batch: Any, logits: Any) -> None:
        """`eagle_sample` has returned (predict, lengths with the last token, indices of accepted nodes)."""
        predict, lens, index = result
        sample, self.sample = self.sample, None
        if not len(lens):
            return
        bs = len(lens)
        candidates = tree.draft_token.reshape(bs, tree.draft_token_num)
        tensors = {"predict": predict, "accept_lens": lens, "accept_index": index}
        rows = Rows(logits, False) if sample is None else Rows(sample.p, True)
        q = None if sample is None else sample.q
        kept = of_nodes(candidates, rows, sums=self.sums) | of_last(tensors, rows, q)
        kept |= tensors | {"candidates": candidates, "next": tree.retrieve_next_token, "before": batch.seq_lens}
        if sample is not None:
            kept |= sample.tensors
        copy, event = sent(flat(kept))
        ids = [str(req.rid) for req in batch.reqs]
        for req in batch.reqs:
            self._meet(req)
        self._forget(set(ids))
        drawn = sample is not None
        self.waiting.append(Batch(self.at, self.number, ids, copy, event, drawn, drawn and not self.simulated))
        self.number += 1
        self.drain(BEHIND)

    def _meet(self, req: Any) -> None:
        if str(req.rid) in self.known:
            return
        known = asked(req)
        self.known[str(req.rid)] = known
        self.writer.request(str(req.rid), **known.columns)

    def drain(self, behind: int) -> None:
        """Write what has arrived, in order; wait only for what is more than `behind` steps old."""
        while self.waiting:
            first = self.waiting[0]
            if first.event is not None:
                if len(self.waiting) > behind:
                    first.event.synchronize()
                elif not first.event.query():
                    return
            self.waiting.popleft()
            for request_id, row in lines(first, self.known):
                self.writer.step(request_id, **row)
            for request_id in first.ids:
                self._ended(request_id, first.at)

    def _ended(self, request_id: str, at: float) -> None:
        known = self.known.get(request_id)
        if known is None or known.reason is None or request_id in self.told:
            return
        self.told.append(request_id)
        ended = {"finish_reason": known.reason, "output_len": known.output_len, "finished_at": at}
        self.writer.request(request_id, **known.columns, **ended)

    def _forget(self, running: set[str]) -> None:
        """Drop the oldest half of the requests where there are many: nobody tells which have ended by a stop string or an abort."""
        if len(self.known) <= _REMEMBERED:
            return
        for request_id in list(self.known)[: _REMEMBERED // 2]:
            if request_id not in running:
                del self.known[request_id]

    def close(self) -> None:
        """The process ends: what is on its way is waited for."""
        self.drain(0)


def asked(req: Any) -> Known:
    """A request from SGLang's Req. It keeps temperature 0 as top_k 1, and no top_k as a number beyond every vocabulary."""
    given, prompt = req.sampling_params, list(req.origin_input_ids)
    stops: set[int] = set(given.stop_token_ids or ())
    if not given.ignore_eos:
        stops |= set(req.eos_token_ids or ())
    greedy = given.top_k == 1
    columns: dict[str, Any] = {
        "prompt_len": len(prompt),
        "temperature": 0.0 if greedy else given.temperature,
        "top_p": given.top_p,
        "top_k": None if greedy or given.top_k >= 1 << 30 else given.top_k,
        "min_p": given.min_p or None,
        "repetition_penalty": given.repetition_penalty,
        "presence_penalty": given.presence_penalty,
        "frequency_penalty": given.frequency_penalty,
        "seed": getattr(given, "sampling_seed", None),
        "max_tokens": given.max_new_tokens,
        "stop_token_ids": sorted(stops),
    }
    if given.logit_bias:
        columns["tags"] = {"logit_bias": str(dict(given.logit_bias))}
    if os.environ.get("SDTRACE_RECORD_PROMPTS") == "1":
        columns["prompt_token_ids"] = prompt
    return Known(columns, len(prompt), given.max_new_tokens or 1 << 60, frozenset(stops))


def lines(batch: Batch, known: Mapping[str, Known]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The step of every request in the batch, cut as the scheduler cuts it."""
    arrays = batch.copy.arrays()
    index, lens = arrays["accept_index"].astype(np.int64), arrays["accept_lens"].astype(np.int64)
    predict, before = arrays["predict"].astype(np.int64), arrays["before"].astype(np.int64)
    n, nodes = arrays["candidates"].shape
    shared = {"at": batch.at, "engine_step": batch.number, "batch_size": n, "batch_tokens": n * nodes}
    for i, request_id in enumerate(batch.ids):
        state = known.get(request_id)
        if state is None or state.reason is not None:
            continue
        accepted = index[i, 1 : lens[i]] - i * nodes
        chain = path(arrays["next"][i].astype(np.int64), accepted)
        tokens = predict[index[i, : lens[i]]].tolist()
        context = int(before[i]) + 1  # the last token is in no cache yet
        state.output_len = max(context - state.prompt_len, 0)
        whole, tau = state.cut(tokens), len(chain)
        row = shared | {"step": state.step, "slot": i, "context_len": context, "num_accepted": len(accepted)}
        row |= {"draft_token_ids": arrays["candidates"][i, chain].astype(np.int64).tolist(), "output_token_ids": whole}
        if tau:
            row |= _columns(batch, arrays, i, chain, greedy=state.columns["temperature"] == 0)
        if len(whole) == len(tokens):
            row["last_kind"] = "plain" if not tau else "bonus" if len(accepted) == tau else "recovered"
            if "target_probs" in row:
                row["last_target_prob"] = float(arrays["last_p"][i])
                if row["last_kind"] == "recovered" and "last_q" in arrays:
                    row["last_draft_prob"] = float(arrays["last_q"][i])
        state.step += 1
        yield request_id, row


def _columns(batch: Batch, arrays: Mapping[str, Any], i: int, chain: Ints, *, greedy: bool) -> dict[str, Any]:
    """What is known of a chain. Of a greedy request in a sampled batch the kernel sees p cut to its best token, and of a sampled
    request in a greedy tree nobody shaped p: then the best token alone is told."""
    n, nodes = arrays["candidates"].shape
    rows = np.concatenate(([0], chain))  # entry j is the row that node j of the chain is held against
    row = {name: arrays[f"node.{name}"].reshape(n, nodes)[i, rows] for name in OF_TARGET if f"node.{name}" in arrays}
    if "target_argmax_ids" in row:
        row["target_argmax_ids"] = row["target_argmax_ids"].astype(np.int64)
    if greedy == batch.drawn:
        return {name: value for name, value in row.items() if name == "target_argmax_ids"}
    row["target_probs"] = arrays["pairs"][i, rows[:-1], chain]
    if batch.drawn:
        row |= {
            name: arrays[f"draft.{name}"].reshape(n, -1)[i, : len(chain)]
            for name in OF_DRAFT
            if f"draft.{name}" in arrays
        }
    if batch.coins:
        row["uniforms"] = arrays["coins"][i, rows[:-1]]
    return row


def path(follows: Ints, accepted: Ints) -> Ints:
    """Nodes of the recorded chain: the accepted ones, then first children, as far as they go."""
    found = accepted.tolist()
    at = int(follows[found[-1] if found else 0])
    while at >= 0 and len(found) < len(follows):
        found.append(at)
        at = int(follows[at])
    return np.array(found, dtype=np.int64)
