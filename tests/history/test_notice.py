"""What a team is told of a night: when, in how many lines, in which shape, and never by markup of an engine's name."""

import email
import email.policy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, get_args

import pytest

from sdtrace.cli import run
from sdtrace.cli.notices import WHENS
from sdtrace.history.alarm import Alarm
from sdtrace.history.notice import Figure, Notice, When
from sdtrace.render import notice as words
from sdtrace.results.advice import Advice
from tests.made.served import Quiet, served

#: Acceptance of seven nights; the fourth is bad.
RATES = (0.6, 0.61, 0.6, 0.02, 0.6, 0.61, 0.6)


def log(folder: Path, day: int, rate: float) -> Path:
    """Ten windows of a vLLM log: 1,000 draft tokens each, three a step."""
    file = folder / f"engine-{day}.log"
    file.write_text(
        "".join(
            f"INFO 11-0{day} 10:{minute:02d}:00 [metrics.py:101] SpecDecoding metrics: Mean acceptance length: "
            f"{1 + 3 * rate:.2f}, Accepted throughput: {rate * 100:.2f} tokens/s, Drafted throughput: 100.00 tokens/s, "
            f"Accepted: {round(rate * 999)} tokens, Drafted: 999 tokens, Per-position acceptance rate: {rate:.3f}, "
            f"{rate:.3f}, {rate:.3f}, Avg Draft acceptance rate: {rate * 100:.1f}%\n"
            for minute in range(10)
        )
    )
    return file


def night(folder: Path, day: int, rate: float, *more: str) -> int:
    date = f"2026-11-0{day}"
    return run(["nightly", str(log(folder, day, rate)), "--state", str(folder / "state"), "--night", date, "-q", *more])


@pytest.mark.slow
def test_mail_on_the_bad_night_and_on_recovery_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sent: dict[int, str] = {}
    for day, rate in enumerate(RATES, start=1):
        night(tmp_path, day, rate, "--mail", "--link", "https://host/sd/")
        told = capsys.readouterr()
        assert told.err == ""
        if told.out:
            sent[day] = told.out
    assert list(sent) == [4, 5]
    bad, good = (email.message_from_string(sent[day], policy=email.policy.default) for day in (4, 5))
    assert bad["Subject"] == "[sdtrace] SLOW: 1 new alarm, night of 2026-11-04"
    assert good["Subject"] == "[sdtrace] HEALTHY: 1 alarm closed, night of 2026-11-05"
    for message, day in ((bad, 4), (good, 5)):
        lines = message.get_content().strip().splitlines()
        assert len(lines) <= 6
        assert lines[-1] == f"https://host/sd/2026-11-0{day}.html"


@pytest.mark.slow
def test_first_nights_say_what_is_learnt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    night(tmp_path, 1, 0.6, "--mail", "--notify-on", "always")
    assert "Still learning: vllm; faults alarm at once, changes of figures after 3 nights" in capsys.readouterr().out


def test_when_is_written_twice_and_the_same() -> None:
    assert get_args(When) == WHENS


def made(**change: Any) -> Notice:
    evil = "<!here> [x](http://evil) *b* @all \x1b[31m\nSubject: forged"
    alarm = Alarm("cause:x:" + evil, "cause", "wrong", evil, "2026-11-01", evil, "advice", Advice("advice"))
    told: dict[str, Any] = {
        "opened": (alarm,),
        "closed": (),
        "active": 1,
        "known": 0,
        "figures": (Figure(evil, "a", 2.0, 0.1),),
    }
    return Notice("2026-11-02", 2, "wrong", evil, **(told | {"learning": (evil,)} | change))


def test_names_are_text_in_every_shape() -> None:
    mail = email.message_from_string(words.mail(made(), None), policy=email.policy.default)
    assert len(mail.get_all("Subject") or []) == 1
    assert "\x1b" not in words.mail(made(), None)
    slack = json.loads(words.body(made(), None, "slack"))
    assert "<!here>" not in slack["text"]
    assert {block["text"]["type"] for block in slack["blocks"]} == {"plain_text"}
    teams = json.loads(words.body(made(), "https://host/p.html", "teams"))
    card = teams["attachments"][0]["content"]
    assert "[x](" not in json.dumps(card["body"])
    assert card["actions"][0]["url"] == "https://host/p.html"
    assert json.loads(words.body(made(), None, "json"))["active"] == 1


@pytest.mark.parametrize(
    ("url", "shape"),
    [
        ("https://hooks.slack.com/services/T/B/x", "slack"),
        ("https://x.webhook.office.com/webhookb2/y", "teams"),
        ("https://prod-1.westeurope.logic.azure.com/workflows/z", "teams"),
        ("https://hooks.slack.com.evil.example/x", "json"),
        ("http://localhost:8080/hook", "json"),
    ],
)
def test_the_shape_is_that_of_the_host(url: str, shape: str) -> None:
    assert words.shape(url) == shape


@pytest.mark.parametrize(
    ("when", "change", "due"),
    [
        ("change", {}, True),
        ("change", {"opened": ()}, False),
        ("change", {"opened": (), "closed": made().opened}, True),
        ("alarm", {"opened": ()}, True),
        ("alarm", {"opened": (), "active": 0}, False),
        ("always", {"opened": (), "active": 0}, True),
    ],
)
def test_when_something_is_said(when: When, change: dict[str, Any], due: bool) -> None:
    assert made(**change).due(when) is due


@contextmanager
def hook(status: int) -> Iterator[tuple[str, list[bytes]]]:
    taken: list[bytes] = []

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.reply(b"", status)

    with served(Handler) as address:
        yield address, taken


@pytest.mark.slow
def test_a_webhook_is_posted_once_and_a_refusal_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with hook(204) as (address, taken):
        code = night(tmp_path, 1, 0.6, "--webhook", f"{address}/secret", "--notify-on", "always")
    assert code == 0
    assert [json.loads(body)["night"] for body in taken] == ["2026-11-01"]
    assert capsys.readouterr() == ("", "")
    with hook(500) as (address, _):
        code = night(tmp_path, 2, 0.6, "--webhook", f"{address}/secret", "--notify-on", "always")
    assert code == 1
    said = capsys.readouterr().err
    assert "--webhook 127.0.0.1: no answer (status 500)" in said
    assert "secret" not in said
    assert run(["nightly", str(tmp_path), "--state", str(tmp_path / "s"), "--webhook", "file:///etc/passwd"]) == 2
