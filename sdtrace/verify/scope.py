"""Steps that share a run and a law, with what their requests say, ready to be judged."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from sdtrace.schema.arrays import Flags, Floats
from sdtrace.schema.run import Run
from sdtrace.verify.law import Bands, Judged, Law, parameters
from sdtrace.verify.laws import LAWS, candidates, named
from sdtrace.verify.positions import Positions, derive, positions
from sdtrace.verify.precision import bands, widened
from sdtrace.verify.rulings import corrected, set_apart
from sdtrace.verify.watermark import tagged, watermarked

#: What checks ask of a request; everything else stays in the request table.
REQUEST_COLUMNS = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "seed",
    "stop_token_ids",
    "output_len",
    "max_tokens",
    "finish_reason",
    "prompt_len",
    "tags",
)


@dataclass(frozen=True)
class Scope:
    """Steps of one run under one law. `source` says where the law comes from: declared, temperature, candidate."""

    path: str
    run: Run
    law: Law
    source: str
    pos: Positions

    @property
    def steps(self) -> pl.DataFrame:
        """The derived steps, joined with REQUEST_COLUMNS and `has_request`."""
        return self.pos.steps

    @cached_property
    def bands(self) -> Bands:
        """Rounding of the logged probabilities."""
        return widened(bands(self.pos, self.run.prob_dtype, cut=bool(self.run.cut_digits)), self.run.imprecise)

    @cached_property
    def params(self) -> Mapping[str, Any]:
        """The thresholds that the run declares for its law."""
        return parameters(self.run)

    @cached_property
    def judged(self) -> Judged:
        """Every decision, recomputed. Raw probabilities are not those that were compared: they decide nothing."""
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):  # untested positions hold anything
            judged = self.law.judge(self.pos, self.params, self.bands)
        if not self.unshaped or self.law.greedy:
            return judged
        decision = np.zeros_like(judged.decision) if self.raw else judged.decision
        return Judged(decision, judged.tested, np.full_like(judged.expected, np.nan))

    @cached_property
    def known(self) -> Flags:
        """Tested positions whose chance of acceptance the record gives; none where what it holds depends on the outcome."""
        if self._biased:
            return np.zeros_like(self.judged.tested)
        return self.judged.tested if self._told else self.judged.tested & ~np.isnan(self.judged.expected)

    @cached_property
    def expected(self) -> Floats:
        """The chance of acceptance at every position; 0 where it is not known or nothing was tested."""
        if self._told:  # a product does not branch at every position, as a choice does
            return np.asarray(self.judged.expected * self.known)
        return np.where(self.known, self.judged.expected, 0.0)

    @cached_property
    def watermarked(self) -> bool:
        """Whether draws are keyed by what was written: each decision can be recomputed, and no mean over tokens tells anything."""
        return watermarked(self.run) or tagged(self.steps["tags"])

    @property
    def _biased(self) -> bool:
        return bool(self.run.mute_statistics)

    @cached_property
    def _told(self) -> bool:
        """No position is without a chance."""
        return not self._biased and bool(np.isfinite(self.judged.expected.sum()))

    @cached_property
    def whole(self) -> bool:
        """Whether the chance is known at every tested position, for a law that stops at the first rejection."""
        return self.law.decides == "token" and np.array_equal(self.known, self.judged.tested)

    @property
    def unshaped(self) -> bool:
        """The log holds probabilities from before temperature, top-k and top-p: no draw follows them."""
        return self.run.prob_basis == "raw"

    @property
    def raw(self) -> bool:
        """The log holds probabilities from before temperature, top-k and top-p, and the law compares the ones after."""
        return self.unshaped and self.law.residual not in ("argmax", "same")

    @cached_property
    def flat(self) -> pl.DataFrame:
        """Verified positions as a frame: row, position, tested, accepted, decision, expected, token, emitted, p, q, r."""
        pos, judged = self.pos, self.judged
        columns: dict[str, Any] = {
            "row": pos.row,
            "position": pos.position,
            "tested": judged.tested,
            "accepted": pos.accepted,
            "by_count": pos.by_count,
            "decision": judged.decision,
            "expected": judged.expected,
            "token": pos.token,
            "emitted": pos.emitted,
            "p": pos.p,
            "q": pos.q,
            "r": pos.r,
        }
        for name, column in (("argmax", "target_argmax_ids"), ("gap", "target_top2_gap"), ("flag", "accepted")):
            if not self.absent(column):
                columns[name] = pos.column(column, absent=-1)
        return pl.DataFrame(columns)

    def absent(self, column: str) -> bool:
        """Whether a trace column holds no value in these steps."""
        return column in self._absent

    @cached_property
    def _absent(self) -> frozenset[str]:
        nulls = self.steps.null_count().row(0, named=True)
        return frozenset(name for name, n in nulls.items() if n == self.steps.height)


def of_sample(pos: Positions, run: Run, law: str) -> Scope:
    """Sampled steps of one run, held to a law by its name."""
    return Scope("", run, LAWS[law], "declared", pos)


def scopes(path: str, steps: pl.DataFrame, requests: pl.DataFrame, runs: Mapping[str, Run]) -> Iterator[Scope]:
    """Split a batch of steps by run and law.

    `steps` and `requests` are keyed; `requests` has REQUEST_COLUMNS. A request at temperature 0 is verified greedily whatever the
    run says, but for laws that decide there too. A run without a rule yields one scope for every law that could be its own. Steps of
    which a ruling leaves open how they were verified have a scope without a law.
    """
    told = [name for name in REQUEST_COLUMNS if requests[name].null_count() < requests.height]
    known = requests.select("hash", *told, has_request=pl.lit(True))
    schema = requests.schema
    untold = {name: pl.lit(None, schema[name]) for name in REQUEST_COLUMNS if name not in told}
    joined = steps.join(known, on="hash", how="left", maintain_order="left").with_columns(**untold)
    joined = derive(corrected(joined, runs))
    greedy = pl.col("temperature").eq(0.0).fill_null(False)
    joined = set_apart(joined.with_columns(greedy=greedy, doubt=pl.lit(value=False)), runs)
    for part in _parts(joined):
        run = runs.get(part["run_id"][0], Run())
        if part["doubt"][0]:
            yield Scope(path, run, LAWS["unknown"], "doubted", positions(part))
        else:
            yield from _laws(path, run, part["greedy"][0], positions(part))


def _parts(joined: pl.DataFrame) -> list[pl.DataFrame]:
    """Steps split by run, temperature 0 and doubt; nothing is copied in the usual case of one run and one law."""
    greedy, doubt, run = joined["greedy"], joined["doubt"], joined["run_id"]
    if not ((greedy != greedy[0]).any() or (doubt != doubt[0]).any() or run.ne_missing(run[0]).any()):
        return [joined]
    return joined.partition_by("run_id", "greedy", "doubt", maintain_order=True)


def _laws(path: str, run: Run, greedy: bool, pos: Positions) -> Iterator[Scope]:
    rule = run.rule
    law = named(rule)
    if greedy and not (law is not None and law.of_greedy):
        yield Scope(path, run, LAWS["greedy"], "declared", pos)
    elif law is not None:
        yield Scope(path, run, law, "declared", pos)
    elif rule is not None:
        yield Scope(path, run, LAWS["unknown"], "declared", pos)
    else:
        for law in candidates(pos):
            yield Scope(path, run, law, "candidate", pos)
