"""Parts of a whole as one bar, with the value and the share of each part below it: where a step's time goes."""

from markupsafe import Markup

from sdtrace.render.axes import Frame
from sdtrace.render.text import clean, number
from sdtrace.results.report import Chart

#: Told apart in print and by those who see few colours by the gaps between them, the order, and the labels.
_COLOURS = ("#3b6fd4", "#c2571a", "#4d8b31", "#8a4fbf", "#8b94a3")
#: Height of the bar and of a line of labels; room of a label.
_BAR, _LINE, _LABEL = 34, 18, 226


def stacked(chart: Chart, ident: str, frame: Frame) -> Markup:
    """The first series of the chart as one bar over the frame's width, in the order of its labels; what is missing is no part."""
    known = zip(chart.x, next(iter(chart.series.values()), []), strict=True)
    values = {name: max(value, 0.0) for name, value in known if value is not None}
    whole = sum(values.values()) or 1.0
    wide = frame.width - 2
    across = max(wide // _LABEL, 1)
    height = _BAR + _LINE * -(-len(values) // across) + 8
    parts = [
        Markup(
            '<svg viewBox="0 0 {} {}" width="100%" role="img" aria-labelledby="{}-t" font-family="system-ui, sans-serif"'
            ' font-size="12" fill="currentColor">'
        ).format(frame.width, height, ident)
    ]
    x = 1.0
    for i, (name, value) in enumerate(values.items()):
        share, colour = value / whole, _COLOURS[i % len(_COLOURS)]
        said = f"{clean(name, 40)}: {number(value)} {chart.y_title}, {share:.1%}"
        parts.append(
            Markup('<rect x="{:.1f}" y="1" width="{:.1f}" height="{}" fill="{}">{}</rect>').format(
                x, max(share * wide - 1.5, 0.5), _BAR - 4, colour, frame.hint(said)
            )
        )
        if share * wide > 44:
            parts.append(
                Markup('<text x="{:.1f}" y="20" text-anchor="middle" fill="#fff" font-weight="600">{}</text>').format(
                    x + share * wide / 2, f"{share:.0%}"
                )
            )
        left, top = 1 + (i % across) * _LABEL, _BAR + _LINE * (i // across) + 4
        parts.append(Markup('<rect x="{}" y="{}" width="10" height="10" fill="{}"/>').format(left, top, colour))
        parts.append(Markup('<text x="{}" y="{}">{}</text>').format(left + 16, top + 9, said))
        x += share * wide
    return Markup("").join([*parts, Markup("</svg>")])
