"""Watching an engine: recorded scrapes of real servers played back, with a restart and an outage between them."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace

import pytest

from sdtrace.audit.live import Live, changes, figures
from sdtrace.cli import run
from sdtrace.schema.trace import OTHER
from tests.made.served import Quiet, served

SCRAPE = """# TYPE vllm:spec_decode_num_drafts_total counter
vllm:spec_decode_num_drafts_total{{engine="0"}} {drafts}
vllm:spec_decode_num_draft_tokens_total{{engine="0"}} {drafted}
vllm:spec_decode_num_accepted_tokens_total{{engine="0"}} {accepted}
vllm:spec_decode_num_accepted_tokens_per_pos_total{{engine="0",position="0"}} {first}
vllm:spec_decode_num_accepted_tokens_per_pos_total{{engine="0",position="1"}} {second}
vllm:generation_tokens_total{{engine="0"}} {tokens}
vllm:num_requests_running{{engine="0"}} 3
vllm:num_requests_waiting{{engine="0"}} 2
vllm:kv_cache_usage_perc{{engine="0"}} 0.25
"""


def scrape(drafts: int, first: int, second: int) -> str:
    accepted = first + second
    return SCRAPE.format(
        drafts=drafts, drafted=2 * drafts, accepted=accepted, first=first, second=second, tokens=accepted + drafts
    )


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


def test_what_changed_is_said() -> None:
    live = Live("u")
    live.take(scrape(0, 0, 0), 2e9)
    live.take(scrape(100, 80, 40), 2e9 + 30)
    before = figures(live.windows())
    other = Live("u")
    other.take(scrape(100, 80, 40), 2e9 + 30)
    other.take(scrape(200, 120, 60), 2e9 + 60)
    told = changes(figures(other.windows()), before)
    assert "acceptance down 50%, from 0.6 to 0.3" in told
    assert changes(before, before) == []


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
    assert {loss.what: loss.count for loss in read.losses} == {"a sample that is no exposition line": 1, OTHER: 4}


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
    assert "tokens per step 2.200" in out
    found = json.loads(document.read_text())
    assert found["acceptance"]["steps"] == 160
    assert found["acceptance"]["tokens_per_step"] == pytest.approx(2.2)
    assert "<h1>" in page.read_text()


def test_watch_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["watch", "127.0.0.1:9", "--every", "0.1s", "--for", "0.2s"]) == 3
    assert "no answer" in capsys.readouterr().err
    assert run(["watch", "127.0.0.1:9", "--every", "soon"]) == 2
