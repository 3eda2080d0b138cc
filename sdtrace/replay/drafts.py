"""With the drafter at hand: recorded q against the drafter's, and the recovered tokens against the exact residual."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from sdtrace.replay.bands import LEAST
from sdtrace.replay.compare import Uniformity, uniformity
from sdtrace.replay.conversation import Conversation
from sdtrace.replay.likelihood import likelihood
from sdtrace.replay.model import Verifier
from sdtrace.replay.packing import pack
from sdtrace.replay.parameters import Parameters
from sdtrace.replay.passes import run, shape_rows
from sdtrace.schema.sampling import ticket


@dataclass(frozen=True)
class Drafts:
    """Recorded q against the replayed one: median and 99th percentile of |d log q| under the parameters that fit best
    (`parameters` names them), and recovered tokens: how many the residual cannot give, and their uniformity under it."""

    drafter: str
    positions: int
    parameters: str
    median: float | None
    p99: float | None
    recovered: int
    impossible: int
    uniform: Uniformity | None


def drafts(
    verifier: Verifier, drafter: Verifier, ones: Sequence[Conversation], given: Sequence[Parameters], width: float
) -> Drafts:
    """Run both models over the same packed requests. Transformers draws drafts at the temperature squared: lawful,
    as long as q is what they were drawn from, so the parameters of q are those that fit the records best."""
    forms = {
        "the request's": list(given),
        "the request's, temperature twice": [replace(p, temperature=p.temperature**2) for p in given],
        "none": [p.neutral for p in given],
    }
    rows = {name: list[tuple[float, float]]() for name in forms}
    _each(drafter, ones, lambda places, logits: _recorded_q(places, logits, ones, forms, rows))
    gaps = {n: np.array([math.log(max(a, LEAST)) - b for a, b in pairs]) for n, pairs in rows.items()}
    name = max(gaps, key=lambda n: likelihood(gaps[n], width / 4)) if rows["none"] else "the request's"
    far = np.abs(gaps[name])
    recovered, impossible, uniform = _recovered(verifier, drafter, ones, given, forms[name])
    return Drafts(
        drafter.name, len(far), name, float(np.median(far)) if len(far) else None,
        float(np.quantile(far, 0.99)) if len(far) else None, recovered, impossible, uniform,
    )  # fmt: skip


def _each(model: Verifier, ones: Sequence[Conversation], take: Any) -> None:
    for _ in run(model, ones, pack, take):
        pass


def _recorded_q(places: Any, logits: Any, ones: Any, forms: Any, rows: Any) -> None:
    ids = torch.tensor([0 if p.drafted is None else p.drafted for p in places], device=logits.device)
    for name, shapes in forms.items():
        log_q = shape_rows(places, logits, ones, dict(enumerate(shapes))).log_softmax(-1)
        values = log_q.gather(-1, ids.unsqueeze(-1)).squeeze(-1).clamp(min=math.log(LEAST)).tolist()
        for place, value in zip(places, values, strict=True):
            q = ones[place.one].steps[place.step].row["draft_probs"]
            if place.drafted is not None and q is not None and place.position < len(q):
                rows[name].append((q[place.position], value))


def _recovered(
    verifier: Verifier, drafter: Verifier, ones: Any, given: Any, shapes: Any
) -> tuple[int, int, Uniformity | None]:
    """Recovered tokens y under R = max(0, p - q) / mass: R(y) = 0 is impossible, and the place of y in R is uniform.

    p is that of the rejected position, where only sampled steps with a whole block count (Leviathan et al. 2023).
    """
    points: list[float] = []
    impossible = 0
    for start in range(0, len(ones), 8):  # rows of p are held for a few requests at a time
        some, mine, theirs = ones[start : start + 8], given[start : start + 8], shapes[start : start + 8]
        held: dict[tuple[int, int], Any] = {}

        def keep(places: Any, logits: Any, some: Any = some, mine: Any = mine, held: Any = held) -> None:
            wanted = [k for k, place in enumerate(places) if _is_recovery(some, mine, place)]
            if wanted:
                chosen = [places[k] for k in wanted]
                p = shape_rows(chosen, logits[wanted], some, dict(enumerate(mine))).softmax(-1)
                held.update({(place.one, place.step): row for place, row in zip(chosen, p, strict=True)})

        def judge(places: Any, logits: Any, some: Any = some, theirs: Any = theirs, held: Any = held) -> None:
            nonlocal impossible
            wanted = [k for k, place in enumerate(places) if _is_recovery(some, theirs, place)]
            if not wanted:
                return
            chosen = [places[k] for k in wanted]
            q = shape_rows(chosen, logits[wanted], some, dict(enumerate(theirs))).softmax(-1)
            for place, row in zip(chosen, q, strict=True):
                p = held[place.one, place.step]
                residual = (p - row).clamp(min=0)
                y = place.emitted
                if float(p[y]) * 1.01 + 1e-6 < float(row[y]):
                    impossible += 1
                    continue
                mass = float(residual.sum())
                below = float(residual[:y].sum()) / mass
                v = ticket(f"{some[place.one].key[1]}/{place.step}/recovered")
                points.append(below + v * float(residual[y]) / mass)

        _each(verifier, some, keep)
        _each(drafter, some, judge)
    return len(points) + impossible, impossible, uniformity(points, 50)


def _is_recovery(ones: Any, given: Any, place: Any) -> bool:
    step = ones[place.one].steps[place.step]
    return (
        given[place.one].temperature > 0
        and step.rejected
        and place.position == step.n_a
        and len(step.output) == step.n_a + 1
        and step.row["draft_probs"] is not None
    )
