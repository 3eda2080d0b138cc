"""Inline SVG from a Chart: drawn once for a wide page and once for a phone, coloured by attributes, titled for readers."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from markupsafe import Markup, escape

from sdtrace.render.axes import Frame, along, axes, place, told, top_of
from sdtrace.render.stack import stacked
from sdtrace.render.text import clean
from sdtrace.results.report import Chart

#: Points of a series that are drawn; more are thinned, keeping the least and the greatest of each stretch.
POINTS = 320
#: Points of a line that show their value under a pointer.
HOVERED = 130
#: Beyond that a scale is no number any more (figures of damaged inputs come to that): such a value is a gap.
_LARGEST = 1e300
#: Series that are for the better or the worse: one colour each, on every chart.
_MEANING = {"gain": "#1f7a4d", "loss": "#b3261e"}
_COLOURS = ("#3b6fd4", "#c2571a", "#4d8b31", "#8a4fbf")


def svg(chart: Chart, ident: str) -> Markup:
    """Two drawings of the chart, of which the page shows one by its width; the heading `ident`-t names both."""
    series = {name: _drawable(values) for name, values in chart.series.items()}
    chart = replace(chart, series=series, low=_drawable(chart.low), high=_drawable(chart.high))
    draw = stacked if chart.kind == "stack" else _draw
    wide = draw(chart, ident, Frame(720, 260))
    narrow = draw(chart, ident, Frame(340, 230, left=56, hints=False))
    return Markup('<div class="wide">{}</div><div class="narrow">{}</div>').format(wide, narrow)


def _drawable(values: Sequence[float | None]) -> list[float | None]:
    return [value if value is not None and abs(value) < _LARGEST else None for value in values]


def _draw(chart: Chart, ident: str, frame: Frame) -> Markup:
    top = top_of(
        [v for values in chart.series.values() for v in values if v is not None]
        + [v for v in chart.high if v is not None]
    )
    parts = [
        Markup(
            '<svg viewBox="0 0 {} {}" width="100%" role="img" aria-labelledby="{}-t" font-family="system-ui, sans-serif"'
            ' font-size="11" fill="currentColor">'
        ).format(frame.width, frame.height, ident)
    ]
    parts += _shade(chart, frame) + axes(chart, frame, top)
    if chart.kind == "bars":
        parts += _bars(chart, frame, top) + _whiskers(chart, frame, top, range(len(chart.x)))
    else:
        parts += _band(chart, frame, top) + _line(chart, frame, top)
    parts += _marks(chart, frame)
    parts += _legend(chart, frame)
    return Markup("").join([*parts, Markup("</svg>")])


def _bars(chart: Chart, frame: Frame, top: float) -> list[Markup]:
    parts = []
    slot = (frame.width - frame.left - frame.right) / max(len(chart.x), 1)
    width = min(slot * 0.7 / max(len(chart.series), 1), 56.0)
    for k, (name, values) in enumerate(chart.series.items()):
        shift = (k - (len(chart.series) - 1) / 2) * width
        for i, value in enumerate(values):
            if value is None:
                continue
            y, zero = frame.y(min(value / top, 1.0)), frame.y(0.0)
            # the second series is hollow, so that the two differ without colour
            paint = 'fill="{}"' if k == 0 else 'fill="none" stroke-width="1.5" stroke="{}"'
            parts.append(
                Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" ' + paint + ">{}</rect>").format(
                    place(chart, frame, i) + shift - width / 2,
                    y,
                    max(width - 1.5, 1.0),
                    max(zero - y, 0.5),
                    _MEANING.get(name, _COLOURS[k % len(_COLOURS)]),
                    frame.hint(f"{clean(name, 40)}, {clean(chart.x[i], 40)}: {told(chart, value)}"),
                )
            )
    return parts


def _line(chart: Chart, frame: Frame, top: float) -> list[Markup]:
    parts = []
    for k, values in enumerate(chart.series.values()):
        run: list[str] = []
        wide, before = _gap(chart), None
        for i in _thin(values):
            value = values[i]
            if value is None or (before is not None and chart.at and chart.at[i] - chart.at[before] > wide):
                parts += _path(run, k)
                run = []
            before = i
            if value is not None:
                run.append(f"{place(chart, frame, i):.1f} {frame.y(min(value / top, 1.0)):.1f}")
        parts += _path(run, k)
    return parts + _hover(chart, frame, top)


def _gap(chart: Chart) -> float:
    """The distance of two points beyond which nothing was recorded between them: four times the usual one."""
    apart = sorted(b - a for a, b in zip(chart.at, chart.at[1:], strict=False))
    return 4.0 * apart[len(apart) // 2] if apart else 0.0


def _hover(chart: Chart, frame: Frame, top: float) -> list[Markup]:
    """An unseen circle on each point with its values, where a pointer shows them; not where points stand too close."""
    if len(chart.x) > HOVERED or not frame.hints:
        return []
    parts = []
    for i, label in enumerate(chart.x):
        known = [(name, values[i]) for name, values in chart.series.items() if values[i] is not None]
        for _, value in known[:1]:
            values_of = ", ".join(f"{clean(n, 40)} {told(chart, v)}" for n, v in known)
            parts.append(
                Markup('<circle cx="{:.1f}" cy="{:.1f}" r="5" fill="transparent"><title>{}</title></circle>').format(
                    place(chart, frame, i), frame.y(min((value or 0.0) / top, 1.0)), f"{clean(label, 40)}: {values_of}"
                )
            )
    return parts


def _intervals(chart: Chart) -> dict[int, tuple[float, float]]:
    """Point -> ends of its interval, for points that have both."""
    both = enumerate(zip(chart.low, chart.high, strict=True))
    return {i: (low, high) for i, (low, high) in both if low is not None and high is not None}


def _whiskers(chart: Chart, frame: Frame, top: float, points: Iterable[int]) -> list[Markup]:
    """Intervals as upright lines with ends, over the bars of the first series."""
    intervals, parts = _intervals(chart), []
    slot = (frame.width - frame.left - frame.right) / max(len(chart.x), 1)
    shift = -(len(chart.series) - 1) / 2 * min(slot * 0.7 / max(len(chart.series), 1), 56.0)
    cap = min(slot * 0.12, 5.0)
    for i in points:
        if i not in intervals:
            continue
        low, high = intervals[i]
        x = place(chart, frame, i) + (shift if chart.kind == "bars" else 0.0)
        bottom, peak = (frame.y(min(max(end, 0.0) / top, 1.0)) for end in (low, high))
        parts.append(
            Markup(
                '<path d="M{0:.1f} {3:.1f} H{1:.1f} M{2:.1f} {3:.1f} V{4:.1f} M{0:.1f} {4:.1f} H{1:.1f}" fill="none"'
                ' stroke="currentColor" stroke-width="1.2">{5}</path>'
            ).format(
                x - cap,
                x + cap,
                x,
                peak,
                bottom,
                frame.hint(f"{clean(chart.x[i], 40)}: {told(chart, low)} to {told(chart, high)} (95%)"),
            )
        )
    return parts


def _band(chart: Chart, frame: Frame, top: float) -> list[Markup]:
    """Intervals along a line as a shade behind it; a point without neighbours has a whisker."""
    intervals, parts = _intervals(chart), []
    runs: list[list[int]] = [[]]
    for i in _thin(next(iter(chart.series.values()), [])):
        if i in intervals:
            runs[-1].append(i)
        elif runs[-1]:
            runs.append([])
    for run in runs:
        if len(run) < 2:
            parts += _whiskers(chart, frame, top, run)
            continue
        edge = [(i, intervals[i][1]) for i in run] + [(i, intervals[i][0]) for i in reversed(run)]
        points = (f"{place(chart, frame, i):.1f} {frame.y(min(max(v, 0.0) / top, 1.0)):.1f}" for i, v in edge)
        parts.append(
            Markup('<path d="M{} Z" fill="{}" fill-opacity="0.18">{}</path>').format(
                " L".join(points), _COLOURS[0], frame.hint("95% interval")
            )
        )
    return parts


def _marks(chart: Chart, frame: Frame) -> list[Markup]:
    line = Markup(
        '<line x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2:.1f}" stroke="currentColor" stroke-opacity="0.6"'
        ' stroke-dasharray="2 3">{3}</line><text x="{0:.1f}" y="{4:.1f}" text-anchor="middle">&#9660;</text>'
    )
    low, high = frame.y(0.0), frame.y(1.0)
    marks = [(place(chart, frame, i), f"changed: {clean(chart.x[i], 40)}") for i in chart.marks]
    marks += [(along(chart, frame, at), clean(what, 120)) for at, what in chart.notes]
    return [line.format(x, high, low, frame.hint(what), high + 2) for x, what in marks]


def _shade(chart: Chart, frame: Frame) -> list[Markup]:
    if chart.shade is None:
        return []
    begin, end = (along(chart, frame, at) for at in chart.shade)
    return [
        Markup(
            '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="#b3261e" fill-opacity="0.12">{}</rect>'
        ).format(begin, frame.y(1.0), max(end - begin, 2.0), frame.y(0.0) - frame.y(1.0), frame.hint("incident"))
    ]


def _path(run: list[str], k: int) -> list[Markup]:
    if not run:
        return []
    if len(run) == 1:
        x, y = run[0].split()
        return [Markup('<circle cx="{}" cy="{}" r="2" fill="{}"/>').format(x, y, _COLOURS[k % len(_COLOURS)])]
    dash = "" if k == 0 else "5 3"
    return [
        Markup('<path d="M{}" fill="none" stroke="{}" stroke-width="1.8" stroke-dasharray="{}"/>').format(
            " L".join(run), _COLOURS[k % len(_COLOURS)], dash or "none"
        )
    ]


def _thin(values: Sequence[float | None]) -> list[int]:
    if len(values) <= POINTS:
        return list(range(len(values)))
    size, kept = -(-len(values) // (POINTS // 2)), set()
    for start in range(0, len(values), size):
        known = [i for i in range(start, min(start + size, len(values))) if values[i] is not None]
        kept |= (
            {min(known, key=lambda i: values[i] or 0.0), max(known, key=lambda i: values[i] or 0.0)}
            if known
            else {start}
        )
    return sorted(kept)


def _legend(chart: Chart, frame: Frame) -> list[Markup]:
    parts: list[Markup] = []
    x = float(frame.left)
    for k, name in enumerate(chart.series if len(chart.series) > 1 else ()):
        colour = _MEANING.get(name, _COLOURS[k % len(_COLOURS)])
        fill = colour if k == 0 else "none"
        parts.append(
            Markup('<rect x="{:.0f}" y="1" width="9" height="9" fill="{}" stroke="{}"/>').format(x, fill, colour)
        )
        parts.append(Markup('<text x="{:.0f}" y="10">{}</text>').format(x + 14, escape(clean(name, 30))))
        x += 28 + 6.2 * len(clean(name, 30))
    if _intervals(chart):
        shape = "M{0:.0f} 1 h8 m-4 0 v9 m-4 0 h8" if chart.kind == "bars" else "M{0:.0f} 1 h9 v9 h-9 Z"
        paint = (
            'fill="none" stroke="currentColor"' if chart.kind == "bars" else f'fill="{_COLOURS[0]}" fill-opacity="0.18"'
        )
        parts.append(Markup(f'<path d="{shape}" {paint}/>').format(x))
        parts.append(Markup('<text x="{:.0f}" y="10">95% interval</text>').format(x + 14))
    return parts
