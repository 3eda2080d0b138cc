"""The frames of the tally: keys and sums of each, declared once with type, unit, meaning and how two of them merge.

A column that is not declared here cannot be added up: `merge` refuses it, so that a new maximum is never summed in silence.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import polars as pl

Merge = Literal["key", "sum", "min", "max", "first", "union"]
STR, INT, FLOAT, HASH, FLAG = pl.String(), pl.Int64(), pl.Float64(), pl.UInt64(), pl.Boolean()


@dataclass(frozen=True)
class Summed:
    """One column: its polars type, how rows of one key merge, its unit ("" where it has none) and what it means."""

    dtype: pl.DataType
    merge: Merge
    unit: str
    meaning: str


@dataclass(frozen=True)
class Frame:
    """The columns of a frame. `bounded`: the order of which the first REQUESTS rows are kept; `timed`: a key is a stretch of time."""

    columns: Mapping[str, Summed]
    bounded: tuple[str, ...] = ()
    timed: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(name for name, column in self.columns.items() if column.merge == "key")

    @cached_property
    def empty(self) -> pl.DataFrame:
        """No rows, keys only."""
        return pl.DataFrame(schema={name: self.columns[name].dtype for name in self.keys})


def _key(dtype: pl.DataType, meaning: str, unit: str = "") -> Summed:
    return Summed(dtype, "key", unit, meaning)


def _sum(meaning: str, unit: str = "", dtype: pl.DataType = FLOAT) -> Summed:
    return Summed(dtype, "sum", unit, meaning)


def _count(meaning: str) -> Summed:
    return _sum(meaning, dtype=INT)


_RUN_LAW = {"run_id": _key(STR, "run"), "law": _key(STR, "law that its decisions were held to")}
_HASH = {"hash": Summed(HASH, "min", "", "hash of the request id, the same in every process")}
_SPAN = {
    "first_at": Summed(FLOAT, "min", "s", "time of the first step"),
    "last_at": Summed(FLOAT, "max", "s", "time of the last step"),
}
_DECIDED = {
    "tested": _sum("positions at which a decision was made", "tokens"),
    "accepted": _sum("accepted tokens", "tokens"),
    "disagree": _sum("decisions that contradict the law", "tokens"),
    "expected": _sum("chances of acceptance where they are known", "tokens"),
}
_COUNTS = {
    "drafted": _count("drafted tokens"),
    "verified": _count("drafted tokens that were verified"),
    "drafting": _count("steps with a draft"),
    "plain": _count("steps without a draft"),
    "prefill": _count("plain first steps of a request"),
    "appended": _count("tokens appended, where that is recorded"),
    "known_appended": _count("steps of which it is recorded, idle ones aside"),
    "idle": _count("steps that append nothing by design"),
    "counted": _count("steps of which the accepted tokens are known"),
    "drafted_counted": _count("drafted tokens of those steps"),
    "drafting_counted": _count("those of them with a draft"),
    **_DECIDED,
    "judged": _sum("decisions that the law was held to", "tokens"),
    "undecidable": _sum("tested positions that the record does not decide", "tokens"),
    "expected_n": _sum("tested positions whose chance of acceptance is known", "tokens"),
    "observed": _sum("accepted ones of them", "tokens"),
    "variance": _sum("chance (1 - chance) of them", "tokens^2"),
}
_FOUR = {
    "n": _sum("slots"),
    "d": _sum("accepted minus chance"),
    "v": _sum("variance of d"),
    "s": _sum("how far rounding can have moved d"),
}
_SLICE = {"by": _key(STR, "what is known before the draw"), "value": _key(STR, "its value")}
_QUANTITY = {"quantity": _key(STR, "emitted, leaning, drafted or alone: tokens, whose d is a value minus its mean")}
_TIMES = {
    "w": _sum("engine steps with a wall time: 1 / (requests in the step) a line", "steps"),
    "timed": _sum("lines with a wall time"),
    "timed_tokens": _sum("tokens appended by those lines", "tokens"),
    "wt": _sum("wall time of engine steps", "ms"),
    "wd": _sum("drafting in it", "ms"),
    "wv": _sum("verifying in it", "ms"),
    "ws": _sum("sampling in it", "ms"),
    "wh": _sum("what its parts overlap", "ms"),
    "wn": _sum("tokens of the target's pass", "tokens"),
    "has_d": _sum("engine steps whose drafting time is recorded", "steps"),
    "has_v": _sum("engine steps whose verifying time is recorded", "steps"),
    "has_s": _sum("engine steps whose sampling time is recorded", "steps"),
}
_PASS = {
    "wnn": _sum("squares of the tokens of the target's pass", "tokens^2"),
    "wnv": _sum("tokens of the pass times its verifying time", "tokens ms"),
}
#: Positions that are counted one by one in `places`; deeper ones together.
DEPTH = 8
#: Cells of a statistic's row, and alternatives that are bet on.
BINS, BETS = 10, 10

FRAMES: dict[str, Frame] = {
    "laws": Frame({
        **_RUN_LAW,
        "source": _key(STR, "declared, candidate or doubted"),
        "steps": _count("steps"),
        "loglik": _sum("log-likelihood of the decisions under the law", "nats"),
        "with_uniform": _count("tested positions with a recorded draw"),
        "with_target": _count("tested positions with a recorded target probability"),
        **_SPAN,
        **_COUNTS,
    }),
    "positions": Frame({
        **_RUN_LAW,
        "position": _key(INT, "place in the draft, from 0"),
        "verified": _sum("steps that verify this position", "steps"),
        **_DECIDED,
        "expected_n": _sum("tested positions whose chance of acceptance is known", "tokens"),
    }),
    "checks": Frame({
        **_RUN_LAW,
        "code": _key(STR, "check"),
        "total": _count("rows in its scope"),
        "examined": _count("rows that it could judge"),
        "faults": _count("faulty rows"),
        "missing": Summed(STR, "union", "", "columns that held no value where the check would have looked"),
    }),
    "requests": Frame({
        "run_id": _RUN_LAW["run_id"],
        "request_id": _key(STR, "request"),
        "law": _RUN_LAW["law"],
        **_HASH,
        "steps": _count("steps"),
        "first_path": Summed(STR, "first", "", "input of its first line"),
        "first_line": Summed(INT, "first", "", "its first line"),
        "min_step": Summed(INT, "min", "", "its lowest step number"),
        "max_step": Summed(INT, "max", "", "its highest step number"),
        "stop_step": Summed(INT, "min", "", "first step with a stop token"),
        **_SPAN,
        "most": Summed(INT, "max", "tokens", "longest draft"),
        **_COUNTS,
        "one_hot": _count("tested positions with a one-hot target"),
        "flat": _count("tested positions with a flat target"),
        "entropies": _count("tested positions with a recorded entropy"),
        "uniform_p": _count("tested positions with p = 1 / vocabulary"),
        "one_hot_run": Summed(INT, "max", "tokens", "longest run of one-hot rows"),
        "loop_run": Summed(INT, "max", "tokens", "longest repeated stretch of ids"),
        "loop_period": Summed(INT, "first", "tokens", "its period"),
        "loop_seen": _count("ids that were looked at"),
        "grams": _count("stretches of ids"),
        "distinct": _count("different ones of them"),
    }, bounded=("hash",)),
    "evidence": Frame({
        **_RUN_LAW,
        "code": _key(STR, "statistic"),
        "exact": _key(FLAG, "whether the variance is known, or estimated by squares"),
        "n": _FOUR["n"], "d": _sum("value minus its mean under the law"), "v": _FOUR["v"],
        "k": _sum("third moment of d"),
        "s": _FOUR["s"],
        **{f"{name}{i}": _sum(f"{name} of cell {i}") for name in "dvs" for i in range(BINS)},
        **{f"e{i}": _sum(f"log wealth of bet {i}", "nats") for i in range(BETS)},
    }),
    "lanes": Frame({
        **_RUN_LAW,
        "step": _key(INT, "step of the request"),
        "position": _key(INT, "place in the draft"),
        **{name: _FOUR[name] for name in "ndv"},
        "unknown": _count("slots of requests without a line: they may share a user seed"),
    }),
    "slices": Frame({**_RUN_LAW, **_SLICE, **_FOUR}),
    "request_sums": Frame(
        {"run_id": _RUN_LAW["run_id"], "request_id": _key(STR, "request"), "law": _RUN_LAW["law"], **_HASH, **_FOUR},
        bounded=("hash",),
    ),
    "token_slices": Frame({**_RUN_LAW, **_QUANTITY, **_SLICE, **_FOUR}),
    "token_sums": Frame({**_RUN_LAW, **_QUANTITY, "request_id": _key(STR, "request"), **_HASH, **_FOUR}, bounded=("hash",)),
    "step_lanes": Frame({
        **_RUN_LAW,
        "mix": _key(HASH, "hash of the engine step"),
        "position": _key(INT, "place in the draft"),
        **{name: _FOUR[name] for name in "ndv"},
        "unknown": _count("slots of requests without a line: they may share a user seed"),
    }, bounded=("mix", "position")),
    "timeline": Frame({
        "law": _RUN_LAW["law"],
        "bucket": _key(INT, "stretch of time, or of lines where no time is recorded"),
        "steps": _count("steps"),
        **{name: _COUNTS[name] for name in ("drafted", "drafting", "appended")},
        **_DECIDED,
    }, timed=True),
    "cost": Frame({
        "run_id": _RUN_LAW["run_id"],
        "graph": _key(STR, "name of the captured graph"),
        "prefill": _key(INT, "1 for the step that makes a request's first token"),
        "b": _key(FLOAT, "requests in the engine step, exact to 32", "requests"),
        "n": _key(FLOAT, "tokens of the target's pass, exact to 128", "tokens"),
        "k": _key(INT, "drafted tokens of the line", "tokens"),
        "wt2": _sum("squares of the wall time", "ms^2"),
        "wc": _sum("context", "tokens"),
        "has_c": _sum("engine steps whose context is recorded", "steps"),
        "wp": _sum("engine steps in which nobody drafts", "steps"),
        "wm": _sum("wall time of engine steps with prefill tokens in them", "ms"),
        "first_path": Summed(STR, "first", "", "input of the first such line"),
        "first_line": Summed(INT, "first", "", "that line"),
        **_TIMES,
    }),
    "places": Frame({
        "run_id": _RUN_LAW["run_id"],
        "request_id": _key(STR, "request"),
        "context": _key(INT, "octave of the context length", "tokens"),
        "batch": _key(INT, "octave of the requests in the step", "requests"),
        "graph": _key(STR, "name of the captured graph"),
        "rank": _key(INT, "data-parallel rank"),
        "age": _key(INT, "power of four of the step number"),
        **_HASH,
        "lines": _sum("lines"),
        "first_path": Summed(STR, "first", "", "input of its first line"),
        "first_line": Summed(INT, "first", "", "its first line"),
        "first_step": Summed(INT, "first", "", "its first step"),
        **_SPAN,
        "drafting": _sum("lines with a draft"),
        "drafted": _sum("drafted tokens", "tokens"),
        "tested": _DECIDED["tested"],
        "accepted": _DECIDED["accepted"],
        "tokens": _sum("tokens appended", "tokens"),
        "padded": _sum("positions that the longest draft of the engine step adds to the pass", "tokens"),
        "wb": _sum("engine steps times their requests", "requests"),
        **_PASS,
        "gap": _sum("time between engine steps", "ms"),
        "gaps": _sum("lines of which it is known"),
        "long_gap": _sum("that time where it is a wait", "ms"),
        **_TIMES,
        **{f"v{j}": _sum(f"lines that verify position {j}") for j in range(DEPTH)},
        **{f"a{j}": _sum(f"lines that accept position {j}") for j in range(DEPTH)},
        f"v{DEPTH}": _sum("deeper verified positions"),
        f"a{DEPTH}": _sum("deeper accepted positions"),
    }),
    "blocks": Frame({
        "run_id": _RUN_LAW["run_id"],
        "bucket": _key(INT, "stretch of time, or of lines where no time is recorded"),
        "lines": _sum("lines"),
        "tested": _DECIDED["tested"],
        "accepted": _DECIDED["accepted"],
        **_PASS,
        **_TIMES,
    }, timed=True),
    "affected": Frame({
        **_RUN_LAW,
        "code": _key(STR, "check that fired"),
        "hash": _key(HASH, "hash of the request id"),
        "steps": _count("steps with the fault"),
        "appended": _count("tokens that they appended"),
        **_SPAN,
    }, bounded=("hash",)),
    "margins": Frame({
        **_RUN_LAW,
        "side": _key(STR, "accepted, rejected or recovered"),
        "cell": _key(INT, "cell of the margin |ln r - ln p/q|"),
        "wrong": _count("contradictions"),
        "near": _count("decisions with a draw that could be told"),
    }),
    "digits": Frame({
        **_RUN_LAW,
        "wrong": _count("contradictions, where probabilities are rounded to decimals"),
        "left": _count("those of them that are left where decimals were cut off, not rounded"),
    }),
}  # fmt: skip


def rules(name: str, columns: list[str]) -> Iterator[pl.Expr]:
    """How columns of a frame merge. Raises KeyError for one that is not declared: what it means is not known."""
    declared = FRAMES[name].columns
    for column in columns:
        if (how := declared[column].merge) != "key":
            yield _MERGES[how](pl.col(column))


def _union(column: pl.Expr) -> pl.Expr:
    return column.filter(column != "").unique(maintain_order=True).str.join(",")


_MERGES = {"sum": pl.Expr.sum, "min": pl.Expr.min, "max": pl.Expr.max, "first": pl.Expr.first, "union": _union}
