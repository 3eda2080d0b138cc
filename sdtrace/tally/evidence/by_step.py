"""Accepted minus chance, step by step: sums by whatever is known before the draw, and by the engine step that rows shared.

Each slot adds d = accepted - chance, whose mean is 0 in every part of a trace that is chosen before the draw, and v, its
variance; s bounds what rounding moved. Three frames come of it, all of sums:

    slices        by rank, batch, context, hour, age of the request, draft length, graph, position
    request_sums  by request: what its line says (adapter, tag, prefix hit) is looked up in the end
    step_lanes    by engine step and position, for engine steps of lowest hash: rows of a batch that share their draws
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from sdtrace.schema.arrays import Floats, Ints
from sdtrace.tally.evidence.slots import Slots
from sdtrace.tally.evidence.sums import Tosses
from sdtrace.verify.scope import Scope

Hashes = npt.NDArray[np.uint64]

SUMS = ("n", "d", "v", "s")


def table(**columns: pl.DataType | type[pl.DataType]) -> pl.DataFrame:
    """No rows of a frame that has a run and a law."""
    return pl.DataFrame(schema={"run_id": pl.String, "law": pl.String, **columns})


NUMBERS = dict.fromkeys(SUMS, pl.Float64)
SLICES = table(by=pl.String, value=pl.String, **NUMBERS)
REQUEST_SUMS = table(request_id=pl.String, hash=pl.UInt64, **NUMBERS)
STEP_LANES = table(mix=pl.UInt64, position=pl.Int64, n=pl.Float64, d=pl.Float64, v=pl.Float64, unknown=pl.Int64)

#: Engine steps of a batch whose rows are compared; steps of a request up to which its age is told apart.
_COMPARED = 8_192
AGES = (1, 2, 4, 8, 16, 64, 256)
#: Rows that a request has on the average where its runs are not looked for.
_FEWEST = 4
#: Numbers below it have a cell each when sums are added up by them.
_SMALL = 4096
#: Positions that are told apart.
DEEPEST = 16
_MIX = np.uint64(0x9E3779B97F4A7C15)


class BySteps:
    """The sums of one scope, as its slots come in pieces."""

    def __init__(self, scope: Scope, lanes: bool) -> None:
        self._scope = scope
        self._by_step = np.zeros((len(SUMS), scope.steps.height))
        self._by_place = np.zeros((len(SUMS), DEEPEST))
        self._deep = int(scope.pos.count.max(initial=0)) > DEEPEST
        self._mix = _engine_steps(scope) if lanes else None
        self._rows: list[pl.DataFrame] = []

    def add(self, here: Slots, mine: Tosses) -> None:
        """Those of some slots."""
        at, b = mine.at, mine.chance
        if not len(at):
            return
        row, place = here.row[at], here.place[at]
        d, v = mine.hit - b, b * (1.0 - b)
        s = b * mine.spread if isinstance(mine.spread, float) else mine.spread
        first, last = int(row[0]), int(row[-1]) + 1
        near = row - first
        if self._deep:
            place = np.minimum(place, DEEPEST - 1)
        for i, values in enumerate((None, d, v, s)):
            self._by_step[i, first:last] += np.bincount(near, values, last - first)
            self._by_place[i] += np.bincount(place, values, DEEPEST)
        if self._mix is not None:
            shared = np.flatnonzero(self._mix[row] > 0)
            mixes = self._mix[row[shared]]
            self._rows.append(
                pl.DataFrame({"mix": mixes, "position": here.place[at[shared]], "row": row[shared], "d": d[shared]})
            )

    def of_block(self, row: Ints, d: Floats, spread: float) -> None:
        """Block verification has one value a step, of unknown variance: v is its square."""
        size = self._by_step.shape[1]
        for i, values in enumerate((None, d, d * d, np.full(len(d), spread / max(len(d), 1)))):
            self._by_step[i] += np.bincount(row, values, size)

    def frames(self, known: Mapping[str, pl.Series]) -> dict[str, pl.DataFrame]:
        """The frames of this module by name; `known`: what is known of every step before its draws."""
        if not self._by_step[0].any():
            return {"slices": SLICES, "request_sums": REQUEST_SUMS, "step_lanes": STEP_LANES}
        steps = self._scope.steps
        return {"slices": self._slices(known), "request_sums": self._requests(steps), "step_lanes": self._lanes()}

    def _slices(self, known: Mapping[str, pl.Series]) -> pl.DataFrame:
        at, sums = by_known(self._by_step, self._by_place, known, self._scope.steps["step"].to_numpy())
        return framed(self._scope, SLICES, at, sums)

    def _requests(self, steps: pl.DataFrame) -> pl.DataFrame:
        first, sums = by_request(steps["hash"].to_numpy(), self._by_step)
        return framed(self._scope, REQUEST_SUMS, {name: steps[name][first] for name in ("request_id", "hash")}, sums)

    def _lanes(self) -> pl.DataFrame:
        if not self._rows:
            return STEP_LANES
        strange = self._scope.steps["has_request"].is_null()
        table = pl.concat(self._rows)
        table = table.with_columns(unknown=strange[table["row"]].cast(pl.Int64))
        square = (pl.col("d") * pl.col("d")).sum()
        lanes = table.group_by("mix", "position", maintain_order=True).agg(
            n=pl.len().cast(pl.Float64), v=square, d=pl.col("d").sum(), unknown=pl.col("unknown").sum()
        )
        return self._headed(lanes).select(STEP_LANES.columns)

    def _headed(self, table: pl.DataFrame) -> pl.DataFrame:
        run = str(self._scope.steps["run_id"][0])
        return table.with_columns(run_id=pl.lit(run), law=pl.lit(self._scope.law.name))


def by_request(hashes: Hashes, sums: Floats) -> tuple[Ints, Floats]:
    """The first row of every request and the sums (k, requests) of rows (k, n). One that comes back after others may have two: merging
    tallies adds them up. Where many do, as where requests take turns, each has one."""
    begin = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1]))
    if len(begin) * _FEWEST <= len(hashes):
        return begin, np.add.reduceat(sums, begin, axis=1)
    _, first, of = np.unique(hashes, return_index=True, return_inverse=True)
    return first, np.array([np.bincount(of, row) for row in sums])


def framed(scope: Scope, like: pl.DataFrame, at: Mapping[str, pl.Series], sums: Floats) -> pl.DataFrame:
    """A frame with the columns of `like`: sums (4, rows) of the places `at` that have a slot, headed by run and law."""
    kept = np.flatnonzero(sums[0])
    columns = {name: values[kept] for name, values in at.items()}
    columns |= {name: pl.Series(row[kept]) for name, row in zip(SUMS, sums, strict=True)}
    for name, said in (("run_id", str(scope.steps["run_id"][0])), ("law", scope.law.name)):
        columns[name] = pl.Series([said]).new_from_index(0, len(kept))
    return pl.DataFrame({name: columns[name] for name in like.columns}, like.schema)


def by_known(
    by_step: Floats, by_place: Floats, known: Mapping[str, pl.Series], step: Ints
) -> tuple[dict[str, pl.Series], Floats]:
    """`by` and `value` of every slice, and the sums (k, slices): of k rows by step and by position, `by_place`."""
    by: list[str] = []
    value: list[str] = []
    parts = []
    reached = np.flatnonzero(by_place[0])
    for name, (names, sums) in (
        *((name, _by_value(by_step, values)) for name, values in known.items()),
        ("age", _by_age(by_step, step)),
        ("position", ([str(place) for place in reached], by_place[:, reached])),
    ):
        by += [name] * len(names)
        value += names
        parts.append(sums)
    return {"by": pl.Series(by, dtype=pl.String), "value": pl.Series(value, dtype=pl.String)}, np.concatenate(
        parts, axis=1
    )


def known_before(scope: Scope) -> dict[str, pl.Series]:
    """What is known of every step before its draws, beside its age, by name: small numbers or words, null where it is not recorded."""
    steps, found = scope.steps, {}
    for name, column in (("batch", "batch_size"), ("context", "context_len"), ("draft_length", "tau")):
        if not scope.absent(column):
            found[name] = octave(steps[column]) if name != "draft_length" else steps[column].clip(0, 64)
    for name in ("rank", "graph"):
        if not scope.absent(name):
            found[name] = steps[name]
    if not scope.absent("at"):
        found["hour"] = (steps["at"] / 3600.0).floor().cast(pl.Int64, strict=False)
    return found


#: A value each, and the sums (k, values) of the steps that have it.
_Sums = tuple[list[str], Floats]


def _by_age(sums: Floats, step: Ints) -> _Sums:
    """The sums by age of the step within its request. They are added up by number first: neighbours in one cell wait for each other."""
    number, ages = np.clip(step, 0, AGES[-1]), (0, *AGES)
    found = [np.add.reduceat(np.bincount(number, row, AGES[-1] + 1), ages) for row in sums]
    return [str(age) for age in ages], np.array(found)


def _by_value(sums: Floats, values: pl.Series) -> _Sums:
    """The sums of every value; most columns hold one in a whole batch."""
    if not values.null_count() and values.min() == values.max():
        return [str(values[0])], sums.sum(axis=1, keepdims=True)
    if values.dtype == pl.Int64 and not values.null_count():
        numbers = values.to_numpy()
        if numbers.min() >= 0 and numbers.max() < _SMALL:
            return _of_small(sums, numbers)
    names = [str(i) for i in range(len(sums))]
    rows = pl.DataFrame(dict(zip(names, sums, strict=True)))
    grouped = rows.group_by(values.alias("value"), maintain_order=True).sum().drop_nulls("value")
    return grouped["value"].cast(pl.String).to_list(), grouped.select(names).to_numpy().T


def _of_small(sums: Floats, values: Ints) -> _Sums:
    """The sums of every value that occurs, in their order: a cell for each number, and nothing is hashed."""
    found = np.flatnonzero(np.bincount(values))
    return [str(value) for value in found], np.array([np.bincount(values, row)[found] for row in sums])


def octave(column: pl.Series) -> pl.Series:
    """The least number of its octave: 1, 2, 3 (to 4), 5 (to 8), 9 (to 16) and so on; null stays null."""
    _, power = np.frexp(np.maximum(column.fill_null(1).to_numpy().astype(np.float64) - 1.0, 0.0))
    low = np.where(power > 0, 2 ** np.maximum(power - 1, 0) + 1, 1)
    return (
        pl.Series(low.astype(np.int64)).set(column.is_null(), None)
        if column.null_count()
        else pl.Series(low.astype(np.int64))
    )


def _engine_steps(scope: Scope) -> Hashes | None:
    """A hash of the engine step of every line, 0 where it is not compared; None where lines share none, or nobody knows.

    Lines with equal engine_step, else with equal `at`, and equal rank are rows of one batch (trace format, fine points).
    """
    steps = scope.steps
    name = "engine_step" if not scope.absent("engine_step") else "at" if not scope.absent("at") else None
    if name is None:
        return None
    known = steps[name].is_not_null().to_numpy()
    values = steps[name].fill_null(0).to_numpy()
    number = (
        values.astype(np.int64).view(np.uint64) if name == "engine_step" else values.astype(np.float64).view(np.uint64)
    )
    rank = steps["rank"].fill_null(-1).to_numpy().astype(np.int64).view(np.uint64)
    mix = _mixed(_mixed(number) + rank)
    mix[~known] = 0
    seen = np.sort(mix)
    if not (seen[1:] == seen[:-1])[seen[1:] > 0].any():
        return None
    if len(seen) > _COMPARED:
        mix[mix > seen[_COMPARED]] = 0
    return mix


def _mixed(number: Hashes) -> Hashes:
    mix = (number ^ (number >> np.uint64(31))) * _MIX
    mix ^= mix >> np.uint64(29)
    return np.asarray(np.maximum(mix * _MIX, np.uint64(1)))
