"""Charts: an interval that a chart carries is drawn, in the scale of its axis, and named."""

import re
import xml.etree.ElementTree as ET

import pytest

from sdtrace.render.charts import POINTS, svg
from sdtrace.render.text import lean
from sdtrace.results.report import Chart, Section

SVG = "{http://www.w3.org/2000/svg}"


def drawn(chart: Chart) -> ET.Element:
    """The wide drawing, as a tree."""
    text = str(svg(chart, "c")).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    return next(ET.fromstring(f"<div>{text}</div>").iter(f"{SVG}svg"))


def titled(root: ET.Element, part: str) -> list[tuple[str, str]]:
    """(title, path) of every path whose title holds `part`."""
    found = []
    for path in root.iter(f"{SVG}path"):
        title = path.findtext(f"{SVG}title") or ""
        if part in title:
            found.append((title, path.get("d", "")))
    return found


def words(root: ET.Element) -> list[str]:
    return [text.text or "" for text in root.iter(f"{SVG}text")]


def heights(path: str) -> list[float]:
    """Every y of M and L in a path, in order."""
    return [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", path)]


def test_a_bar_has_a_whisker_from_end_to_end() -> None:
    chart = Chart("bars", "x", "y", ["a", "b", "c"], {"rate": [0.5, 0.8, None]}, [0.25, None, None], [1.0, 0.9, None])
    found = titled(drawn(chart), "(95%)")
    assert [title for title, _ in found] == ["a: 0.25 to 1 (95%)"], "both ends or none"
    low, high = 260 - 44 - 0.25 * 202, 260 - 44 - 202.0
    assert heights(found[0][1]) == pytest.approx([high, high, low], abs=0.1)
    assert "95% interval" in words(drawn(chart))


def test_a_line_has_a_band_and_a_gap_where_nothing_is_known() -> None:
    values: list[float | None] = [0.5, 0.5, None, 0.5, None, 0.5, 0.5, 0.5]
    low, high = [v and v / 2 for v in values], [v and v * 2 for v in values]
    root = drawn(Chart("line", "x", "y", list("abcdefgh"), {"rate": values}, low, high))
    bands, whiskers = titled(root, "95% interval"), titled(root, "(95%)")
    assert [len(heights(path)) for _, path in bands] == [4, 6]
    assert [title for title, _ in whiskers] == ["d: 0.25 to 1 (95%)"], "a point without neighbours"


def test_a_band_over_more_points_than_are_drawn_is_thinned_with_its_line() -> None:
    n = POINTS * 4
    values: list[float | None] = [0.5 + 0.3 * (i % 7 == 0) for i in range(n)]
    low: list[float | None] = [0.1] * n
    high: list[float | None] = [0.9] * n
    [(_, path)] = titled(drawn(Chart("line", "x", "y", [str(i) for i in range(n)], {"v": values}, low, high)), "95%")
    assert len(heights(path)) <= 2 * POINTS


@pytest.mark.parametrize("kind", ["bars", "line"])
def test_without_intervals_nothing_speaks_of_them(kind: str) -> None:
    root = drawn(Chart(kind, "x", "y", ["a", "b"], {"one": [1.0, 2.0], "two": [2.0, 1.0]}))
    assert titled(root, "95%") == []
    assert words(root)[-2:] == ["one", "two"]


@pytest.mark.parametrize("odd", [float("inf"), -float("inf"), float("nan"), 1.7e308, -1.7e308])
@pytest.mark.parametrize("kind", ["bars", "line"])
def test_what_has_no_place_on_an_axis_is_a_gap(kind: str, odd: float) -> None:
    x = ["a", "b", "c"]
    ends: list[float | None] = [0.25, odd, 0.5]
    text = str(svg(Chart(kind, "x", "y", x, {"rate": [0.5, 3.0, odd], "s": [odd] * 3}, ends, ends), "c"))
    assert "nan" not in text
    assert "inf" not in text
    assert drawn(Chart(kind, "x", "y", x, {"rate": [odd] * 3}, [odd] * 3, [odd] * 3)) is not None


def test_a_phone_has_no_pointer() -> None:
    """What a pointer shows stands in one of the two drawings, and in the table below both."""
    chart = Chart("bars", "x", "y", ["a", "b"], {"rate": [0.5, 0.25]}, [0.4, 0.2], [0.6, 0.3], notes=[], shade=None)
    wide, narrow = str(svg(chart, "c")).split('<div class="narrow">')
    assert (wide.count("<title>"), narrow.count("<title>")) == (4, 0)


@pytest.mark.parametrize(("points", "kind", "kept"), [(1, "line", False), (2, "line", True), (1, "bars", True)])
def test_a_line_of_one_point_is_its_sentence(points: int, kind: str, kept: bool) -> None:
    x = [str(i) for i in range(points)]
    chart = Chart(kind, "x", "y", x, {"v": [0.5] * points})
    assert (lean(Section("s", "S", "One.", ["x"], [[n] for n in x], chart)).chart is not None) == kept


def test_parts_of_a_whole_are_one_bar() -> None:
    """As wide as the drawing together, each with its value and share; what is missing is no part."""
    chart = Chart("stack", "part", "ms", ["draft", "verify", "sample"], {"ms": [30.0, 10.0, None]})
    for part in str(svg(chart, "c")).split('<div class="narrow">'):
        bars = [float(w) for w in re.findall(r'y="1" width="([\d.]+)"', part)]
        assert len(bars) == 2
        assert bars[0] / bars[1] == pytest.approx(3, abs=0.05)
        assert re.findall(r">([^<>]*: [^<>]*)</text>", part) == ["draft: 30 ms, 75.0%", "verify: 10 ms, 25.0%"]
