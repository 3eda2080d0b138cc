"""llama-speculative at debug level: the only log that holds r, p and q, so its decisions are recomputed.

A round is a line `r = .., p_dft = .., p_tgt = ..` and a line `draft token .. accepted|rejected` a position, and at its
end the sampled target token. The rule is the ratio rule (accept iff r <= p_tgt / p_dft); the drafts are the most likely
tokens of the draft model, not samples of q, so the text does not follow the target even where every decision is right.
"""

import re
from dataclasses import dataclass, field

from sdtrace.readers.logs.dialect import Heard
from sdtrace.schema.counters import Row
from sdtrace.schema.trace import Event, Loss

_COIN = re.compile(r"\br = (\d+\.\d{6}), p_dft = (\d+\.\d{6}), p_tgt = (\d+\.\d{6})$")
#: The text of a token may hold anything, so a line is known by both its ends.
_DECISION = re.compile(r"\bdraft token (\d{1,9}) of sequence (\d{1,9}) \((-?\d{1,15}), '")
_DECIDED = ("') accepted", "') rejected")
_END = re.compile(r"\bthe sampled target token \((-?\d{1,15}), '")
_ENDED = "') did not match, or we ran out of drafted tokens"

NEEDLES = (b"p_dft = ", b"draft token ", b"the sampled target token (")
RUN: Row = {
    "run_id": "",
    "engine": "llama.cpp",
    "method": "draft_model",
    "rule": "ratio",
    "draft_sampling": "argmax",
    "prob_basis": "processed",
    "prob_dtype": "decimals:6",
}
NOT_SAMPLED = (
    "llama-speculative drafts the most likely tokens instead of samples of q: its text does not follow the target"
)


@dataclass
class Round:
    """The coins of the round that is being read, and how many rounds there were."""

    coin: tuple[float, float, float] | None = None
    coins: list[tuple[int, int, float, float, float, bool]] = field(default_factory=list)
    broken: bool = False
    count: int = 0


def hear(path: str, line: int, at: float | None, text: str, state: Round, heard: Heard) -> bool:
    """Whether the line is of a round; a step is made where the round ends."""
    if found := _COIN.search(text):
        state.broken |= state.coin is not None
        state.coin = (float(found[1]), float(found[2]), float(found[3]))
    elif text.endswith(_DECIDED) and (found := _DECISION.search(text)):
        if state.coin is None:  # temperature 0: decided by comparing tokens, nothing to recompute
            return False
        position, token = int(found[1]), int(found[3])
        state.broken |= position != len(state.coins) or int(found[2]) != 0
        state.coins.append((position, token, *state.coin, text.endswith("accepted")))
        state.coin = None
    elif text.endswith(_ENDED) and (found := _END.search(text)):
        return _end(path, line, at, int(found[1]), state, heard)
    else:
        return False
    heard.used.add(line)
    return True


def _end(path: str, line: int, at: float | None, last: int, state: Round, heard: Heard) -> bool:
    coins, broken = state.coins, state.broken or state.coin is not None
    state.coin, state.coins, state.broken = None, [], False
    if not coins and not broken:
        return False
    taken = [c[5] for c in coins]
    if broken or False in taken[:-1]:
        what = "a round with several branches, or with lines missing: its decisions are not recomputed"
        heard.losses.append(Loss(path, line, what, 1, "run llama-speculative with -np 1 and keep every debug line"))
        return True
    accepted = sum(taken)
    heard.used.add(line)
    if not state.count:
        heard.runs.append(RUN)
        heard.events.append(Event(path, line, at, "llama.cpp", "config", NOT_SAMPLED))
    _, tokens, r, q, p, _ = (list(column) for column in zip(*coins, strict=True))
    heard.steps.append(
        {
            "run_id": "",
            "request_id": "llama-speculative",
            "step": state.count,
            "at": at,
            "draft_token_ids": tokens,
            "draft_probs": q,
            "target_probs": p,
            "uniforms": r,
            "accepted": taken,
            "num_accepted": accepted,
            "output_token_ids": [*tokens[:accepted], last],
            "last_kind": "bonus" if accepted == len(coins) else "recovered",
            "line": line,
        }
    )
    state.count += 1
    return True
