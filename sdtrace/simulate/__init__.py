"""Made traces of format 1 with one planted fault, or none: for drills and for measuring the checks. SYNTHETIC.

    for batch in simulate(Settings(fault="draft-top-k", tested=10_000)):
        ...

Rows over the vocabulary are peaked as a language model's are (Zipf's law with an exponent of each position's own), the
drafter's are a flattened and noisy copy whose quality belongs to the request, and everything follows from the seed.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import polars as pl

from sdtrace.errors import UsageError, nearest
from sdtrace.schema.trace import Batch, conform, empty
from sdtrace.simulate.engine import play
from sdtrace.simulate.fault import Fault
from sdtrace.simulate.faults import FAULTS as _WHOLE
from sdtrace.simulate.record import requests, run_line, steps
from sdtrace.simulate.settings import LAWS, LEVELS, Settings
from sdtrace.simulate.sliced import PARTS, SLICED, rows_of, written
from sdtrace.simulate.variant import Variant
from sdtrace.simulate.variants import VARIANTS
from sdtrace.simulate.world import World, draft, lengths, make

__all__ = ["FAULTS", "LAWS", "LEVELS", "PARTS", "VARIANTS", "Fault", "Settings", "Variant", "simulate"]

FAULTS = {**_WHOLE, **SLICED}

#: Cells of one piece of the world (steps x positions x tokens) that are held at a time.
_CELLS = 6_000_000


def simulate(
    settings: Settings, make: Callable[[Settings, list[int], int, np.random.Generator], World] = make
) -> Iterator[Batch]:
    """Batches of a trace. Raises UsageError where fault and law do not go together, or a setting is out of range.

    `make` is the world of some requests, given their steps and the number of the first: see `sdtrace.simulate.world.make`.
    """
    fault, variant = _fault(settings), _variant(settings)
    part = PARTS.get(fault.only)
    strength = fault.strength if settings.strength is None else settings.strength
    law = settings.law or next((name for name in variant.laws if name in fault.laws), fault.laws[0])
    rng = np.random.default_rng([settings.seed, 4711])
    size = max(1, _CELLS // (settings.vocab * (settings.tau + 1)))
    line, done, first = 1, 0, 0
    shared = rng.random((512, settings.tau), dtype=np.float32)
    head = run_line(settings, law)
    yield _batch(0, pl.DataFrame([variant.run(head) if variant.run else head]), None, None)
    while done < settings.tested:
        count = lengths(rng, settings, first, size, settings.tested - done)
        world = make(settings, count, first, rng)
        world.shared = shared
        if variant.remake:
            variant.remake(world)
        inside = part.inside(world) if part else None
        rows_of(fault, world, strength, inside)
        if variant.play is None:
            draft(world, law)
        outcome = variant.play(world) if variant.play else play(world, law, fault, strength, inside)
        frame = steps(settings, law, variant.shown(world) if variant.shown else world, outcome)
        frame = written(fault, frame, strength, rng, inside)
        if part:
            frame = part.steps(frame)
        if variant.steps:
            frame = variant.steps(frame, rng)
        asked = requests(settings, law, frame)
        if fault.ask:
            asked = fault.ask(asked)
        if part:
            asked = part.requests(asked)
        if variant.requests:
            asked = variant.requests(asked, rng)
        if variant.lost:
            frame = variant.lost(frame, rng)
        frame = frame.with_columns(line=pl.int_range(line, line + frame.height, dtype=pl.Int64))
        line += frame.height
        done += int(outcome.tested.sum())
        first += len(count)
        yield _batch(frame.height, None, asked, frame)


def _fault(settings: Settings) -> Fault:
    fault = FAULTS.get(settings.fault)
    if fault is None:
        raise UsageError(
            f"{settings.fault}: no such fault",
            nearest(settings.fault, FAULTS, "sdtrace simulate --list names them all"),
        )
    if settings.law is not None and settings.law not in fault.laws:
        raise UsageError(
            f"{settings.fault} cannot be planted under the {settings.law} law", f"it goes with {', '.join(fault.laws)}"
        )
    if settings.only:
        if settings.only not in PARTS:
            hint = nearest(settings.only, PARTS, "sdtrace simulate --list names them all")
            raise UsageError(f"{settings.only}: no such part of the traffic", hint)
        fault = replace(fault, only=settings.only)
    if settings.vocab < 8 or settings.tau < 1 or settings.tested < 1:
        raise UsageError(
            "the trace would be empty", "a vocabulary of at least 8, a draft of at least 1, a size of at least 1"
        )
    return fault


def _variant(settings: Settings) -> Variant:
    if not settings.variant:
        return Variant("", LAWS)
    variant = VARIANTS.get(settings.variant)
    if variant is None:
        raise UsageError(
            f"{settings.variant}: no such variant",
            nearest(settings.variant, VARIANTS, "sdtrace simulate --list names them all"),
        )
    if settings.law is not None and settings.law not in variant.laws:
        raise UsageError(
            f"{settings.variant} does not go with the {settings.law} law", f"it goes with {', '.join(variant.laws)}"
        )
    return variant


def _batch(lines: int, runs: pl.DataFrame | None, asked: pl.DataFrame | None, made: pl.DataFrame | None) -> Batch:
    run = empty("run") if runs is None else conform(runs, "run")
    request = empty("request") if asked is None else conform(asked, "request")
    step = empty("step") if made is None else conform(made, "step", extra=("line",))
    return Batch("simulated", lines + run.height + request.height, run, request, step)
