"""Watching an engine: recorded scrapes of real servers played back, with a restart and an outage between them."""

import io
import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from sdtrace.audit import live as watching
from sdtrace.audit.live import Live, by_series, changes, figures, follow, patient
from sdtrace.cli import run
from sdtrace.errors import NoInputError
from sdtrace.render.live import line, screen
from sdtrace.render.sparks import BLOCKS, spark
from tests.made.scrapes import scrape
from tests.made.served import Quiet, served


@contextmanager
def server(answers: list[str | None]) -> Iterator[str]:
    """Gives the answers in turn (None: an error), the last one for ever."""

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            self.reply((answer or "").encode(), 200 if answer is not None else 503)

    with served(Handler) as address:
        yield address.removeprefix("http://")


def test_figures_are_differences_of_counters() -> None:
    live = Live("u")
    live.take(scrape(1000, 900, 100), 2e9)
    live.take(scrape(1100, 980, 120), 2e9 + 10)
    now = figures(live.windows())
    assert now.tokens_per_step == pytest.approx(1 + 100 / 100)
    assert now.rate == pytest.approx(100 / 200)
    assert now.by_position == pytest.approx([0.8, 0.2])
    assert now.tokens_per_second == pytest.approx(200 / 10)
    assert (now.running, now.waiting, now.kv_usage) == (3, 2, 0.25)
    assert now.drafts == 100


def test_a_restart_loses_nothing_and_is_told() -> None:
    live = Live("u")
    for i, (drafts, first, second) in enumerate([(1000, 800, 400), (1100, 880, 440), (50, 20, 10), (100, 40, 20)]):
        live.take(scrape(drafts, first, second), 2e9 + i)
    assert live.restarts == [2e9 + 2]
    now = figures(live.windows())
    assert now.drafts == 200
    assert now.tokens_per_step == pytest.approx(1 + (120 + 60) / 200)


@pytest.mark.slow
def test_what_changed_is_said() -> None:
    live = Live("u")
    live.take(scrape(0, 0, 0), 2e9)
    live.take(scrape(100, 80, 40), 2e9 + 30)
    before = figures(live.windows())
    other = Live("u")
    other.take(scrape(100, 80, 40), 2e9 + 30)
    other.take(scrape(200, 120, 60), 2e9 + 60)
    told = changes(figures(other.windows()), before)
    assert "accepted of drafted down 50%, from 60.0% to 30.0%" in told
    assert changes(before, before) == []


@pytest.mark.slow
def test_many_scrapes_are_thinned_without_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sdtrace.audit.live.KEPT", 20)
    live = Live("u")
    for i in range(100):
        live.take(scrape(10 * i, 8 * i, 4 * i), 2e9 + i)
    assert len(live.scrapes) <= 20
    assert figures(live.windows()).drafts == 990


def test_every_line_of_a_scrape_is_accounted_for() -> None:
    live = Live("u")
    live.take("# HELP other x\nother 5\n" + scrape(1000, 900, 100), 2e9)
    live.take(scrape(1100, 980, 120) + 'vllm:generation_tokens_total{engine="0', 2e9 + 10)
    (read,) = live.audit().inputs
    assert (read.lines, read.records) == (23, 18)
    assert [(loss.kind, loss.what, loss.count) for loss in read.losses] == [
        ("ordinary", "a sample that is no exposition line", 1),
        ("other", "other lines, not about speculative decoding", 4),
    ]


def interrupted(monkeypatch: pytest.MonkeyPatch, pauses: int) -> None:
    """Ctrl-C at the n-th pause between scrapes; the ones before it take no time."""

    def sleep(_: float) -> None:
        nonlocal pauses
        pauses -= 1
        if pauses <= 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(
        "sdtrace.audit.live.time", SimpleNamespace(sleep=sleep, time=time.time, monotonic=time.monotonic)
    )


@pytest.mark.slow
def test_watch_ends_in_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(monkeypatch, 8)
    answers = [scrape(0, 0, 0), None, scrape(100, 80, 40), scrape(30, 24, 12), "nothing known", scrape(60, 48, 24)]
    page, document = tmp_path / "r.html", tmp_path / "r.json"
    with server(answers) as url:
        code = run(["watch", url, "-o", str(page), "--json", str(document)])
    assert code == 0
    out = capsys.readouterr().out
    assert "no answer" in out
    assert out.count("restarted") == 1
    assert "tokens per drafting step 2.20" in out
    assert "CANNOT TELL" in out or "HEALTHY" in out
    found = json.loads(document.read_text())
    assert found["acceptance"]["steps"] == 160
    assert found["acceptance"]["tokens_per_step"] == pytest.approx(2.2)
    assert "<h1>" in page.read_text()


def test_watch_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["watch", "127.0.0.1:9", "--every", "0.1s", "--for", "0.2s"]) == 3
    assert "no answer" in capsys.readouterr().err
    assert run(["watch", "127.0.0.1:9", "--every", "soon"]) == 2


def drawn(live: Live, width: int = 100) -> str:
    """The screen as text."""
    out = Console(file=io.StringIO(), width=width, color_system=None)
    out.print(screen(live, width))
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def falling(scrapes: int) -> Live:
    """A minute apart: first 1.2 accepted tokens a step, then fewer and fewer."""
    live = Live("http://h/metrics")
    first = second = 0
    for i in range(scrapes):
        first, second = first + 80 - i, second + 40 - i
        live.take(scrape(100 * (i + 1), first, second), 2e9 + 60 * i)
    return live


@pytest.mark.slow
def test_the_screen_has_a_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sdtrace.render.live.sys", SimpleNamespace(stdout=SimpleNamespace(encoding="utf-8")))
    text = drawn(falling(30))
    (row,) = [part for part in text.splitlines() if part.startswith("tokens per drafting step")]
    shape = [c for c in row if c in BLOCKS]
    assert len(shape) == 29  # what each scrape added to the one before it
    assert shape == sorted(shape, reverse=True)
    assert (shape[0], shape[-1]) == (BLOCKS[-1], BLOCKS[0])
    assert "since 03:33:20" in text
    (row,) = [part for part in drawn(falling(60), 80).splitlines() if part.startswith("tokens per drafting step")]
    assert row.rstrip()[-1] == BLOCKS[0], "on a narrow screen it is drawn in fewer cells, and ends now"
    monkeypatch.setattr("sdtrace.render.live.sys", SimpleNamespace(stdout=SimpleNamespace(encoding="ascii")))
    assert drawn(falling(30)).isascii()


@pytest.mark.slow
def test_trouble_does_not_wipe_out_what_was_seen() -> None:
    live = falling(5)
    live.error = "no answer for 5 s"
    text = drawn(live)
    assert "no answer for 5 s" in text
    assert "tokens per drafting step" in text
    assert "no answer for 5 s" in line(live)
    assert "\x1b" not in drawn(Live("http://h/\x1b[2Jmetrics", error="a\x1b[31mb"))


@pytest.mark.slow
def test_engines_stand_apart_under_the_labels_that_differ() -> None:
    live = Live("u")
    for i in (1, 2):
        live.take(scrape(100 * i, 80 * i, 20 * i) + scrape(100 * i, 20 * i, 0, engine=1), 2e9 + i)
    found = by_series(live.windows())
    assert {name: f.tokens_per_step for name, f in found.items()} == {"engine=0": 2.0, "engine=1": 1.2}
    assert "engine=1" in drawn(live)
    assert by_series(falling(3).windows()) == {}


@pytest.mark.parametrize(
    ("values", "cells", "wanted"),
    [
        ([], 8, ""),
        ([None, None], 8, ""),
        ([1, 1, 1], 8, "▅▅▅"),
        ([0, 7], 8, "▁█"),
        ([0, None, 7], 8, "▁ █"),
        ([0, 2, 6, 8], 2, "▁█"),
    ],
)
def test_sparks(values: list[float | None], cells: int, wanted: str) -> None:
    assert spark(values, cells) == wanted


def steps(live: Live, answers: list[list[str | None]], **how: bool) -> list[str | None]:
    """The trouble at each turn of a watch that gets these answers, None where one is still waited for."""
    left = iter(answers)

    def waiting(_: Callable[[], str]) -> Iterator[str | None]:
        yield from next(left)

    return [state.error for state in follow(live, str, 0.0, None if how else 0.0, waiting=waiting, **how)]


def test_a_silent_engine_is_told_while_it_is_waited_for() -> None:
    """Every five seconds: an address that swallows what it is asked says nothing for the 30 seconds that an answer may take."""
    assert watching.SILENT <= 5
    live = Live("u")
    assert steps(live, [[None, None, scrape(10, 8, 4)]], once=True) == ["no answer for 5 s", "no answer for 10 s", None]
    assert len(live.scrapes) == 1


def test_a_watch_ends_in_time_though_nobody_answers() -> None:
    with pytest.raises(NoInputError, match="no answer for 5 s"):
        steps(Live("u"), [[None] * 100])


def test_waiting_says_so_and_gives_what_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer comes only when it was said that there is none yet."""
    monkeypatch.setattr(watching, "SILENT", 0.01)
    asked = threading.Event()

    def fetch() -> str:
        assert asked.wait(60)
        return "text"

    answers = patient(fetch)
    assert next(answers) is None
    asked.set()
    assert [answer for answer in answers if answer is not None] == ["text"]

    def broken() -> str:
        raise OSError("no answer (ConnectError)")

    with pytest.raises(OSError, match="ConnectError"):
        list(patient(broken))


@pytest.mark.slow
def test_once_is_one_scrape_and_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    with server([scrape(1000, 800, 400)]) as url, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(["watch", url, "--once"]) == 0
    told = capsys.readouterr()
    assert told.out.count("tokens per drafting step 2.20") == 1
    assert "2.20 tokens per" in told.out
    assert "counts since the engine started" in " ".join(told.out.split())
    assert run(["watch", "127.0.0.1:9", "--once"]) == 3
    assert "no answer" in capsys.readouterr().err
    assert run(["watch", "127.0.0.1:9", "--once", "--for", "5s"]) == 2


@pytest.mark.slow
def test_a_file_on_standard_output_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with server([scrape(1000, 800, 400)]) as url:
        assert run(["watch", url, "--once", "--json", "-"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["acceptance"]["steps"] == 1000
    assert "tokens per drafting step 2.20" in told.err


@pytest.mark.slow
def test_the_end_of_a_watch_has_the_exit_code_of_its_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends a watch of an engine that accepts nothing: that fails where slow is to fail, and not where it is not."""
    for flag, code in (("slow", 1), ("none", 0)):
        interrupted(monkeypatch, 3)
        with server([scrape(0, 0, 0), scrape(40_000, 0, 0), scrape(80_000, 0, 0)]) as url:
            assert run(["watch", url, "--fail-on", flag]) == code


def test_a_watch_that_saw_nothing_says_so_on_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(monkeypatch, 2)
    assert run(["watch", "127.0.0.1:9"]) == 3
    told = capsys.readouterr()
    assert "no answer" in told.out
    assert "check the address" in told.err
