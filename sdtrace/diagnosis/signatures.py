"""From the signs of several statistics to one named cause.

Each statistic is blind to some faults, and which ones see a fault and which do not tells it (theory: forward and reverse
calibration, Leviathan et al. 2023 for the law). A fault that decisions or recovered tokens prove explains the statistics
too: they are then its symptoms and no second cause.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from sdtrace.diagnosis.bonus_row import ROWS, Row, bonus_row
from sdtrace.diagnosis.residual_power import Powers, powers
from sdtrace.diagnosis.wrong_rules import Explanation
from sdtrace.results.cause import Cause, Outcomes, fired, make
from sdtrace.results.check import Outcome
from sdtrace.schema.run import Run
from sdtrace.stats.significance import read
from sdtrace.tally.tally import Tally

#: Proved causes that leave the calibration of tokens alone; every other one explains what statistics see.
_APART = {
    "accepted-past-rejection",
    "bonus-missing",
    "bonus-duplicated",
    "degenerate-output",
    "emitted-after-stop",
    "greedy-mismatch",
    "token-accounting",
}
_DRAWS, _ACCEPT = ("SD222", "SD221", "SD223", "SD224", "SD225"), ("SD201", "SD206")
_BACK, _DRAFT, _EMIT = ("SD202", "SD203", "SD204"), ("SD211",), ("SD212", "SD241")
CODES = (*_ACCEPT, *_BACK, "SD205", *_DRAFT, "SD213", *_EMIT, *_DRAWS, "SD231")


#: z of the bend per square root of a token, up to which it can be shared noise.
_FAINT = 0.06
#: Standard errors by which one way to accept too much must be ahead of the others.
_CLEARLY = 2.0
#: Standard errors up to which a statistic looks as if nothing were wrong with what it sees.
_LIKE = 2.2


@dataclass(frozen=True)
class Signs:
    """z of every statistic of the run that shows most, by code and part; 0 where there is none.

    `powers` of q and of the residual, from the sample of steps, and the row that bonus tokens are drawn from where it is not their
    own. `lean`: how far acceptances lean to emitted tokens that the draft finds likely, in standard errors.
    """

    z: Mapping[str, float]
    trimmed: bool = False
    powers: Powers | None = None
    bonus: Row | None = None

    def of(self, code: str) -> float:
        return self.z.get(code, 0.0)


def signs(tally: Tally, used: pl.Expr, runs: Mapping[str, Run]) -> Signs:
    """The signs of a tally, of the run whose evidence is strongest. `used` chooses the law of each run; `runs`: their lines."""
    rows = tally.frame("evidence")
    if rows.is_empty():
        return Signs({})
    found: dict[str, dict[str, float]] = {}
    for row in rows.filter(used).iter_rows(named=True):
        mine = found.setdefault(row["run_id"], {})
        mine[row["code"]] = read(row, 1e-3).z
        if row["code"] == "SD202":
            mine["lean"] = _lean(row)
    if not found:
        return Signs({})
    run_id = max(found, key=lambda run: max(abs(v) for v in found[run].values()))
    counts = tally.frame("laws").select(pl.col("drafted", "verified").sum()).row(0)
    fit, bonus = None, None
    if tally.steps is not None and abs(found[run_id].get("SD212:alone", 0.0)) > _LIKE:
        bonus = bonus_row(tally.steps.filter(used & (pl.col("run_id") == run_id)))
    if tally.steps is not None and any(abs(found[run_id].get(code, 0.0)) > _LIKE for code in _BACK):
        sample = tally.steps.filter(used & (pl.col("run_id") == run_id) & (pl.col("law") == "ratio"))
        fit = powers(sample, runs.get(run_id, Run()), "ratio")
    return Signs(found[run_id], counts[1] < counts[0], fit, bonus)


def _lean(row: Mapping[str, Any]) -> float:
    """The bins of SD202 are decades of q at the emitted token, from 1 down: a line through them, the whole taken out."""
    groups = [i for i in range(10) if row[f"v{i}"] > 0]
    total = sum(row[f"v{i}"] for i in groups)
    if not total:
        return 0.0
    middle = sum(i * row[f"v{i}"] for i in groups) / total
    size = sum((i - middle) ** 2 * row[f"v{i}"] for i in groups)
    return sum((middle - i) * row[f"d{i}"] for i in groups) / math.sqrt(size) if size > 0 else 0.0


def completed(
    rows: Sequence[Cause],
    outcomes: Outcomes,
    signs: Signs,
    sliced: Explanation | None = None,
    mixture: tuple[float, float] | None = None,
) -> list[Cause]:
    """The causes with what the statistics add: one more cause, or their codes under the one that explains them.

    `sliced`: the rule of the one part of the traffic that is off (SD206). `mixture`: threshold and share that fit the whole best.
    """
    live = [code for code in CODES if fired(outcomes, code)]
    if not live:
        return list(rows)
    for i, row in enumerate(rows):
        if row.side == "wrong" and row.certainty == "proved" and row.cause not in _APART:
            return [*rows[:i], replace(row, checks=(*row.checks, *live)), *rows[i + 1 :]]
    cause, label, first = _name(outcomes, signs, sliced, mixture)
    new = make(cause, "statistical", [first, *(c for c in live if c != first)], outcomes, label)
    return _placed(rows, new)


def _placed(rows: Sequence[Cause], new: Cause) -> list[Cause]:
    """Behind what is proved, before what is suspected or not on the wrong side."""
    proofs = [r for r in rows if r.certainty == "proved"]
    return [*proofs, new, *(r for r in rows if r.certainty != "proved")]


def _name(
    outcomes: Outcomes, signs: Signs, sliced: Explanation | None, mixture: tuple[float, float] | None
) -> tuple[str, str, str]:
    """(cause, label, the check that shows it best)."""
    if fired(outcomes, "SD222") and not _above(signs, "SD225", "SD222"):
        return "uniforms-reused", "draws of one step depend on each other", "SD222"
    if fired(outcomes, "SD221") and not _above(signs, "SD225", "SD221"):
        return "uniforms-reused", "uniform draws are not uniform", "SD221"
    if fired(outcomes, "SD225") and (not fired(outcomes, "SD201") or _above(signs, "SD225", "SD201")):
        return "uniforms-reused", "the uniform that drew the drafted token tests it, too", "SD225"
    if fired(outcomes, "SD224"):
        return "uniforms-reused", "the rows of a batch share their draws", "SD224"
    if fired(outcomes, "SD223") and not fired(outcomes, "SD201"):
        return "uniforms-reused", "requests share their draws", "SD223"
    tokens = sliced is not None and outcomes["SD206"].witnesses[0]["quantity"] != "accepted"
    if sliced is not None and not (tokens or fired(outcomes, "SD223") or _reused_in_step(sliced, signs)):
        return sliced.cause, sliced.label, "SD206"
    if fired(outcomes, "SD201"):
        return _acceptance(outcomes, signs, mixture)
    if fired(outcomes, "SD231"):
        return _block(outcomes["SD231"])
    if fired(outcomes, "SD205"):
        return "shared-noise", _order_label(outcomes["SD205"]), "SD205"
    if sliced is not None and tokens:
        return sliced.cause, sliced.label, "SD206"
    if fired(outcomes, "SD211"):
        return "draft-not-from-q", _draft_label(signs), "SD211"
    if any(fired(outcomes, code) for code in _BACK):
        return _reverse(outcomes, signs)
    if fired(outcomes, "SD213"):
        return "draft-not-from-q", "drafted tokens are likelier under p than draws from q can be", "SD213"
    return _emitted(outcomes, signs)


def _above(signs: Signs, code: str, other: str) -> bool:
    """Whether a statistic, or a part of it, tells more than another."""
    most = [
        max((abs(z) for name, z in signs.z.items() if name.partition(":")[0] == c), default=0.0) for c in (code, other)
    ]
    return most[0] > most[1]


def _reused_in_step(sliced: Explanation, signs: Signs) -> bool:
    """Whether acceptances behind the first position are those of one draw for a whole step: there, or in any part of the
    traffic, where first positions are in order."""
    beside = max(signs.of("SD201:lenience"), signs.of("SD201:forced"), 3.0)
    if "position" in (sliced.where or {}):
        return signs.of("SD201:reuse") > beside
    return signs.of("SD201:reuse") > beside + _CLEARLY and abs(signs.of("SD201:first")) < _LIKE


def _acceptance(outcomes: Outcomes, signs: Signs, mixture: tuple[float, float] | None) -> tuple[str, str, str]:
    """Each way to accept too much has a weighting that sees it best; the one that sees most tells which it is, `mixture` (threshold,
    share) with which parameter it fits the sampled decisions best."""
    if fired(outcomes, "SD223"):
        return "uniforms-reused", "requests share their draws", "SD223"
    effect = outcomes["SD201"].value or 0.0
    if effect <= 0:
        return (
            "decision-mismatch",
            "tokens are rejected that the law accepts, though no single decision proves it",
            "SD201",
        )
    ways = {way: signs.of(f"SD201:{way}") for way in ("lenience", "forced", "reuse")}
    likeliest = max(ways, key=lambda way: ways[way])
    if likeliest == "reuse":
        return "uniforms-reused", "too much is accepted where one draw for a whole step would accept it", "SD201"
    if likeliest == "forced":
        share = "" if mixture is None else f" (about {mixture[1]:.0%})"
        return "decision-mismatch", f"a share of decisions{share} accepts whatever p and q say", "SD201"
    threshold = "" if mixture is None else f", threshold about {mixture[0]:.2f}"
    return "lenient-acceptance", f"the sampler accepts too much: lenient acceptance{threshold}", "SD201"


def _block(outcome: Outcome) -> tuple[str, str, str]:
    if (outcome.value or 0.0) > 0:
        return "lenient-acceptance", "block verification keeps too much", "SD231"
    return "decision-mismatch", "block verification keeps too little", "SD231"


def _order_label(outcome: Outcome) -> str:
    if any("(ratio)" in str(w.get("statistic")) for w in outcome.witnesses):
        return "the recovered token is drawn with the noise that drew the draft"
    return "the recovered token is picked with the uniform that rejected the draft"


def _draft_label(signs: Signs) -> str:
    if signs.of("SD211") > 0 and signs.trimmed:
        return "drafted tokens were not drawn from the recorded q: unlikely ones are trimmed after they were seen"
    if signs.of("SD211") > 0:
        return "drafted tokens were not drawn from the recorded q, but from something sharper"
    if signs.of("SD211") < 0:
        return "drafted tokens were not drawn from the recorded q, but from something flatter"
    return "drafted tokens were not drawn from the recorded q"


def _reverse(outcomes: Outcomes, signs: Signs) -> tuple[str, str, str]:
    """Decisions are right, so the draft's or the recovery's distribution is not.

    Recovery with the draft's own noise bends the residual away from tokens with q near p (SD204 above 0) and leaves both the
    whole and its lean to likely tokens nearly alone; a draft that is not drawn from q leans. With sums over the vocabulary
    a right draft is seen to be right, and then it is the recovery. Without them a bend that shows after few tokens is a
    draft's: shared noise is worth about .02 of distribution a token (vllm#47386) and takes some ten thousand.
    """
    best = max((code for code in _BACK if fired(outcomes, code)), key=lambda code: abs(signs.of(code)))
    stop = signs.of("SD202:stop")
    if best == "SD202" and abs(stop) > max(_LIKE, *(abs(signs.of(code)) for code in _BACK)):
        often = "more" if stop < 0 else "less"
        return "recovered-not-residual", f"stop ids are recovered {often} often than the residual has them", best
    fit = signs.powers
    if fit is not None and fit.leans:
        return (
            "recovered-not-residual",
            "recovered tokens lean to the greatest residuals",
            best,
        )
    bend, whole, lean = signs.of("SD204"), signs.of("SD202"), signs.of("lean")
    draft_known = (
        outcomes["SD211"].state == "clear" and max(abs(signs.of(c)) for c in ("SD211", "SD211:overlap")) < _LIKE
    )
    if signs.trimmed and not draft_known:
        return "draft-not-from-q", "drafts are trimmed after their tokens were seen, or not drawn from q", best
    faint = draft_known or bend < _FAINT * math.sqrt(outcomes["SD204"].examined)
    limit = 0.8 if draft_known else 0.65
    if faint and bend > 3 and -0.3 * bend < whole < limit * bend and abs(lean) < 0.6 * bend and signs.of("SD212") < 3:
        return "shared-noise", "the recovered token is drawn with the noise that drew the draft", best
    if draft_known:
        return "recovered-not-residual", "recovered tokens do not follow the residual", best
    return "draft-not-from-q", "drafted tokens were not drawn from the recorded q", best


def _emitted(outcomes: Outcomes, signs: Signs) -> tuple[str, str, str]:
    if fired(outcomes, "SD212"):
        if signs.bonus is not None:
            return "misaligned-target-probs", f"bonus tokens are drawn from {ROWS[signs.bonus]}", "SD212"
        if abs(signs.of("SD212:alone")) > max(abs(signs.of("SD212")), abs(signs.of("SD212:overlap"))):
            return "one-sided-sampling-params", "tokens that the target draws alone do not follow p", "SD212"
        return "recovered-not-residual", "emitted tokens do not follow p", "SD212"
    return "decision-mismatch", "first tokens of steps do not follow p, whatever the law", "SD241"
