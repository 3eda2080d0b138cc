"""The trial of one audit's record: findings about the record itself, and rulings under which to judge again."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import polars as pl

from sdtrace.audit.audit import Audit
from sdtrace.audit.parts import moved
from sdtrace.diagnosis.chosen import Chosen
from sdtrace.diagnosis.law_choice import Choice, better_law, choose
from sdtrace.diagnosis.outcomes import outcomes
from sdtrace.diagnosis.samples import sampled
from sdtrace.diagnosis.trial import basis, draws
from sdtrace.diagnosis.trial.cause import cause_of
from sdtrace.diagnosis.trial.counts import NEEDED, over_counted
from sdtrace.diagnosis.trial.keys import compared, conflict
from sdtrace.diagnosis.trial.losses import losses, of_requests
from sdtrace.diagnosis.trial.noise import cut, reach, told
from sdtrace.diagnosis.trial.parts import joined
from sdtrace.diagnosis.wrong_rules import Explanation, explain_decisions
from sdtrace.results.cause import Cause
from sdtrace.results.cause_words import WORDS
from sdtrace.results.check import Check
from sdtrace.results.record import Record, worst
from sdtrace.schema.run import Run
from sdtrace.verify.laws import LAWS
from sdtrace.verify.positions import positions
from sdtrace.verify.rulings import Ruling
from sdtrace.verify.scope import of_sample

#: Repeated steps that are compared with those that took their keys, and are all the same, where all are copies.
_COMPARED = 100
#: Pairs of inputs that share requests, which the report names one by one.
_PAIRS = 4


def tried(audit: Audit, checks: Sequence[Check], before: Record | None = None) -> tuple[Record, dict[str, Ruling]]:
    """What the record is, and what is to be judged again under (by run; empty: nothing).

    `before` is what an earlier trial found, whose rulings this audit was made under.
    """
    trial = _Trial(audit, checks, before or Record())
    trial.keys()
    trial.parts()
    if audit.tally.steps is None or audit.tally.frame("laws").is_empty():
        return trial.record, {}
    for run in trial.choices:
        trial.of(run, describe=before is None)
    return trial.record, trial.rulings


@dataclass
class _Trial:
    audit: Audit
    checks: Sequence[Check]
    record: Record
    rulings: dict[str, Ruling] = field(default_factory=dict)

    @cached_property
    def choices(self) -> dict[str, Choice]:
        return choose(self.audit.tally)

    @cached_property
    def chosen(self) -> Chosen:
        return Chosen(self.audit.tally, self.choices, moved(self.audit.parts))

    @cached_property
    def fired(self) -> frozenset[str]:
        """Codes of checks that fired; only records that leave something open pay for it."""
        found = outcomes(self.audit, self.chosen, self.checks)
        return frozenset(code for code, outcome in found.items() if outcome.state == "fired")

    @property
    def doubted(self) -> bool:
        """Something that rests on p, q or draws speaks against the engine; every statistic does."""
        return any(code.startswith("SD2") or code in basis.RESTS_ON_P or code == "SD171" for code in self.fired)

    @cached_property
    def sampled(self) -> dict[str, pl.DataFrame]:
        """The sample of steps by run."""
        steps = self.audit.tally.steps
        parts = [] if steps is None else steps.partition_by("run_id", maintain_order=True)
        return {str(part["run_id"][0]): part for part in parts}

    @cached_property
    def open_basis(self) -> set[str]:
        a = self.audit
        return basis.open_runs(a.runs, list(self.choices), a.requests, a.unknown_requests > 0)

    def keys(self) -> None:
        """Steps under a key that was there before: the same ones again, or others, which is a finding of its own."""
        lost = [x for one in self.audit.inputs for x in one.losses if x.kind == "repeated"]
        if not lost or self.record.keys != "unique":
            return
        self.record = replace(self.record, keys="repeated")
        self._note(f"{sum(x.count for x in lost):,} steps under a key that was there before: each key counts once")
        if self.audit.repeated is None or self.audit.tally.steps is None:
            return
        pairs = compared(self.audit.tally.steps, self.audit.repeated)
        if (found := conflict(self.audit.tally.steps, pairs)) is None:
            enough = pairs.height >= min(sum(x.count for x in lost), _COMPARED)
            self.record = replace(self.record, copies=enough)
            return
        ranks = found.kind == "ranks"  # whose steps they are is known, then
        self.record = replace(self.record, keys="repeated" if ranks else "conflicting")
        name = "decision-mismatch" if ranks else "record-broken"
        cause = cause_of(name, found.headline, found.evidence[0])
        self._add(replace(cause, evidence=found.evidence, weight=found.steps))

    def parts(self) -> None:
        """Requests that go over from one input to another, and the clocks of both."""
        if self.record.joined:
            return
        found = joined(self.audit.parts, self.audit.tally.steps, self.audit.repeated)
        self.record = replace(self.record, joined=tuple(one.row() for one in found))
        for one in found[:_PAIRS]:
            self._note(one.says())

    def of(self, run: str, describe: bool) -> None:
        """Try one run; the first thing that is found wrong with it is mended before the next one is asked."""
        line, choice = self.audit.runs.get(run, Run()), self.choices[run]
        assert self.audit.tally.steps is not None
        steps = self.sampled.get(run, self.audit.tally.steps.clear())
        mine = steps.filter(pl.col("law").is_in([choice.law, "unknown"]) | (pl.col("law") == "greedy"))
        if describe:
            self._describe(run, line, mine)
        for asked in (
            self._counts,
            self._again,
            self._losses,
            self._unknown_requests,
            self._drafts,
            self._basis,
            self._noise,
            self._draws,
        ):
            if ruling := asked(run, line, choice, mine):
                self.rulings[run] = ruling
                return

    def _describe(self, run: str, line: Run, steps: pl.DataFrame) -> None:
        alone = bool(self.audit.unknown_requests) and draws.orphans(steps).height > 0
        told_by = "declared" if line.prob_basis else "unknown" if run in self.open_basis else "inferred"
        sampled = "known" if not alone else "inferred" if draws.draws_tell(steps) else "unknown"
        seeds = "unknown" if alone and draws.some(steps) else "known"
        self.record = replace(
            self.record,
            basis=worst(self.record.basis, told_by, ("declared", "inferred", "unknown")),
            seeds=worst(self.record.seeds, seeds, ("known", "unknown", "shared")),
            greedy=worst(self.record.greedy, sampled, ("known", "inferred", "unknown")),
        )

    def _counts(self, run: str, line: Run, choice: Choice, steps: pl.DataFrame) -> Ruling | None:
        if line.over_counted:
            return None
        # a step is there once for every law that was tried; whole rows cost more to compare than what is asked of them
        once = steps.select(NEEDED).unique(["hash", "step"], keep="first", maintain_order=True)
        if (found := over_counted(once)) is None:
            return None
        less, row = found
        says = "num_accepted counts the token after the accepted block as well"
        if less < 0:
            says = "num_accepted leaves out one of the accepted tokens"
        says += f": {row['steps']:,} of {row['of']:,} steps append {'as many' if less > 0 else 'two more'}"
        self._add(cause_of("metric-inconsistent", says, row))
        self._note("num_accepted as it stands: it was corrected by what the steps appended")
        return {"over_counted": less}

    def _again(self, run: str, line: Run, choice: Choice, steps: pl.DataFrame) -> Ruling | None:
        """Sums over steps that stand twice are wider than their variances say; it matters only where something speaks up."""
        if line.mute_statistics:
            return None
        mine = steps.filter(pl.col("law") == choice.law)
        # what fired costs more to ask than what stands twice
        if not (twice := draws.run_again(mine)) or not self.doubted:
            return None
        told = f"{twice:,} of {mine.height:,} steps stand in another request as well, token by token: requests that were run again"
        self._note(f"every statistic over many tokens of run {run!r}: {told}")
        return {"mute_statistics": True}

    def _losses(self, run: str, line: Run, choice: Choice, steps: pl.DataFrame) -> Ruling | None:
        if line.mute_statistics or LAWS[choice.law].greedy or choice.law == "unknown":
            return None
        mine = steps.filter(pl.col("law") == choice.law)
        scope = of_sample(positions(mine), line, choice.law) if mine.height else None
        found = losses(scope, steps, of_requests(self.chosen.requests, self.audit.requests, run))
        if found is None or not (found.depends or self.doubted):
            return None
        self.record = replace(
            self.record, losses_depend_on_outcome=self.record.losses_depend_on_outcome or found.depends
        )
        self._note(f"every statistic over many tokens of run {run!r}: {found.says}")
        return {"mute_statistics": True}

    def _unknown_requests(self, run: str, line: Run, choice: Choice, steps: pl.DataFrame) -> Ruling | None:
        """Greedy or sampled? It matters only where something speaks against the engine."""
        if line.apart or LAWS[choice.law].greedy:
            return None
        alone = draws.orphans(steps)
        if alone.is_empty() or not self.doubted:
            return None
        tally = self.audit.tally
        shared = draws.alike(tally.uniforms, run, tally.uniforms_shift)
        if draws.draws_tell(steps):
            how, few = "draws", False
        else:
            how, few = "shown", not draws.nearly_all_sampled(alone)
        if shared:
            self.record = replace(self.record, seeds="shared")
            self._note(
                "independence of draws: requests without a line draw the same numbers, and may share a user's seed"
            )
        if few:
            self._note(
                "steps of requests without a line that may be greedy: only those that show they were sampled are judged"
            )
        return {"apart": how, "mask_unknown": shared or few or how == "draws"}

    def _drafts(self, run: str, line: Run, choice: Choice, steps: pl.DataFrame) -> Ruling | None:
        """A list of q that is null says that the engine used none; beside others it may have been lost as well."""
        if line.draft_unsaid or LAWS[choice.law].residual not in ("ratio", "block"):
            return None
        mine = steps.filter((pl.col("law") == choice.law) & (pl.col("tau") > 0))["draft_probs"]
        told = line.draft_sampling == "sampled" or mine.null_count() < len(mine)  # q was there, and is not written
        if not mine.null_count() or not told or not self.doubted:
            return None
        self._note(f"steps of run {run!r} without draft probabilities: the run has some, and these may be lost")
        return {"draft_unsaid": True}

    def _noise(self, run: str, line: Run, choice: Choice, steps: pl.DataFrame) -> Ruling | None:
        rows = self.audit.tally.frame("margins")
        if rows.is_empty() or line.imprecise or line.cut_digits or not choice.accuses:
            return None
        mine = pl.col("run_id").eq(run) & pl.col("law").eq(choice.law)
        if (says := cut(self.audit.tally.frame("digits").filter(mine))) is not None:
            units = "probabilities are printed with few decimals, of which further ones were cut off: each may be off by one unit"
            self._imprecise(run, says, units)
            return {"cut_digits": True}
        rows = rows.filter(mine)
        block, seen = LAWS[choice.law].decides == "block", told(rows)
        width = reach(rows, block, lambda: self._explained(run, choice))
        if width is None or seen is None:
            return None
        note = f"decisions within {width:.2%} of the boundary: the recorded p is no more precise than that"
        self._imprecise(run, seen.says(width if block else None), note)
        self.record = replace(self.record, noise=max(self.record.noise or 0.0, width))
        return {"imprecise": width}

    def _basis(self, run: str, line: Run, choice: Choice, steps: pl.DataFrame) -> Ruling | None:
        if run not in self.open_basis or line.prob_basis or not self.doubted:
            return None
        mine = steps.filter(pl.col("law") == choice.law)
        if choice.source == "declared" and better_law(mine, line, choice.law) is not None:
            return None
        if not basis.raw(mine, line, choice.law, self._rules(run, choice)):
            return None
        self._note(
            "decisions that compare p and q: the run does not say whether they are raw or processed (prob_basis), and they do not fit "
            "as processed ones"
        )
        return {"prob_basis": "raw", "basis_doubted": True}

    def _rules(self, run: str, choice: Choice) -> list[Explanation]:
        """Wrong rules that may explain the decisions of a run, the likeliest first."""
        sample = sampled(self.audit, run, choice.law)
        return explain_decisions(sample.rows, sample.law, sample.bands.p, sample.bands.q) if sample is not None else []

    def _explained(self, run: str, choice: Choice) -> bool:
        rules = self._rules(run, choice)[:1] if LAWS[choice.law].decides == "token" else []
        return any(rule.cause != "decision-mismatch" for rule in rules)

    def _draws(self, run: str, line: Run, choice: Choice, steps: pl.DataFrame) -> Ruling | None:
        if line.mute_draws or not draws.some(steps) or not draws.by_outcome(steps):
            return None
        self._note("uniform draws as a whole: whether one is recorded depends on the decision")
        return {"mute_draws": True}

    def _witness(self, run: str) -> dict[str, Any]:
        rows = self.audit.tally.witnesses
        mine = [w for (one, _, code), found in rows.items() if one == run and code in ("SD101", "SD111") for w in found]
        return mine[0] if mine else {"run_id": run}

    def _imprecise(self, run: str, says: str, note: str) -> None:
        self._add(cause_of("record-imprecise", f"{WORDS['record-imprecise'].says}: {says}", self._witness(run)))
        self._note(note)

    def _add(self, cause: Cause) -> None:
        self.record = replace(self.record, causes=(*self.record.causes, cause))

    def _note(self, text: str) -> None:
        if text not in self.record.notes:
            self.record = replace(self.record, notes=(*self.record.notes, text))
