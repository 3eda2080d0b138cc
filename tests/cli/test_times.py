"""Times on the command line: every unit by every word, what is refused and how it is told."""

import pytest

from sdtrace.cli import run
from sdtrace.cli.times import UNITS, moment, seconds

NOW = 2_000_000_000.0

#: Every word for a unit, as people write it after 3.
WORDS = {
    "0.003": "3ms 3 msec 3msecs 3 millisecond 3 milliseconds",
    "3": "3s 3 sec 3 secs 3second 3 seconds",
    "180": "3m 3min 3 mins 3 minute 3 minutes",
    "10800": "3h 3 hr 3hrs 3 hour 3 hours 3H 3 Hours",
    "259200": "3d 3 day 3 days",
    "1814400": "3w 3wk 3 wks 3 week 3 weeks",
}


def spellings() -> list[tuple[str, float]]:
    return [
        (f"3{gap}{word}", float(length))
        for length, words in WORDS.items()
        for word in dict.fromkeys(words.replace("3", "").split())
        for gap in ("", " ")
    ]


@pytest.mark.parametrize(("text", "length"), spellings())
def test_every_word_for_a_unit(text: str, length: float) -> None:
    assert seconds(text) == pytest.approx(length)
    assert moment(f"{text} ago", NOW) == (pytest.approx(NOW - length) if length >= 1 else None)


def test_the_table_holds_every_unit() -> None:
    assert {text.split()[1].lower() for text, _ in spellings() if " " in text} == set(UNITS)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("10 secs", NOW - 10),
        ("1 hr", NOW - 3600),
        ("90 minutes", NOW - 5400),
        ("30 min ago", NOW - 1800),
        ("1h30m", NOW - 5400),
        ("1.5 hours", NOW - 5400),
        ("1 day 2 hours", NOW - 26 * 3600),
        ("2026-11-28T10:00", 1795860000.0),
        ("2026-11-28T10:00Z", 1795860000.0),
        ("2026-11-28T11:00+01:00", 1795860000.0),
        ("2026-11-28", 1795824000.0),
        ("20261128", 1795824000.0),
        ("1795860000", 1795860000.0),
        ("12.5", 12.5),
    ],
)
def test_points_in_time(text: str, at: float) -> None:
    assert moment(text, NOW) == pytest.approx(at)


@pytest.mark.parametrize(
    "text", ["2ms", "500 milliseconds", "2M", "3 months", "1y", "h", "2 h x", "", "ago", "-2h", "nan", "inf", "1e999"]
)
def test_what_is_no_point_in_time_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert moment(text, NOW) is None
    for flag in ("--since", "--until"):
        assert run(["report", "nothing.jsonl", f"{flag}={text}"]) == 2
        told = capsys.readouterr().err
        assert told.startswith(f"error: Invalid {flag} value {text!r}\nhint: use 2h, 30m or 2026-11-28T10:00")


def test_a_slip_of_the_unit_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    run(["report", "nothing.jsonl", "--since", "2ms"])
    assert "minutes are m" in capsys.readouterr().err


@pytest.mark.parametrize(("flag", "text"), [("--for", "1x"), ("--every", "soon"), ("--every", "5M"), ("--for", "")])
def test_a_stretch_of_time_has_a_unit_that_is_known(flag: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["watch", "127.0.0.1:1", f"{flag}={text}"]) == 2
    assert capsys.readouterr().err == f"error: Invalid {flag} value {text!r}\nhint: use 60s, 5m or 2h\n"


def test_a_number_alone_is_seconds_of_a_stretch() -> None:
    assert seconds("90", bare=1.0) == 90.0
    assert seconds("90") is None
