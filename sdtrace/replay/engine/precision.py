"""In which precision logits were computed, by the grid that their differences stand on.

A logit in bfloat16 has 8 bits of mantissa, one in float16 11: logits of 1 and more are multiples of 2^-7 (2^-10). Two log probabilities of
one row share their normaliser, so that their difference, times the temperature, stands on the same grid.
"""

from collections.abc import Sequence

import numpy as np

from sdtrace.replay.conversation import Conversation
from sdtrace.replay.engine.ways import applied
from sdtrace.schema.arrays import Floats
from sdtrace.schema.responses import Lists

#: Steps of the grid, coarsest first.
GRIDS = (("bfloat16", 2.0**-7), ("float16", 2.0**-10))
#: How far another precision moves log p at most, median and 90% of positions in nats: bfloat16, and what is finer.
MOVES = {"bfloat16": (0.3, 1.0), "float16": (0.05, 0.2), "float32": (0.0, 0.0)}
#: How far off the grid arithmetic in float32 may leave a difference, in nats.
_OFF = 1e-5
#: Differences that are needed, and the share of them on the grid: of others one in 50 is (float16: one in 400 of bfloat16's).
_ENOUGH, _SHARE = 8, 0.9


def precision(differences: Sequence[float]) -> str | None:
    """bfloat16, float16 or float32 of logit differences of rows; None where too few tell."""
    d = np.abs(np.array(differences, dtype=np.float64))
    d = d[(d > 0.02) & (d < 30)]
    if len(d) < _ENOUGH:
        return None
    for name, step in GRIDS:
        off = np.abs(d / step - np.round(d / step)) * step
        if float((off <= _OFF).mean()) >= _SHARE:
            return name
    return "float32"


def of_scores(rows: Sequence[Lists | None]) -> str | None:
    """By lists of RESPONSE, of the engine that was asked or of one that answered: the best tokens of each row against the first one."""
    found: list[float] = []
    for lists in rows:
        for top in () if lists is None else lists["top_logprobs"] or ():
            found += [top[0] - value for value in top[1:8]]
        if len(found) > 4000:
            break
    return precision(found)


def of_records(conversations: Sequence[Conversation]) -> str | None:
    """Of the engine that was recorded: the rejected token against the one in its place. None where p is rounded, or a penalty shaped it."""
    found = []
    for one in conversations:
        given = applied(one)
        if given is None or one.run.prob_dtype not in ("float32", "float64"):
            continue
        for step in one.steps:
            p, y = step.row["target_probs"] or [], step.row["last_target_prob"]
            x = p[step.n_a] if step.rejected and step.n_a < len(p) else None
            if x and y and min(x, y) > 1e-6 and step.draft[step.n_a] != step.output[-1]:
                found.append(given.temperature * (np.log(x) - np.log(y)))
    return precision(found)


def explains(one: str | None, other: str | None, distances: Floats) -> bool:
    """Whether two precisions differ, and the coarser of them moves log p by as much. `distances`: |d log p|, none at all is explained."""
    if one is None or other is None or one == other:
        return False
    half, most = max(MOVES[one], MOVES[other])
    return not len(distances) or bool(np.median(distances) <= half and np.quantile(distances, 0.9) <= most)
