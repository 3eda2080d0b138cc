"""Which law each run was verified under: declared, inferred by likelihood, or not to be told."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.diagnosis.law_cycle import cycle_fits
from sdtrace.diagnosis.law_refit import MISFITS, refit
from sdtrace.schema.run import Run
from sdtrace.tally.tally import Tally
from sdtrace.verify.band import DISAGREE
from sdtrace.verify.laws import LAWS, candidates
from sdtrace.verify.positions import Positions, positions
from sdtrace.verify.scope import of_sample

#: Natural log of the odds that the best law must have over the next before it is used to accuse.
MARGIN = math.log(1e4)
#: Share of the decisions that must have a uniform before they can show a law.
SETTLED = 0.95


@dataclass(frozen=True)
class Choice:
    """The law of one run (apart from its temperature-0 requests).

    `margin` is the log-likelihood over the next law (nats), `rivals` the laws that fit as well; `accuses` is False
    where the law is uncertain, and then no check of a law is used against the engine: an inferred law must settle its decisions by
    uniforms, and not one of them may contradict it. An engine that no law of the list fits is outside the list, not guilty.
    """

    law: str
    source: str
    margin: float | None
    rivals: tuple[str, ...]
    accuses: bool

    @property
    def word(self) -> str:
        """The law's name for people."""
        return LAWS[self.law].word


def choose(tally: Tally) -> dict[str, Choice]:
    """A choice for every run of the tally."""
    laws = tally.frame("laws")
    chosen = {}
    for (run_id,), part in laws.group_by("run_id", maintain_order=True):
        tried = part.filter(pl.col("source") == "candidate")
        # where some temperatures are known, greedy could be tried on the rest only: nothing to compare with
        rows = tried.filter((pl.col("law") != "greedy?") | (pl.col("steps") == pl.col("steps").max())).to_dicts()
        if rows:
            chosen[str(run_id)] = _likeliest(rows)
        else:
            # the run's own law, however little of it was tested: requests at temperature 0 are held to greedy beside it
            aside = (pl.col("law") == "greedy") | (pl.col("source") == "doubted")
            own = part.sort(aside, -pl.col("tested"), maintain_order=True)
            main = own.row(0, named=True)
            chosen[str(run_id)] = Choice(main["law"], "declared", None, (), accuses=True)
    return chosen


def _likeliest(rows: list[dict[str, Any]]) -> Choice:
    drawn = any(row["with_uniform"] for row in rows)
    # without uniforms the block law forbids nothing and predicts nothing: it can only be named as a possibility
    fitted = [r for r in rows if drawn or LAWS[r["law"]].decides == "token"] or rows
    fitted.sort(key=lambda r: (-(r["loglik"] - _unfit(r)), r["law"]))
    best, others = fitted[0], fitted[1:]
    score = best["loglik"] - _unfit(best)
    margin = min((score - (r["loglik"] - _unfit(r)) for r in others), default=None)
    rivals = tuple(LAWS[r["law"]].word for r in others if score - (r["loglik"] - _unfit(r)) < MARGIN)
    blocked = not drawn and any(r["law"] == "block" for r in rows) and best["disagree"] > 0
    # uniforms that settle every decision show the law; a law that fits nearly is another one, outside the list
    exact = LAWS[best["law"]].draws and best["with_uniform"] >= SETTLED * best["judged"] and not best["disagree"]
    return Choice(best["law"], "inferred", margin, rivals + (("block",) if blocked else ()), not rivals and bool(exact))


def _unfit(row: Mapping[str, Any]) -> float:
    """A law is not preferred for what it leaves undecided: an undecided draw counts as a fair coin."""
    return math.log(2) * row["undecidable"] if row["with_uniform"] and LAWS[row["law"]].draws else 0.0


@dataclass(frozen=True)
class Fit:
    """How another law fits decisions that the declared one does not."""

    law: str
    decided: int


def better_law(sample: pl.DataFrame, run: Run, declared: str) -> Fit | None:
    """A lossless law under which not one sampled decision is wrong, where the declared law has wrong ones.

    Its residual must fit as well: a test of one law with the residual of another is the law of nobody.
    A law that draws must be shown by uniforms, greedy by the recorded argmax; match fits any decision, so it must
    also predict the acceptance from p(x), and only where no uniform was logged.
    """
    part = sample.filter(pl.col("law") == declared)
    if part.height:
        pos = positions(part)
        possible = {law.name for law in candidates(pos)} - {declared}
        for name in ("one-hot", "ratio", "greedy?", "block", "match"):
            if name in possible and (decided := _fits(name, run, pos)):
                return Fit(name, decided)
    found = refit(sample, run, declared)
    return Fit(*found) if found else None


def _fits(name: str, run: Run, pos: Positions) -> int:
    scope = of_sample(pos, run, name)
    judged = scope.judged
    tested, drawn = judged.tested, pos.r == pos.r
    wrong = int((judged.decision == DISAGREE).sum())
    decided = int((judged.decision != 0).sum())
    if wrong or decided < 50 or decided < 0.6 * tested.sum() or not cycle_fits(scope.law, pos, scope.bands):
        return 0
    if LAWS[name].draws and drawn[tested].mean() < 0.95:
        return 0
    if name != "match":
        return decided
    beta = judged.expected[tested]
    variance = float((beta * (1 - beta)).sum())
    off = abs(float((pos.accepted[tested] - beta).sum())) / math.sqrt(variance) if variance > 0 else math.inf
    return decided if not drawn.any() and off < 4 else 0


def misfits(audit: Audit) -> dict[str, Fit]:
    """Runs whose declared law has wrong decisions, or chances that are far off, while another lossless law fits (by run_id)."""
    found: dict[str, Fit] = {}
    rows = audit.tally.frame("laws")
    if audit.tally.steps is None or rows.is_empty():
        return found
    off = audit.tally.frame("evidence").filter(
        pl.col("code").is_in(["SD201", "SD231"]) & (pl.col("d").abs() > MISFITS * pl.col("v").sqrt())
    )
    doubtful = (pl.col("disagree") > 0) | pl.col("run_id").is_in(off["run_id"].to_list())
    for row in rows.filter((pl.col("source") == "declared") & doubtful).iter_rows(named=True):
        run = audit.runs.get(row["run_id"], Run())
        if run.rule != row["law"]:
            continue
        sample = audit.tally.steps.filter(pl.col("run_id") == row["run_id"])
        if fit := better_law(sample, run, row["law"]):
            found[row["run_id"]] = fit
    return found
