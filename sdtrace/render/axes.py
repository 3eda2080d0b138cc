"""Frames and axes of a chart: where a point stands, round ends, ticks at round times of day that do not run into each other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sdtrace.render.text import clean, exact, number
from sdtrace.results.clock import formatted
from sdtrace.results.report import Chart

#: Distances between ticks of a clock, seconds.
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
#: Units that one letter of a label takes.
_LETTER = 7


@dataclass(frozen=True)
class Frame:
    width: int
    height: int
    left: int = 64
    right: int = 12
    top: int = 14
    bottom: int = 44
    hints: bool = True  #: whether parts have titles, which a pointer shows: a phone has none

    def hint(self, text: str) -> Markup:
        return Markup("<title>{}</title>").format(text) if self.hints else Markup("")

    def x(self, share: float) -> float:
        return self.left + share * (self.width - self.left - self.right)

    def y(self, share: float) -> float:
        return self.height - self.bottom - share * (self.height - self.top - self.bottom)


def top_of(values: Sequence[float]) -> float:
    """The end of the axis: 1 for rates, otherwise a round number above the greatest value, with whole ticks for counts."""
    greatest = max(values, default=1.0)
    if greatest > 1.0 and all(value == int(value) for value in values):
        unit = 4.0 * 10.0 ** max(len(str(int(greatest))) - 2, 0)
        return unit * math.ceil(greatest / unit)
    if 0.15 < greatest <= 1.0:
        return 1.0
    step = 10.0 ** (len(str(int(greatest))) - 1) if greatest >= 1 else 0.05
    return max(step * (int(greatest / step) + 1), 1e-9)


def told(chart: Chart, value: float | None, digits: int = 3) -> str:
    """A value of the upright axis: a share as a percentage."""
    if value is None or not chart.share:
        return number(value, digits)
    return f"{number(round(100 * value, 2), digits)}%"


def axes(chart: Chart, frame: Frame, top: float) -> list[Markup]:
    parts = []
    if chart.y_title:
        upright = Markup(
            '<text x="11" y="{0:.0f}" text-anchor="middle" fill-opacity="0.75" transform="rotate(-90 11 {0:.0f})">{1}</text>'
        )
        parts.append(upright.format(frame.y(0.5), _label(chart.y_title, 34)))
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = frame.y(share)
        parts.append(
            Markup(
                '<line x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}" stroke="currentColor" stroke-opacity="0.15"/>'
            ).format(frame.left, frame.width - frame.right, y, y)
        )
        parts.append(
            Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
                frame.left - 6, y + 4, told(chart, share * top, 4)
            )
        )
    parts.append(
        Markup('<text x="{:.1f}" y="{}" text-anchor="middle" fill-opacity="0.75">{}</text>').format(
            frame.x(0.5), frame.height - 6, _title(chart)
        )
    )
    if chart.at:
        return parts + _ticks(chart, frame)
    labels = [_label(text) for text in chart.x]
    for i in range(0, len(labels), _every(labels, frame)):
        x = place(chart, frame, i)
        anchor = "end" if x + _LETTER * len(labels[i]) / 2 > frame.width else "middle"
        parts.append(
            Markup('<text x="{:.1f}" y="{}" text-anchor="{}">{}</text>').format(
                x if anchor == "middle" else frame.width - 1, frame.height - frame.bottom + 16, anchor, labels[i]
            )
        )
    return parts


def _label(text: str, limit: int = 14) -> str:
    shown = clean(text)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}\u2026"


def _every(labels: Sequence[str], frame: Frame) -> int:
    """Every how many labels one has room, at about 7 units a character and a gap of two."""
    room = (frame.width - frame.left - frame.right) / max(len(labels), 1)
    return max(1, math.ceil((7 * max(map(len, labels), default=1) + 14) / room))


def _title(chart: Chart) -> str:
    """The name of the axis; of a clock with its day or days."""
    if chart.axis != "clock" or not chart.at:
        return clean(chart.x_title, 60)
    days = [formatted(at, "%Y-%m-%d") for at in (chart.at[0], chart.at[-1])]
    return f"time (UTC), {days[0]}" + (f" to {days[1]}" if days[1] != days[0] else "")


def ticks(start: float, end: float, most: int) -> list[tuple[float, str]]:
    """At most `most` round moments of an axis in seconds, from `start` to `end`, with their times of day."""
    step = next((s for s in _STEPS if (end - start) / s <= most), None)
    while step is None or (end - start) / step > most:
        step = 86400 if step is None else 2 * step
    form = "%H:%M:%S" if step < 60 else "%H:%M" if step < 86400 else "%m-%d"
    first = math.ceil(start / step) * step
    count = int((end - first) / step) + 1 if end >= first else 0
    return [(first + i * step, formatted(first + i * step, form)) for i in range(min(count, most + 1))]


def _ticks(chart: Chart, frame: Frame) -> list[Markup]:
    room = max(int((frame.width - frame.left - frame.right) / (8 * _LETTER + 14)), 2)
    start, end = chart.at[0], chart.at[-1]
    if chart.axis == "clock":
        shown = ticks(start, end, room) or [(start, formatted(start, "%H:%M:%S"))]
    else:
        shown = [(start + i * (end - start) / 4, exact(round(start + i * (end - start) / 4, 1))) for i in range(5)]
    parts, taken = [], -math.inf
    for at, label in shown:
        x = along(chart, frame, at)
        anchor = "start" if x < frame.left + 20 else "end" if x > frame.width - frame.right - 20 else "middle"
        wide = _LETTER * len(label)
        begins = x - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
        if begins < taken + _LETTER:  # one that would run into the label before it is left out
            continue
        taken = begins + wide
        parts.append(
            Markup('<text x="{:.1f}" y="{}" text-anchor="{}">{}</text>').format(
                x, frame.height - frame.bottom + 16, anchor, label
            )
        )
    return parts


def along(chart: Chart, frame: Frame, at: float) -> float:
    """Where a moment stands on a true axis."""
    start, end = chart.at[0], chart.at[-1]
    return frame.x(min(max((at - start) / (end - start), 0.0), 1.0) if end > start else 0.5)


def place(chart: Chart, frame: Frame, i: int) -> float:
    """Where a point stands: on the true axis where there is one, else side by side."""
    n = len(chart.x)
    if chart.at:
        return along(chart, frame, chart.at[i])
    return frame.x((i + 0.5) / n) if chart.kind == "bars" else frame.x(i / max(n - 1, 1))
