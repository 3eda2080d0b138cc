"""What of the inputs can be scored: responses with ids, and requests of a trace with everything that they drafted."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import polars as pl

from sdtrace.readers import Opened
from sdtrace.replay.conversation import Conversation
from sdtrace.replay.engine.client import Client, Engine
from sdtrace.replay.engine.score import Scores, Text, recorded
from sdtrace.replay.engine.tokenize import spelled
from sdtrace.replay.engine.ways import Scored, applied
from sdtrace.replay.engine.written import Written, written
from sdtrace.responses.bounds import Sampling
from sdtrace.schema.responses import RESPONSE, ScoredLists
from sdtrace.schema.sampling import ticket

_NO_IDS = "token ids of prompt or answer are not recorded, nor the text of the request (vLLM: return_token_ids)"


def of_responses(
    sources: Sequence[Opened], left_out: Counter[str], client: Client, engine: Engine, limit: int | None = None
) -> list[Text]:
    """A text a response whose ids are known, or whose text the engine can tokenise; with `limit` those with the lowest tickets."""
    made: list[Text | Written] = []
    for source in sources:
        without = 0
        for batch in source.batches():
            for row in () if batch.responses is None else batch.responses.iter_rows(named=True):
                tokens, prompt = row["token_ids"] or [], row["prompt_token_ids"] or []
                if not prompt or not tokens or min(tokens) < 0 or min(prompt) < 0:
                    without += 1
                    continue
                ids = [*prompt, *tokens]
                made.append(Text(ids, len(prompt), row, recorded(row, row["logprobs"], len(prompt))))
        texts = list(written(source))
        made += texts
        if without > len(texts):
            left_out[_NO_IDS] += without - len(texts)
    if limit is not None and len(made) > limit:
        left_out["not chosen (--requests)"] += len(made) - limit
        made = sorted(made, key=lambda text: ticket(str(text.row["request_id"])))[:limit]
    unknown = [one for one in made if isinstance(one, Written)]
    found = spelled(client, engine, unknown)
    for one in found:
        if isinstance(one, str):
            left_out[one] += 1
    return [one for one in (*made, *found) if isinstance(one, Text)]


def of_conversations(conversations: Sequence[Conversation]) -> list[Text]:
    """A text a request. Recorded p is compared where nothing but temperature 1 shaped it, or the run says that it is raw."""
    made = []
    for one in conversations:
        row = dict.fromkeys(RESPONSE) | {
            "engine": one.run.engine or "openai",
            "model": one.run.target_model,
        }
        row |= {name: one.request.get(name) for name in RESPONSE if name in one.request}
        row |= {
            "choice": 0,
            "presence_penalty": row["presence_penalty"] or 0.0,
            "frequency_penalty": row["frequency_penalty"] or 0.0,
        }
        row |= {"engine": row["engine"] if row["engine"] in ("vllm", "sglang", "llama.cpp") else "openai", "seed": None}
        row |= {
            "path": one.steps[0].row["path"],
            "line": one.steps[0].row["line"],
            "token_ids": one.tokens[len(one.prompt) :],
        }
        row |= {"finish_reason": "length"}  # every appended token is in the trace
        made.append(Text(one.tokens, len(one.prompt), row, _recorded(one) if raw(one) else {}))
    return made


def raw(one: Conversation) -> bool:
    """Whether p of a request is the model's own, unshaped."""
    r = one.request
    unsaid = {"top_k": (None, 0, -1), "top_p": (None, 1.0), "min_p": (None, 0.0), "repetition_penalty": (None, 1.0)}
    unsaid |= {"presence_penalty": (None, 0.0), "frequency_penalty": (None, 0.0)}
    return one.run.prob_basis == "raw" or (r["temperature"] == 1 and all(r[n] in off for n, off in unsaid.items()))


def _recorded(one: Conversation) -> dict[int, float]:
    """Recorded log p of emitted tokens, by index among all ids."""
    found: dict[int, float] = {}
    for step in one.steps:
        for j, p in enumerate((step.row["target_probs"] or [])[: min(step.n_a, len(step.output))]):
            if p is not None and p > 0:
                found[step.begin + j] = float(np.log(p))
        last = step.row["last_target_prob"]
        if last is not None and last > 0 and len(step.output) == step.n_a + 1:
            found[step.begin + step.n_a] = float(np.log(last))
    return found


def branches(conversations: Sequence[Conversation], scores: Scores) -> list[Text]:
    """Rejected tokens whose row does not list them: each is scored behind the text that it was drafted on."""
    made = []
    for one, lists in zip(conversations, scores.rows, strict=False):
        for s, step in enumerate(one.steps):
            at = step.begin + step.n_a
            if lists is None or not step.rejected or step.draft[step.n_a] in _row(lists, at - len(one.prompt)):
                continue
            ids = [*one.tokens[:at], step.draft[step.n_a]]
            made.append(Text(ids, at, {}, {}, (*one.key, s)))
    return made


def _row(lists: ScoredLists, i: int) -> dict[int, float]:
    """The listed log probabilities at an emitted token."""
    if not 0 <= i < len(lists["top_ids"]):
        return {}
    return dict(zip(lists["top_ids"][i], lists["top_logprobs"][i], strict=True))


def rejected(conversations: Sequence[Conversation], table: pl.DataFrame) -> list[float]:
    """Recorded minus scored log p of the tokens that were rejected; the others are compared with their text."""
    steps = {(*one.key, s): step for one in conversations for s, step in enumerate(one.steps)}
    found = []
    for run, request, s, position, log_p in table.select(
        "run_id", "request_id", "step", "position", "log_p"
    ).iter_rows():
        step = steps[run, request, s]
        told = step.row["target_probs"] or []
        p = told[position] if position == step.n_a and position < len(told) else None
        if log_p is not None and p is not None and p > 0 and np.isfinite(log_p):
            found.append(float(np.log(p)) - log_p)
    return found


def facts(
    conversations: Sequence[Conversation],
    scores: Scores,
    extra: dict[tuple[str, str, int], float],
    own: Sequence[Scored | None],
) -> pl.DataFrame:
    """Rows of the replay's facts: log p of drafted tokens where it is known, the argmax and its margin over the second. `own`: the
    conversations' texts, for what parameters make of p."""
    rows = []
    for one, lists, text in zip(conversations, scores.rows, own, strict=False):
        plain, given = raw(one), applied(one)
        for s, step in enumerate(one.steps):
            for j, x in enumerate(step.draft):
                listed = {} if lists is None else _row(lists, step.begin + j - len(one.prompt))
                tested = j <= step.n_a and bool(listed)
                order = sorted(listed.values(), reverse=True)
                log_p = listed.get(x, extra.get((*one.key, s)) if j == step.n_a else None)
                if not plain:
                    log_p = _shaped(text, given, step.begin + j, x, log_p, scores.band)
                rows.append({
                    "run_id": one.key[0], "request_id": one.key[1], "step": s, "position": j, "drafted": x,
                    "log_p": log_p if tested else None, "best": max(listed, key=lambda t: listed[t]) if tested else None,
                    "gap": order[0] - order[1] if tested and len(order) > 1 else None,
                })  # fmt: skip
    schema = {
        "run_id": pl.String, "request_id": pl.String, "step": pl.Int64, "position": pl.Int64, "drafted": pl.Int64,
        "log_p": pl.Float64, "best": pl.Int64, "gap": pl.Float64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def _shaped(
    text: Scored | None, given: Sampling | None, at: int, token: int, own: float | None, band: float
) -> float | None:
    """Log p after the request's parameters, where it is known to within the band."""
    bounds = None if text is None or given is None else text.bounds(at, token, given, own)
    return None if bounds is None or bounds[1] - bounds[0] > band else sum(bounds) / 2
