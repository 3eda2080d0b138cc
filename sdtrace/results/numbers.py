"""Figures in sentences: three digits that count, never an exponent for what people read at a glance."""


def figure(value: float) -> str:
    """`1,290`, `341`, `0.0312`: three significant digits, thousands whole."""
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def ms(value: float) -> str:
    """Milliseconds: `41.6 ms`, from a second on `1.3 s`."""
    return f"{value / 1000:.3g} s" if abs(value) >= 999.5 else f"{value:.3g} ms"


def chance(value: float) -> str:
    """A probability that was estimated: never a plain 0% or 100%."""
    return "above 99%" if value > 0.99 else "below 1%" if value < 0.01 else f"{value:.0%}"
