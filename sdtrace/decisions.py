"""The decision audit alone: how many recorded decisions agree with their law. For a quick look and for benchmarks."""

from pathlib import Path

import numpy as np

from sdtrace.laws.band import DISAGREE, UNDECIDABLE
from sdtrace.laws.law import Judged
from sdtrace.readers import open_inputs
from sdtrace.scope import scopes
from sdtrace.trace import empty

#: The columns of a step that a decision needs.
COLUMNS = (
    "run_id",
    "request_id",
    "step",
    "draft_token_ids",
    "draft_probs",
    "target_probs",
    "uniforms",
    "num_accepted",
    "verified_len",
    "accepted",
    "target_argmax_ids",
    "target_top2_gap",
)


def count_decisions(path: str | Path) -> dict[str, int]:
    """tested, agree, disagree, undecidable of one input, without requests, checks or samples."""
    total = {"tested": 0, "disagree": 0, "undecidable": 0}
    runs: dict[str, dict[str, object]] = {}
    for opened in open_inputs([str(path)]):
        for batch in opened.batches():
            runs |= {row["run_id"]: row for row in batch.runs.iter_rows(named=True)}
            if not batch.steps.height:
                continue
            for scope in scopes(batch.path, batch.steps, empty("request"), runs):
                _add(total, scope.judged)
    return total | {"agree": total["tested"] - total["disagree"] - total["undecidable"]}


def _add(total: dict[str, int], judged: Judged) -> None:
    tested = judged.tested
    total["tested"] += int(tested.sum())
    total["disagree"] += int((judged.decision == DISAGREE).sum())
    total["undecidable"] += int(np.count_nonzero(tested & (judged.decision == UNDECIDABLE)))
