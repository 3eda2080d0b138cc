"""What a replay reads of a trace: whole requests with their prompt, their steps in order, their sampling parameters."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from sdtrace.readers import Opened
from sdtrace.replay.conversation import Conversation, Step
from sdtrace.schema.json_values import Json
from sdtrace.schema.run import Run, runs_of
from sdtrace.schema.sampling import ticket

#: What a replay reads of a step; the rest of a trace does not have to stay in memory.
COLUMNS = (
    "run_id", "request_id", "step", "line", "draft_token_ids", "draft_probs", "target_probs", "uniforms", "accepted",
    "num_accepted", "verified_len", "output_token_ids", "last_kind", "last_target_prob", "context_len",
)  # fmt: skip


@dataclass
class Gathered:
    """Conversations of a trace, and how many requests cannot be run again, by reason."""

    conversations: list[Conversation]
    left_out: Counter[str] = field(default_factory=Counter)
    requests: int = 0


def gather(sources: Sequence[Opened], limit: int | None = None) -> Gathered:
    """Read whole requests; with `limit` those with the lowest tickets (a sample by hash), in bounded memory."""
    runs: dict[str, Run] = {}
    heads: dict[tuple[str, str], Json] = {}
    steps: dict[tuple[str, str], list[Json]] = {}
    highest, seen = 2.0, set[tuple[str, str]]()
    for source in sources:
        for batch in source.batches():
            runs |= runs_of(batch.runs)
            for row in batch.requests.iter_rows(named=True):
                heads[row["run_id"], row["request_id"]] = row
            ids = batch.steps.select("run_id", "request_id").unique(maintain_order=True).rows()
            seen |= set(ids)
            wanted = [key for key in ids if ticket(key[1]) < highest]
            chosen = (
                batch.steps.join(
                    pl.DataFrame(wanted, schema=["run_id", "request_id"], orient="row"), on=["run_id", "request_id"]
                )
                if wanted
                else batch.steps.head(0)
            )
            for row in chosen.select(*COLUMNS, path=pl.lit(source.path)).iter_rows(named=True):
                steps.setdefault((row["run_id"], row["request_id"]), []).append(row)
            if limit is not None and len(steps) > limit:
                kept = sorted(steps, key=lambda key: (ticket(key[1]), key))[:limit]
                steps, highest = {key: steps[key] for key in kept}, ticket(kept[-1][1])
    found = Gathered([], requests=len(seen))
    for key in sorted(steps, key=lambda key: (ticket(key[1]), key)):
        one = _conversation(runs.get(key[0], Run()), heads.get(key), steps[key])
        if isinstance(one, str):
            found.left_out[one] += 1
        else:
            found.conversations.append(one)
    return found


def _conversation(run: Run, request: Mapping[str, Any] | None, rows: list[Json]) -> Conversation | str:
    """The request, or why it cannot be run again."""
    if request is None or not request["prompt_token_ids"]:
        return "the prompt's token ids were not recorded"
    prompt = list(request["prompt_token_ids"])
    tokens, steps = list(prompt), []
    for n, row in enumerate(sorted(rows, key=lambda row: row["step"])):
        if row["step"] != n:
            return "steps are missing or doubled"
        if row["context_len"] is not None and row["context_len"] != len(tokens):
            return "a token was generated that stands in no step (write prefill's token as a step without a draft)"
        if row["output_token_ids"] is None:
            return "the appended tokens were not recorded"
        draft, output = list(row["draft_token_ids"] or ()), list(row["output_token_ids"])
        draft = draft[: row["verified_len"]] if row["verified_len"] is not None else draft
        if min(draft, default=0) < 0 or min(output, default=0) < 0:
            return "a token id is negative (padding was recorded as a draft)"
        n_a = row["num_accepted"] if row["num_accepted"] is not None else max(len(output) - 1, 0)
        steps.append(Step(row, len(tokens), draft, output, min(n_a, len(draft))))
        tokens += output
    return Conversation(run, request, prompt, steps, tokens) if steps else "no step was recorded"


def dtype(conversations: Sequence[Conversation]) -> str | None:
    """The precision that the engine says it computed in, if every run says the same one."""
    told = {c.run.settings.get("dtype") for c in conversations}
    one = told.pop() if len(told) == 1 else None
    return one if one in ("float32", "bfloat16", "float16") else None
