"""Figures in sentences: three digits that count, never an exponent for what people read at a glance."""

#: Figures of the JSON that are means of tokens per step: two places wherever they are printed. A section declares its own.
PER_STEP = frozenset({"tokens_per_step", "expected_tokens_per_step"})


def per_step(value: float) -> str:
    """Tokens per step: `1.80`, everywhere the same."""
    return f"{value:.2f}"


def times(value: float) -> str:
    """How many times one speed or duration is another: `1.42`."""
    return f"{value:.2f}"


def figure(value: float, name: str = "") -> str:
    """`1,290`, `341`, `0.0312`: three significant digits, thousands whole; tokens per step by its `name` in the JSON: `1.80`."""
    if name in PER_STEP:
        return per_step(value)
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def ms(value: float) -> str:
    """Milliseconds: `41.6 ms`, from a second on `1.3 s`."""
    return f"{value / 1000:.3g} s" if abs(value) >= 999.5 else f"{value:.3g} ms"


def chance(value: float) -> str:
    """A probability that was estimated: never a plain 0% or 100%."""
    return "above 99%" if value > 0.99 else "below 1%" if value < 0.01 else f"{value:.0%}"
