"""Intervals that stand in a table, drawn in it: a line from end to end with a mark at the value, on one axis a column."""

from collections.abc import Sequence

from markupsafe import Markup

from sdtrace.render.text import cell
from sdtrace.results.report import Section, Value

#: Size of a drawing, in pixels.
_WIDTH, _HEIGHT = 84, 14


def triples(section: Section) -> list[int]:
    """Columns of values that have the ends of an interval in the two columns behind them, and no chart that draws those."""
    names = section.columns
    found = [i for i in range(len(names) - 2) if names[i + 1].startswith("low") and names[i + 2].startswith("high")]
    chart = section.chart
    if chart is not None and (any(v is not None for v in chart.low) or "at least" in chart.series):
        found = found[1:]
    return [i for i in found if any(_ends(row, i) is not None for row in section.rows)]


def whiskers(section: Section) -> list[dict[int, Markup]]:
    """For each row: column -> the drawing of the interval of its value."""
    made: list[dict[int, Markup]] = [{} for _ in section.rows]
    for i in triples(section):
        ends = [_ends(row, i) for row in section.rows]
        apart = section.columns[i] == "value"  # a table of figures: each has a unit of its own
        shared = _axis([e for e in ends if e is not None])
        for told, row, one in zip(made, section.rows, ends, strict=True):
            if one is not None:
                said = [str(row[j]) if isinstance(row[j], str) else cell(section, row, j) for j in range(i, i + 3)]
                told[i] = _draw(one, said, _axis([one]) if apart else shared)
    return made


def _ends(row: Sequence[Value], i: int) -> tuple[float, float, float] | None:
    """Value, low and high as numbers; percentages count as they are printed."""
    found = []
    for end in row[i : i + 3]:
        if isinstance(end, str) and end.endswith("%"):
            end = float(end.rstrip("%")) / 100
        if isinstance(end, bool) or not isinstance(end, int | float):
            return None
        found.append(float(end))
    value, low, high = found
    return value, low, high


def _axis(ends: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    least, greatest = min(min(e) for e in ends), max(max(e) for e in ends)
    low, high = min(least, 0.0), max(greatest, 0.0)
    if least >= 0 and 0.15 < greatest <= 1.0:
        high = 1.0
    return (low, high) if high > low else (low, low + 1.0)


def _draw(ends: tuple[float, float, float], said: Sequence[str], axis: tuple[float, float]) -> Markup:
    def x(value: float) -> float:
        return 3 + (_WIDTH - 6) * (value - axis[0]) / (axis[1] - axis[0])

    value, low, high = ends
    return Markup(
        '<svg class="interval" width="{}" height="{}" viewBox="0 0 {} {}" role="img"><title>{}</title>'
        '<path d="M{:.1f} 2V12" stroke="currentColor" stroke-opacity=".3"/>'
        '<path d="M{:.1f} 7H{:.1f}" stroke="currentColor" stroke-width="1.5"/><circle cx="{:.1f}" cy="7" r="3" fill="#3b6fd4"/></svg>'
    ).format(
        _WIDTH,
        _HEIGHT,
        _WIDTH,
        _HEIGHT,
        f"{said[0]} ({said[1]} to {said[2]}, 95%)",
        x(0.0),
        x(low),
        x(high),
        x(value),
    )
