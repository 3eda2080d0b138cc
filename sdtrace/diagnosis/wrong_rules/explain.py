"""Choose among the wrong rules: the one with the fewest contradictions, if it explains nearly all decisions."""

from dataclasses import replace

import numpy as np
import polars as pl

from sdtrace.diagnosis.wrong_rules.exact import HYPOTHESES, Decisions, inverted, shifted, tempered, uncut
from sdtrace.diagnosis.wrong_rules.explanation import Explanation
from sdtrace.diagnosis.wrong_rules.likelihood import likeliest
from sdtrace.diagnosis.wrong_rules.regression import dependence, other_row, read
from sdtrace.diagnosis.wrong_rules.target_alone import of_target_alone
from sdtrace.schema.arrays import Flags
from sdtrace.verify.band import EXACT, Rounding
from sdtrace.verify.laws import LAWS

_COLUMNS = (
    "position",
    "p",
    "q",
    "r",
    "p_next",
    "p_prev",
    "q_next",
    "q_prev",
    "target_entropy",
    "target_varentropy",
    "target_sq",
    "draft_entropy",
    "draft_varentropy",
    "draft_sq",
    "best",
)


def explain_decisions(decisions: pl.DataFrame, law: str, p_band: Rounding, q_band: Rounding) -> list[Explanation]:
    """Explanations, best first; the last resort is decision-mismatch. `decisions`: see `sdtrace.diagnosis.samples.decisions`."""
    d = _arrays(decisions, law, p_band, q_band)
    wrong = decisions.filter(pl.col("decision") == -1)
    accepts = int(wrong["accepted"].sum())
    nothing = Explanation(
        "decision-mismatch", "fit no known wrong rule", None, None, None, wrong.height, decisions.height
    )
    if not wrong.height:
        return [nothing]
    if LAWS[law].decides == "block":
        return [*_of_block(wrong.height, accepts, decisions.height), nothing]
    drawn = bool(np.isfinite(d["r"]).mean() > 0.9)
    if LAWS[law].decides == "window":
        ends = decisions.filter(~pl.col("accepted"))
        rejected = _arrays(ends, law, p_band, q_band)
        found = _of_window(rejected, int((ends["decision"] == -1).sum())) if drawn else []
        return [*(replace(e, decided=decisions.height) for e in found), nothing]
    found = _settled(d, wrong.height, accepts) if drawn else _without_draws(d, wrong.height)
    if not found:
        found = _depends(d, wrong.height, drawn)
    return [*found, nothing]


def _arrays(decisions: pl.DataFrame, law: str, p_band: Rounding, q_band: Rounding) -> Decisions:
    numbers = decisions.select(pl.col(*_COLUMNS).cast(pl.Float64).fill_null(np.nan))
    columns = {name: numbers[name].to_numpy() for name in _COLUMNS}
    if LAWS[law].draft == "point-mass":
        columns["q"] = np.ones_like(columns["q"])
        q_band = EXACT
    accepted: Flags = decisions["accepted"].to_numpy()
    return Decisions(columns, accepted, p_band, q_band)


def _settled(d: Decisions, wrong: int, accepts: int) -> list[Explanation]:
    """Rules that leave at most a small part of the disagreements unexplained, fewest first; simple ones on a tie."""
    found = [e for e in (h(d) for h in HYPOTHESES) if e is not None]
    if accepts < wrong:  # a lenient rule only accepts too much
        found = [e for e in found if e.cause != "lenient-acceptance"]
    # temperature is interpolated, so it is held to less: a tenth of the disagreements may remain
    found = [e for e in found + of_target_alone(d) + shifted(d) if e.contradictions <= 0.03 * wrong]
    # a row of another position next to which everything, or nothing, is accepted: any temperature would fit that
    found = found or other_row(d, wrong) or [e for e in tempered(d) if e.contradictions <= 0.25 * wrong]
    return sorted(found, key=lambda e: e.contradictions)


def _of_window(rejected: Decisions, wrong: int) -> list[Explanation]:
    """Of a law whose rejections may be deferred, which only adds acceptances: the ratio upside down, if rejections show it."""
    guess = inverted(rejected)
    return [guess] if wrong >= _FEW and guess.contradictions <= 0.03 * wrong else []


def _of_block(wrong: int, accepts: int, decided: int) -> list[Explanation]:
    """Thresholds of block verification are those of whole prefixes; a test that is too kind to them keeps too much, and never too
    little."""
    if wrong < _FEW or accepts < 0.97 * wrong:
        return []
    label = "block verification keeps more than its thresholds allow"
    return [Explanation("lenient-acceptance", label, None, None, None, wrong - accepts, decided)]


#: Wrong decisions from which all of one kind are a rule.
_FEW = 8


def _without_draws(d: Decisions, wrong: int) -> list[Explanation]:
    """Without uniforms, impossible events tell these rules alone: accepted at p = 0, rejected a little above q; and those that no
    draw takes part in."""
    guess = uncut(d)
    found = [*([guess] if guess is not None else []), *of_target_alone(d)]
    return sorted((e for e in found if e.contradictions <= 0.03 * wrong), key=lambda e: e.contradictions)


def _depends(d: Decisions, wrong: int, drawn: bool) -> list[Explanation]:
    """Rules that are seen only by what the decisions depend on; flips of a few decisions keep the law's slopes."""
    fit = dependence(d)
    if fit is None:
        return []
    if drawn and wrong < 0.08 * len(d.accepted):
        return []
    if not drawn and not other_row(d, wrong) and (guess := likeliest(d)) is not None:
        return [] if guess.cause == "decision-mismatch" else [guess]
    named = read(d, fit, wrong, len(d.accepted))
    return [named] if named is not None else _one_sided(d, wrong)


def _one_sided(d: Decisions, wrong: int) -> list[Explanation]:
    """Without moments of the rows a temperature cannot be undone, but near-certain tokens tell its direction."""
    return [e for e in tempered(d) if e.contradictions <= 0.5 * wrong and e.decided > 0.5 * len(d.accepted)]
