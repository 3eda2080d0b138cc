"""Inline SVG from a Chart: drawn once for a wide page and once for a phone, coloured by attributes, titled for readers."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup, escape

from sdtrace.render.text import clean, number
from sdtrace.results.report import Chart

#: Points of a series that are drawn; more are thinned, keeping the least and the greatest of each stretch.
POINTS = 320
#: Beyond that a scale is no number any more (figures of damaged inputs come to that): such a value is a gap.
_LARGEST = 1e300
_COLOURS = ("#3b6fd4", "#c2571a", "#4d8b31", "#8a4fbf")


@dataclass(frozen=True)
class _Frame:
    width: int
    height: int
    left: int = 52
    right: int = 12
    top: int = 14
    bottom: int = 44

    def x(self, share: float) -> float:
        return self.left + share * (self.width - self.left - self.right)

    def y(self, share: float) -> float:
        return self.height - self.bottom - share * (self.height - self.top - self.bottom)


def svg(chart: Chart, title: str, sentence: str, ident: str) -> Markup:
    """Two drawings of the chart, of which the page shows one by its width."""
    series = {name: _drawable(values) for name, values in chart.series.items()}
    chart = replace(chart, series=series, low=_drawable(chart.low), high=_drawable(chart.high))
    wide = _draw(chart, title, sentence, f"{ident}-wide", _Frame(720, 260))
    narrow = _draw(chart, title, sentence, f"{ident}-narrow", _Frame(340, 230, left=44))
    return Markup('<div class="wide">{}</div><div class="narrow">{}</div>').format(wide, narrow)


def _drawable(values: Sequence[float | None]) -> list[float | None]:
    return [value if value is not None and abs(value) < _LARGEST else None for value in values]


def _draw(chart: Chart, title: str, sentence: str, ident: str, frame: _Frame) -> Markup:
    top = _top(
        [v for values in chart.series.values() for v in values if v is not None]
        + [v for v in chart.high if v is not None]
    )
    parts = [
        Markup(
            '<svg viewBox="0 0 {} {}" width="100%" role="img" aria-labelledby="{}-t {}-d" font-family="system-ui, sans-serif"'
            ' font-size="11" fill="currentColor"><title id="{}-t">{}</title><desc id="{}-d">{}</desc>'
        ).format(frame.width, frame.height, ident, ident, ident, clean(title), ident, clean(sentence, 600))
    ]
    parts += _axes(chart, frame, top)
    if chart.kind == "bars":
        parts += _bars(chart, frame, top) + _whiskers(chart, frame, top, range(len(chart.x)))
    else:
        parts += _band(chart, frame, top) + _line(chart, frame, top)
    parts += _marks(chart, frame)
    parts += _legend(chart, frame)
    return Markup("").join([*parts, Markup("</svg>")])


def _top(values: Sequence[float]) -> float:
    """The end of the axis: 1 for rates, otherwise a round number above the greatest value."""
    greatest = max(values, default=1.0)
    if 0.15 < greatest <= 1.0:
        return 1.0
    step = 10.0 ** (len(str(int(greatest))) - 1) if greatest >= 1 else 0.05
    return max(step * (int(greatest / step) + 1), 1e-9)


def _axes(chart: Chart, frame: _Frame, top: float) -> list[Markup]:
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = frame.y(share)
        parts.append(
            Markup(
                '<line x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}" stroke="currentColor" stroke-opacity="0.15"/>'
            ).format(frame.left, frame.width - frame.right, y, y)
        )
        parts.append(
            Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
                frame.left - 6, y + 4, number(share * top)
            )
        )
    parts.append(
        Markup('<text x="{:.1f}" y="{}" text-anchor="middle" fill-opacity="0.75">{}</text>').format(
            frame.x(0.5), frame.height - 6, clean(chart.x_title, 60)
        )
    )
    labels = [_label(text) for text in chart.x]
    for i in range(0, len(labels), _every(labels, frame)):
        parts.append(
            Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
                _place(chart, frame, i), frame.height - frame.bottom + 16, labels[i]
            )
        )
    return parts


def _label(text: str, limit: int = 14) -> str:
    shown = clean(text)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}\u2026"


def _every(labels: Sequence[str], frame: _Frame) -> int:
    """Every how many labels one has room, at about 7 units a character and a gap of two."""
    room = (frame.width - frame.left - frame.right) / max(len(labels), 1)
    return max(1, math.ceil((7 * max(map(len, labels), default=1) + 14) / room))


def _place(chart: Chart, frame: _Frame, i: int) -> float:
    n = len(chart.x)
    return frame.x((i + 0.5) / n) if chart.kind == "bars" else frame.x(i / max(n - 1, 1))


def _bars(chart: Chart, frame: _Frame, top: float) -> list[Markup]:
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
                Markup(
                    '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" ' + paint + "><title>{}</title></rect>"
                ).format(
                    _place(chart, frame, i) + shift - width / 2,
                    y,
                    max(width - 1.5, 1.0),
                    max(zero - y, 0.5),
                    _COLOURS[k % len(_COLOURS)],
                    f"{clean(name, 40)}, {clean(chart.x[i], 40)}: {number(value)}",
                )
            )
    return parts


def _line(chart: Chart, frame: _Frame, top: float) -> list[Markup]:
    parts = []
    for k, values in enumerate(chart.series.values()):
        run: list[str] = []
        for i in _thin(values):
            value = values[i]
            if value is None:
                parts += _path(run, k)
                run = []
            else:
                run.append(f"{_place(chart, frame, i):.1f} {frame.y(min(value / top, 1.0)):.1f}")
        parts += _path(run, k)
    return parts


def _intervals(chart: Chart) -> dict[int, tuple[float, float]]:
    """Point -> ends of its interval, for points that have both."""
    both = enumerate(zip(chart.low, chart.high, strict=True))
    return {i: (low, high) for i, (low, high) in both if low is not None and high is not None}


def _whiskers(chart: Chart, frame: _Frame, top: float, points: Iterable[int]) -> list[Markup]:
    """Intervals as upright lines with ends, over the bars of the first series."""
    intervals, parts = _intervals(chart), []
    slot = (frame.width - frame.left - frame.right) / max(len(chart.x), 1)
    shift = -(len(chart.series) - 1) / 2 * min(slot * 0.7 / max(len(chart.series), 1), 56.0)
    cap = min(slot * 0.12, 5.0)
    for i in points:
        if i not in intervals:
            continue
        low, high = intervals[i]
        x = _place(chart, frame, i) + (shift if chart.kind == "bars" else 0.0)
        bottom, peak = (frame.y(min(max(end, 0.0) / top, 1.0)) for end in (low, high))
        parts.append(
            Markup(
                '<path d="M{0:.1f} {3:.1f} H{1:.1f} M{2:.1f} {3:.1f} V{4:.1f} M{0:.1f} {4:.1f} H{1:.1f}" fill="none"'
                ' stroke="currentColor" stroke-width="1.2"><title>{5}</title></path>'
            ).format(
                x - cap, x + cap, x, peak, bottom, f"{clean(chart.x[i], 40)}: {number(low)} to {number(high)} (95%)"
            )
        )
    return parts


def _band(chart: Chart, frame: _Frame, top: float) -> list[Markup]:
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
        points = (f"{_place(chart, frame, i):.1f} {frame.y(min(max(v, 0.0) / top, 1.0)):.1f}" for i, v in edge)
        parts.append(
            Markup('<path d="M{} Z" fill="{}" fill-opacity="0.18"><title>95% interval</title></path>').format(
                " L".join(points), _COLOURS[0]
            )
        )
    return parts


def _marks(chart: Chart, frame: _Frame) -> list[Markup]:
    line = Markup(
        '<line x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2:.1f}" stroke="currentColor" stroke-opacity="0.6"'
        ' stroke-dasharray="2 3"><title>{3}</title></line><text x="{0:.1f}" y="{4:.1f}" text-anchor="middle">&#9660;</text>'
    )
    low, high = frame.y(0.0), frame.y(1.0)
    return [
        line.format(_place(chart, frame, i), high, low, f"changed: {clean(chart.x[i], 40)}", high + 2)
        for i in chart.marks
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


def _legend(chart: Chart, frame: _Frame) -> list[Markup]:
    parts: list[Markup] = []
    x = float(frame.left)
    for k, name in enumerate(chart.series if len(chart.series) > 1 else ()):
        colour = _COLOURS[k % len(_COLOURS)]
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
