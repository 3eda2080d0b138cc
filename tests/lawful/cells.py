"""The cells of the table variant x law x level x rounding, and what a report says of one."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from sdtrace.simulate import LEVELS, VARIANTS, Settings, Variant
from tests.power.judge import accusations, at_level, made

DTYPES = ("float32", "bfloat16", "float16", "decimals:4", "decimals:3", "float64")


@dataclass(frozen=True)
class Cell:
    """One lawful trace; `seed` 0 is the first of many."""

    variant: str
    law: str
    level: str
    dtype: str
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.variant}, {self.law}, {self.level}, {self.dtype}, seed {self.seed}"


def dtypes(variant: Variant) -> tuple[str, ...]:
    """The precisions that a variant goes with."""
    return variant.dtypes or DTYPES


def cells() -> list[Cell]:
    """Every cell, in a fixed order."""
    found = []
    for name, variant in VARIANTS.items():
        found += [Cell(name, law, level, dtype) for law, level, dtype in product(variant.laws, LEVELS, dtypes(variant))]
    return found


def sampled(count: int, seed: int) -> list[Cell]:
    """`count` cells, every variant and level among them as evenly as may be: level, law and rounding walk with the seed."""
    found, number = [], seed
    for name in VARIANTS:
        variant = VARIANTS[name]
        for _ in range(max(1, count // len(VARIANTS))):
            law, level = variant.laws[number % len(variant.laws)], LEVELS[(number // 2) % len(LEVELS)]
            found.append(Cell(name, law, level, dtypes(variant)[(number // 3) % len(dtypes(variant))], number))
            number += 1
    return found


def sweep(seeds: int) -> Iterator[Cell]:
    """variant x level x seed; law and rounding walk with the seed."""
    for seed, (name, variant), level in product(range(seeds), VARIANTS.items(), LEVELS):
        number = seed + LEVELS.index(level)
        known = dtypes(variant)
        yield Cell(name, variant.laws[number % len(variant.laws)], level, known[number % len(known)], seed)


def accused(cell: Cell, tested: int, vocab: int = 128) -> tuple[str, ...]:
    """Causes of side wrong or metric that are more than suspected, with the checks that fired for them."""
    settings = Settings(
        "healthy", None, cell.law, tested, vocab, 4, cell.dtype, "rows", 7000 + cell.seed, variant=cell.variant
    )
    if cell.level != "rows":
        settings = Settings(**{**settings.__dict__, "level": "draws"})
    fault = VARIANTS[cell.variant].record_fault
    return accusations(at_level(made(settings), cell.level, cell.law), record_fault=fault)
