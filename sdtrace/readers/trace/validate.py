"""What every reader asks of a step before it becomes a record: a key, sane counts, lists that fit each other.

A step that fails is set aside as a Loss with its line and the reason. Improbable probabilities are kept: they are
findings, and checks look at them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import polars as pl

from sdtrace.readers.counts import LONGEST
from sdtrace.readers.trace.strict import Parsed
from sdtrace.schema.padding import without_padding
from sdtrace.schema.trace import REPEATED, Batch, Loss, LossKind, Notice, no_tables

_COUNTS = ("num_accepted", "verified_len", "step", "batch_size", "batch_tokens", "context_len")
_PER_DRAFT = ("draft_probs", "uniforms", "overlap", "draft_sq", "draft_entropy", "draft_varentropy", "draft_confidence")
_PER_TARGET = ("target_argmax_ids", "target_top2_gap", "target_sq", "target_entropy", "target_varentropy")
#: A reason is told with its line this many times; further ones are counted in one Loss.
_TOLD = 50


@dataclass
class Validator:
    """Validation of one input, with what it has to remember from batch to batch."""

    path: str
    unknown: dict[str, int] = field(default_factory=dict)
    seen: dict[int, int] = field(default_factory=dict)  #: request hash -> least and greatest step, how many, packed
    odd: set[tuple[int, int]] = field(default_factory=set)  #: steps that came out of order
    told: dict[str, int] = field(default_factory=dict)  #: losses so far, by the column that they are about

    def batch(self, parsed: Parsed, steps: pl.DataFrame, lines: int) -> Batch:
        """A batch whose steps are sound; lines = records + losses."""
        losses = list(parsed.losses)
        for key, count in parsed.unknown.items():
            self.unknown[key] = self.unknown.get(key, 0) + count
        steps, lost, repeated = self._sound(steps)
        runs, requests = parsed.frame("run"), parsed.frame("request")
        notices = list(parsed.notices)
        return Batch(self.path, lines, runs, requests, steps, losses + lost, notices, repeated=repeated)

    def last(self) -> Batch:
        """What can only be said at the end: keys that no table has, and losses beyond those told one by one."""
        advice = "not part of trace format 1; `config` and `tags` hold anything else"
        notices = [Notice(self.path, None, f"unknown key {k!r}", n, advice) for k, n in sorted(self.unknown.items())]
        return Batch(self.path, 0, *no_tables(), [], notices)

    def _sound(self, steps: pl.DataFrame) -> tuple[pl.DataFrame, list[Loss], pl.DataFrame | None]:
        """Steps that are records, why others are none, and those of them whose key was taken."""
        if not steps.height:
            return steps, [], None
        present = {name for name, n in steps.null_count().row(0, named=True).items() if n < steps.height}
        counted = steps.with_columns(tau=_TAU).with_columns(verified=_VERIFIED)
        drafted = without_padding(steps)  # lists may be as long as the draft with its padding, or without it
        padded = drafted is not steps
        if padded:
            counted = counted.with_columns(drafted=drafted.select(_TAU).to_series())
        counted = counted.with_columns(
            made=pl.min_horizontal(_ACCEPTED + 1, "verified", "drafted" if padded else "tau")
        )
        every = (*_REASONS, *_LISTS[padded])
        reasons = [r for r in every if r.absent or r.column in present]
        bad = counted.select(pl.any_horizontal(r.when for r in reasons).fill_null(value=False)).to_series()
        lost: list[Loss] = []
        if bad.any():
            why = pl.coalesce(*(pl.when(r.when).then(r.why) for r in reasons))
            about = pl.coalesce(*(pl.when(r.when).then(pl.lit(r.column)) for r in reasons))
            lost = self._losses(counted.filter(bad).select("line", why=why, about=about).rows(), "ordinary")
            steps = steps.filter(~bad)
        if steps["draft_token_ids"].null_count():
            steps = steps.with_columns(pl.col("draft_token_ids").fill_null([]))
        again, rows = self._duplicates(steps), None
        if again.any():
            rows = steps.filter(pl.Series(again))
            keys = rows.select("line", "request_id", "step").rows()
            lost += self._losses([(line, f"{REPEATED} {r!r}, step {s}", "key") for line, r, s in keys], "repeated")
            steps = steps.filter(pl.Series(~again))
        return steps, lost, rows

    def _losses(self, lost: Sequence[tuple[int, str, str]], kind: LossKind) -> list[Loss]:
        """One Loss for each (line, why, what it is about), until enough of them were about the same; then one for the rest of
        the batch."""
        found: list[Loss] = []
        more: dict[str, Loss] = {}
        advice = "further ones of a kind that was told line by line above"
        for line, why, about in lost:
            self.told[about] = self.told.get(about, 0) + 1
            if self.told[about] <= _TOLD:
                found.append(Loss(self.path, line, why, 1, "mend the writer, or remove the line", kind))
            elif (first := more.get(about)) is None:
                more[about] = Loss(self.path, line, why, 1, advice, kind)
            else:
                more[about] = replace(first, count=first.count + 1)
        return [*found, *more.values()]

    def _duplicates(self, steps: pl.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Steps that were there before. Memory is one number a request as long as steps come in order."""
        keys = steps.select(request=pl.struct("run_id", "request_id").hash(seed=1), step="step")
        spans = _in_order(keys)
        if spans is not None:
            repeated = np.zeros(keys.height, dtype=bool)
        else:
            repeated = ~keys.select(pl.struct("request", "step").is_first_distinct()).to_series().to_numpy()
            step = pl.col("step")
            groups = keys.filter(pl.Series(~repeated)).group_by("request")
            spans = groups.agg(low=step.min(), high=step.max(), n=pl.len()).rows()
        if self.seen.keys().isdisjoint([span[0] for span in spans]):  # the usual case, in one go
            self.seen.update((request, _pack(low, high, n)) for request, low, high, n in spans)
            return repeated
        late = [request for request, low, high, n in spans if self._overlaps(request, low, high, n)]
        if late:
            repeated |= self._late(keys, late)
        return repeated

    def _overlaps(self, request: int, low: int, high: int, n: int) -> bool:
        """Remember a span of steps of a request; True where it reaches into what was seen before."""
        before = self.seen.get(request)
        if before is None:
            self.seen[request] = _pack(low, high, n)
            return False
        if low > (before >> 32) & _MASK:
            self.seen[request] = _pack(before & _MASK, high, (before >> 64) + n)
            return False
        return True

    def _late(self, keys: pl.DataFrame, late: list[int]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Steps that come after later ones of their request: a repetition where the seen span has no holes, or where
        the step itself came late before."""
        again = np.zeros(keys.height, dtype=bool)
        mine = keys.with_row_index("row").filter(pl.col("request").is_in(late))
        for row, request, step in mine.iter_rows():
            packed = self.seen[request]
            low, high, n = packed & _MASK, (packed >> 32) & _MASK, packed >> 64
            inside = low <= step <= high
            again[row] = (inside and n == high - low + 1) or (request, step) in self.odd
            if again[row]:
                continue
            if inside or n != high - low + 1 or step not in (low - 1, high + 1):
                self.odd.add((request, step))
            self.seen[request] = _pack(min(low, step), max(high, step), n + 1)
        return again


def _in_order(keys: pl.DataFrame) -> list[tuple[int, int, int, int]] | None:
    """Where every request stands together, its steps rising, none is there twice: request, least and greatest step, how
    many, for each. None where they stand otherwise."""
    if keys.is_empty():
        return []
    request, step = keys["request"].to_numpy(), keys["step"].to_numpy()
    same = request[1:] == request[:-1]
    start = np.concatenate(([0], np.flatnonzero(~same) + 1))
    end = np.append(start[1:], len(request)) - 1
    if not ((step[1:] > step[:-1]) | ~same).all() or len(np.unique(request[start])) < len(start):
        return None
    columns = (request[start], step[start], step[end], end - start + 1)
    return list(zip(*(column.tolist() for column in columns), strict=True))


_MASK = (1 << 32) - 1


def _pack(low: int, high: int, n: int) -> int:
    """Three numbers in one, which a dictionary of many requests holds in a third of the memory."""
    return low | high << 32 | n << 64


#: What reasons compare lists with.
_TAU = pl.col("draft_token_ids").list.len().fill_null(0).cast(pl.Int64)
_VERIFIED = pl.min_horizontal(pl.coalesce("verified_len", "tau"), "tau")
_ACCEPTED = pl.coalesce("num_accepted", pl.col("output_token_ids").list.len().cast(pl.Int64) - 1)


class _Reason(NamedTuple):
    """Why a step is set aside. `column`: what it is about; without it the reason arises only where it is `absent` that counts."""

    column: str
    when: pl.Expr
    why: pl.Expr
    absent: bool = False


def _lengths(*, padded: bool) -> list[_Reason]:
    """Lists of one step that do not fit its draft, each with the numbers. `padded`: drafts may be shorter than their lists."""
    tau, verified = pl.col("tau"), pl.col("verified")
    drafted = pl.col("drafted") if padded else tau
    decided = pl.min_horizontal(pl.col("num_accepted") + 1, verified, drafted)
    whole = [tau, verified, drafted] if padded else [tau, verified]
    reasons: list[_Reason] = []
    for name in (*_PER_DRAFT, "target_probs", *_PER_TARGET):
        n = pl.col(name).list.len().cast(pl.Int64)
        fits = (n == pl.col("made")).fill_null(value=False)  # only what was tested
        for size in whole:
            fits |= n == size
            if name in _PER_TARGET:
                fits |= n == size + 1
        reasons.append(_Reason(name, ~fits, pl.format(name + " has {} entries for {} drafted tokens", n, tau)))
    n = pl.col("accepted").list.len().cast(pl.Int64)
    why = pl.format("accepted has {} entries, {} decisions were made", n, decided)
    reasons.append(_Reason("accepted", n < decided, why))
    return reasons


_NO_DRAFT = (pl.col("verified_len").fill_null(0) == 0) & (pl.col("target_probs").list.len().fill_null(0) == 0)

#: In this order: a step is set aside for the first that holds; then come those of `_lengths`.
_REASONS: list[_Reason] = [
    _Reason("request_id", pl.col("request_id").is_null(), pl.lit("request_id is missing"), absent=True),
    _Reason("step", pl.col("step").is_null(), pl.lit("step is missing"), absent=True),
    *(_Reason(n, pl.col(n) < 0, pl.format(n + " is {}, below 0", pl.col(n))) for n in _COUNTS),
    *(_Reason(n, pl.col(n) >= 2**31, pl.format(n + " is {}, beyond any count", pl.col(n))) for n in _COUNTS),
    _Reason(
        "draft_token_ids",
        pl.col("draft_token_ids").is_null() & ~_NO_DRAFT,
        pl.lit("draft_token_ids is missing"),
        absent=True,
    ),
    _Reason(
        "draft_token_ids",
        pl.col("tau") > LONGEST,
        pl.format("draft_token_ids has {} entries, more than any drafter proposes", pl.col("tau")),
    ),
]
#: Those of lists, without and with padding in the batch.
_LISTS = (_lengths(padded=False), _lengths(padded=True))
