"""Sparklines: a figure over nights in a row of a table, drawn on a true axis of days, with its words for whoever does not see it."""

from collections.abc import Sequence
from datetime import date

from markupsafe import Markup

from sdtrace.history.overview import Seen
from sdtrace.render.text import clean
from sdtrace.results.numbers import figure

WIDTH, HEIGHT, PAD = 112.0, 30.0, 4.0


def sparkline(points: Sequence[Seen], what: str, unit: str, name: str = "") -> Markup:
    """One night a point; a night without the figure, or without its service, is a gap. Nights with a fault are hollow rings."""
    known = [(date.fromisoformat(p.night).toordinal(), p.value, p.faulty) for p in points if _drawable(p.value)]
    if not known:
        return Markup('<span class="soft">not recorded</span>')
    first = min(date.fromisoformat(p.night).toordinal() for p in points)
    days = max(date.fromisoformat(points[-1].night).toordinal() - first, 1)
    values = [value or 0.0 for _, value, _ in known]
    low, high = min(values), max(values)
    # a figure that hardly moves is a level line, not noise blown up to full height
    slack = max(0.1 * abs(high), high - low, 1e-12) - (high - low)
    low, high = low - slack / 2, high + slack / 2

    def at(day: int, value: float) -> tuple[float, float]:
        x = PAD + (day - first) / days * (WIDTH - 2 * PAD) if len(known) > 1 or day > first else WIDTH / 2
        return x, HEIGHT - PAD - (value - low) / (high - low) * (HEIGHT - 2 * PAD)

    parts, run = [], list[str]()
    before: int | None = None
    for day, value, _ in known:
        if before is not None and day - before > 1:
            parts += _run(run)
            run = []
        run.append("{:.1f} {:.1f}".format(*at(day, value or 0.0)))
        before = day
    parts += _run(run)
    for day, value, bad in known:
        if bad:
            parts.append(Markup('<circle class="bad" cx="{:.1f}" cy="{:.1f}" r="2.6"/>').format(*at(day, value or 0.0)))
    if not known[-1][2]:
        parts.append(
            Markup('<circle class="now" cx="{:.1f}" cy="{:.1f}" r="2.2"/>').format(*at(known[-1][0], values[-1]))
        )
    told = words(points, what, unit, name)
    head = Markup(
        '<svg class="spark" viewBox="0 0 {:.0f} {:.0f}" width="{:.0f}" height="{:.0f}" role="img" aria-label="{}">'
    )
    return (
        head.format(WIDTH, HEIGHT, WIDTH, HEIGHT, told)
        + Markup("<title>{}</title>").format(told)
        + Markup("").join(parts)
        + Markup("</svg>")
    )


def _drawable(value: float | None) -> bool:
    return value is not None and abs(value) < 1e300


def _run(points: Sequence[str]) -> list[Markup]:
    """A stretch without a gap; a night alone is a dot."""
    if len(points) == 1:
        x, y = points[0].split()
        return [Markup('<circle class="alone" cx="{}" cy="{}" r="1.6"/>').format(x, y)]
    return [Markup('<path d="M{}"/>').format(" L".join(points))] if points else []


def words(points: Sequence[Seen], what: str, unit: str, name: str = "") -> str:
    """What the drawing shows, in a sentence; `name` is the figure's in the JSON."""
    known = [p for p in points if _drawable(p.value)]
    least, most = min(p.value or 0.0 for p in known), max(p.value or 0.0 for p in known)
    gaps = (date.fromisoformat(points[-1].night) - date.fromisoformat(points[0].night)).days + 1 - len(known)
    bad = [p.night for p in known if p.faulty]
    said = f"{what}, {len(known)} night{'' if len(known) == 1 else 's'} to {points[-1].night}: "
    said += f"{figure(least, name)} to {figure(most, name)}{unit}, last {figure(known[-1].value or 0.0, name)}{unit}"
    said += f"; {gaps} night{'' if gaps == 1 else 's'} without it" if gaps else ""
    if bad:
        said += f"; with a fault: {', '.join(bad[-3:])}" + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
    return clean(said, 400)
