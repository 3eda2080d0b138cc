"""Whether recorded probabilities are the compared ones, where nobody says: raw ones prove nothing against an engine."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from sdtrace.diagnosis.wrong_rules import Explanation
from sdtrace.schema.run import Run
from sdtrace.verify.band import DISAGREE
from sdtrace.verify.laws import LAWS
from sdtrace.verify.positions import positions
from sdtrace.verify.scope import of_sample

#: Checks that compare p and q with what was decided or drawn.
RESTS_ON_P = frozenset(
    {"SD101", "SD102", "SD111", "SD112", "SD151", "SD152"}
    | {"SD201", "SD202", "SD203", "SD204", "SD205", "SD211", "SD212", "SD213", "SD231", "SD241"}
)
#: Wrong rules that leave nothing unexplained where they hold; another temperature of both sides imitates none of them.
EXACT = frozenset(
    {
        "inverted-ratio",
        "lenient-acceptance",
        "synthetic-acceptance",
        "misaligned-draft-probs",
        "misaligned-target-probs",
    }
)
#: Contradictions that such a rule must explain, and decisions of untouched requests that must be seen.
ENOUGH, PLAIN = 30, 50

_UNTOUCHED = (
    (pl.col("temperature") == 1.0)
    & (pl.col("top_p").is_null() | (pl.col("top_p") >= 1.0))
    & (pl.col("top_k").is_null() | (pl.col("top_k") <= 0))
    & (pl.col("min_p").is_null() | (pl.col("min_p") <= 0.0))
).fill_null(value=False)
_GREEDY = (pl.col("temperature") == 0.0).fill_null(value=False)


def open_runs(runs: Mapping[str, Run], ids: Sequence[str], requests: pl.DataFrame, orphans: bool) -> set[str]:
    """Runs without a declared basis in which a request was, or may have been, sampled with parameters that change p."""
    silent = [run for run in ids if runs.get(run, Run()).prob_basis is None]
    shaped = requests.filter(~_UNTOUCHED & ~_GREEDY)["run_id"].unique()
    return {run for run in silent if orphans or run in shaped}


def raw(sample: pl.DataFrame, run: Run, law: str, explained: Sequence[Explanation]) -> bool:
    """Whether what contradicts the law may be no more than a log of raw probabilities. `sample`: steps of the run."""
    best = explained[0] if explained else None
    # a fitted threshold imitates raw p, and so does another row where q says nothing
    exact = best is not None and best.cause in EXACT and best.decided and LAWS[law].decides == "token"
    exact = exact and not (LAWS[law].draft != "sampled" and best is not None and best.cause.startswith("misaligned-"))
    if exact and _wrong(sample, run, law)[0] >= ENOUGH:
        return False
    plain = sample.filter(_UNTOUCHED)
    wrong, decided = _wrong(plain, run, law)
    return not (wrong and decided >= PLAIN)


def _wrong(steps: pl.DataFrame, run: Run, law: str) -> tuple[int, int]:
    """Contradictions and decided positions of steps under the law."""
    if steps.is_empty():
        return 0, 0
    decision = of_sample(positions(steps), run, law).judged.decision
    return int(np.count_nonzero(decision == DISAGREE)), int(np.count_nonzero(decision))
