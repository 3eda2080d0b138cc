"""The audit on many machines: Ray carries the inputs to workers and tallies back; nothing of our own moves data.

One task an input, tallies added up by tasks in the shape of `gathered`, so that the report is that of one machine to the
last bit. A task is known by its input: one that is lost with its worker is run again, and counts once.
"""

import contextlib
import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from sdtrace.audit.audit import Audit, Keep, Span, audit, gathered, heads_of
from sdtrace.audit.opened import OpenInput
from sdtrace.audit.parts import Parts
from sdtrace.audit.parts import together as followed
from sdtrace.audit.seen_steps import RepeatedSteps
from sdtrace.errors import MissingExtraError, UsageError
from sdtrace.responses.texts import merged
from sdtrace.results.check import Check
from sdtrace.schema.run import Run
from sdtrace.tally.ordered_merge import Gathered
from sdtrace.tally.tally import Tally, merge
from sdtrace.verify.rulings import Rulings

#: How often a task is run again whose worker was lost.
RETRIES = 4
#: A worker is one core: Ray decides how many there are.
_ONE_CORE = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}


class Ray:
    """A cluster: the one at `address`, or a local one of all cores. Use it in place of `audit`."""

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        try:
            self._ray: Any = importlib.import_module("ray")
        except ImportError as error:
            raise MissingExtraError("--engine ray: Ray is not installed", "pip install 'sdtrace[ray]'") from error
        options: dict[str, Any] = {"log_to_driver": False, "runtime_env": {"env_vars": _ONE_CORE}}
        if address is None:
            options |= {"num_cpus": workers, "include_dashboard": False}
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
        try:
            self._ray.init(address=address, logging_level="error", ignore_reinit_error=True, **options)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UsageError(
                f"--address {address}: {error}"[:300], "ray://HOST:10001, or HOST:6379 on the head node"
            ) from error
        self._audit = self._ray.remote(num_cpus=1, num_returns=2, max_retries=RETRIES)(_one)
        self._merge = self._ray.remote(num_cpus=1, max_retries=RETRIES)(_added)

    def audit(
        self,
        sources: Sequence[OpenInput],
        checks: Sequence[Check],
        keep: Keep | None = None,
        rulings: Rulings | None = None,
        span: Span = (None, None),
    ) -> Audit:
        """As `audit.audit`. Inputs must be readable by every worker under the same path."""
        get, cwd = self._ray.get, os.getcwd()
        given = self._ray.put((checks, keep, dict(rulings or {}), span, cwd))
        refs = [self._audit.remote(source, given, None) for source in sources]
        parts: list[Audit] = get([part for part, _ in refs])
        tallies = [tally for _, tally in refs]
        before = _before(parts)
        told = {i for i, part in enumerate(parts) if len(parts) > 1 and _elsewhere(part, before[i])}
        if told:
            heads = heads_of(parts)
            for i in told:
                again = self._ray.put(replace(_empty(heads), runs=before[i]))
                part, tallies[i] = self._audit.remote(sources[i], given, again)
                parts[i] = replace(get(part), requests=parts[i].requests)
        total: Gathered[Any] = Gathered(lambda group: self._merge.remote(*group))
        for number, tally in enumerate(tallies):
            total.put(number, [tally])
        return _together(parts, get(total.total()), checks)


def _one(source: OpenInput, given: Any, before: Audit | None) -> tuple[Audit, Tally]:
    """One input on a worker: what it held, and its tally."""
    checks, keep, rulings, span, cwd = given
    with contextlib.suppress(OSError):
        os.chdir(cwd)  # paths are relative to where the command was given
    found = audit([source], checks, keep, rulings, span, before, Parts())
    return replace(found, tally=Tally()), found.tally


def _added(*tallies: Tally) -> Tally:
    return merge(tallies)


def _before(parts: Sequence[Audit]) -> list[dict[str, Run]]:
    """The run lines that stood in the inputs before each."""
    runs: dict[str, Run] = {}
    found = []
    for part in parts:
        found.append(dict(runs))
        runs |= part.runs
    return found


def _elsewhere(part: Audit, before: Mapping[str, Run]) -> bool:
    """Whether steps of this input may belong to request or run lines of another one."""
    return part.unknown_requests > 0 or any(
        run not in part.runs or part.runs[run] != line for run, line in before.items()
    )


def _empty(heads: pl.DataFrame) -> Audit:
    return Audit(Tally(), [], {}, heads, 0)


def _together(parts: Sequence[Audit], tally: Tally, checks: Sequence[Check]) -> Audit:
    windows, judged = gathered(parts, checks)
    runs: dict[str, Run] = {}
    for part in parts:
        runs |= part.runs
    repeated = RepeatedSteps()
    for part in parts:
        if part.repeated is not None:
            repeated.add(part.repeated, "")
    return Audit(
        tally,
        [i for part in parts for i in part.inputs],
        runs,
        heads_of(parts),
        sum(part.unknown_requests for part in parts),
        windows,
        [e for part in parts for e in part.events],
        judged,
        merged([part.texts for part in parts]),
        repeated=repeated.rows,
        parts=followed(part.parts for part in parts) if len(parts) > 1 else None,
    )
