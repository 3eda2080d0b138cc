"""From arrays to the lines of trace format 1, at a chosen precision and level of detail."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.made.laws import Outcome
from tests.made.world import NEVER, Flags, World, at

Record = dict[str, Any]
Numbers = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Log:
    """What a recorder writes. `dtype`: precision of probabilities, named in the run line where `declared`.

    `rule`: whether the run line names the law. `bare`: step lines alone. `order`: grouped, interleaved, requests-last.
    `top`: that many entries of the top rows. `whole`: lists of a trimmed step have an entry for every drafted token.
    """

    dtype: str = "float32"
    declared: bool = True
    rule: bool = True
    uniforms: bool = True
    flags: bool = True
    scalars: bool = True
    top: int = 0
    bare: bool = False
    whole: bool = False
    order: str = "grouped"


def rounded(values: Numbers, dtype: str) -> npt.NDArray[np.float64]:
    """`values` as a log of that precision shows them."""
    if dtype.startswith("decimals:"):
        places = int(dtype.removeprefix("decimals:"))
        return np.asarray(np.round(values.astype(np.float64), places), dtype=np.float64)
    if dtype == "bfloat16":
        bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
        even = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
        return ((bits + even) & np.uint32(0xFFFF0000)).view(np.float32).astype(np.float64)
    return np.asarray(values, dtype=np.dtype(dtype)).astype(np.float64)


def moments(rows: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Sum of squares, entropy (nats) and varentropy (nats^2) of each row."""
    wide = rows.astype(np.float64)
    surprise = -np.log(np.where(wide > 0, wide, 1.0))
    entropy = (wide * surprise).sum(axis=-1)
    return (wide**2).sum(axis=-1), entropy, (wide * surprise**2).sum(axis=-1) - entropy**2


def columns(world: World, log: Log, greedy: Flags) -> dict[str, Numbers]:
    """The list columns of all steps, (n, K) or (n, K+1) each, rounded where they are probabilities."""
    p, q = world.p, world.q
    found: dict[str, Numbers] = {
        "draft_probs": rounded(at(q, world.x), log.dtype),
        "target_probs": rounded(at(p[:, :-1], world.x), log.dtype),
        "uniforms": world.r.astype(np.float64),
    }
    if log.scalars or greedy.any():
        top = np.sort(p, axis=-1)[..., -2:]
        found["target_argmax_ids"] = np.argmax(p, axis=-1)
        found["target_top2_gap"] = np.minimum(np.log(top[..., 1]) - np.log(np.maximum(top[..., 0], 1e-30)), 50.0)
    if log.scalars:
        target, draft = moments(p), moments(q)
        found["overlap"] = rounded(np.minimum(p[:, :-1], q).sum(axis=-1), log.dtype)
        found |= {"target_sq": rounded(target[0], log.dtype), "draft_sq": rounded(draft[0], log.dtype)}
        found |= {"target_entropy": target[1], "draft_entropy": draft[1]}
        found |= {"target_varentropy": target[2], "draft_varentropy": draft[2]}
    return found


NO_DRAFT = ("draft_probs", "overlap", "draft_sq", "draft_entropy", "draft_varentropy")


def step_records(world: World, outcome: Outcome, laws: list[str], argmax_draft: bool, log: Log) -> list[Record]:
    """One object a step; `laws` names the law that verified each."""
    greedy = np.array([law == "greedy" for law in laws])
    lists = columns(world, log, greedy)
    found = []
    for i, law in enumerate(laws):
        record = _plain(world, outcome, i, log)
        tau, verified = int(world.drafted[i]), int(world.verified[i])
        entries = tau if log.whole else verified
        for name, values in lists.items():
            record[name] = values[i, : entries + (values.shape[1] - world.x.shape[1])].tolist()
        record |= _last(world, outcome, i, log, argmax_draft)
        if argmax_draft or law == "greedy":
            record |= dict.fromkeys(NO_DRAFT)
        if not log.uniforms or law in ("match", "greedy"):
            record["uniforms"] = None
        if log.top:
            record |= _top(world, i, entries, log)
        found.append(record)
    return found


def _plain(world: World, outcome: Outcome, i: int, log: Log) -> Record:
    """Ids, counts and times of a step."""
    n_a, verified = int(outcome.n_a[i]), int(world.verified[i])
    output = [*world.x[i, :n_a].tolist(), int(outcome.y[i])] if outcome.outputs is None else outcome.outputs[i]
    flags = verified if outcome.outputs is not None else min(n_a + 1, verified)
    spent = 1.0 + (i * 7 % 5) / 50  # some jitter
    return {
        "kind": "step",
        "run_id": "simulated",
        "request_id": f"r-{world.request[i]}",
        "step": int(world.step[i]),
        "at": 1.7e9 + 0.03 * i,
        "draft_token_ids": world.x[i, : int(world.drafted[i])].tolist(),
        "accepted": outcome.accept[i, :flags].tolist() if log.flags else None,
        "num_accepted": n_a,
        "verified_len": verified,
        "output_token_ids": output,
        "draft_ms": 4.0 * spent,
        "verify_ms": 18.0 * spent,
        "sample_ms": 1.0 * spent,
        "step_ms": 24.0 * spent,
        "batch_size": 1,
    }


def _last(world: World, outcome: Outcome, i: int, log: Log, argmax_draft: bool) -> Record:
    """What the token after the accepted block is, and its probabilities."""
    n_a, verified, y = int(outcome.n_a[i]), int(world.verified[i]), int(outcome.y[i])
    kind = "recovered" if n_a < verified else "bonus" if verified else "plain"
    draft = world.q[i, n_a, y : y + 1] if kind == "recovered" and not argmax_draft else None
    return {
        "last_kind": kind,
        "last_target_prob": float(rounded(world.p[i, n_a, y : y + 1], log.dtype)[0]),
        "last_draft_prob": None if draft is None else float(rounded(draft, log.dtype)[0]),
    }


def _top(world: World, i: int, entries: int, log: Log) -> Record:
    """The best entries of every row."""
    ids = np.argsort(-world.p[i, :entries], axis=-1)[:, : log.top]
    return {
        "target_top_ids": ids.tolist(),
        "target_top_probs": rounded(np.take_along_axis(world.p[i, :entries], ids, axis=-1), log.dtype).tolist(),
    }


def request_records(steps: list[Record], temperature: dict[str, float]) -> list[Record]:
    """One object a request; the token of prefill is counted in output_len and stands in no step."""
    found: dict[str, Record] = {}
    for step in steps:
        made = found.setdefault(
            step["request_id"],
            {
                "kind": "request",
                "run_id": "simulated",
                "request_id": step["request_id"],
                "prompt_len": 40,
                "output_len": 1,
                "temperature": temperature[step["request_id"]],
                "top_p": 1.0,
                "stop_token_ids": [NEVER],
                "tags": {"task": "code" if len(found) % 2 else "prose"},
            },
        )
        step["context_len"] = made["prompt_len"] + made["output_len"]
        made["output_len"] += len(step["output_token_ids"])
    for made in found.values():
        made.update(max_tokens=made["output_len"], finish_reason="length")
    return list(found.values())


def run_record(law: str, argmax_draft: bool, tau: int, vocab: int, log: Log) -> Record:
    """The run line."""
    return {
        "kind": "run",
        "format": 1,
        "run_id": "simulated",
        "engine": "simulated",
        "method": "draft_model",
        "rule": law if log.rule else None,
        "draft_sampling": "argmax" if argmax_draft else "sampled",
        "num_draft_tokens": tau,
        "prob_basis": "processed",
        "prob_dtype": log.dtype if log.declared else None,
        "vocab_size": vocab,
        "draft_vocab_size": vocab,
        "config": {"eagle_topk": 1} if law == "tree-coin" else None,
    }
