"""The manual: every topic is shown, says only what there is, and a slip is answered with what was meant."""

import importlib
import re
from dataclasses import fields
from pathlib import Path

import click
import pytest

from sdtrace.checks import CHECKS
from sdtrace.cli import VERBS, run
from sdtrace.cli.help import figures
from sdtrace.limits import USUAL, Limits, option, size
from sdtrace.render import manual

TOP = Path(__file__).resolve().parents[2]
TOPICS = sorted(path.stem for path in (TOP / "templates" / "manual").glob("*.md"))


def told(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert run(["help", *args]) == 0
    return capsys.readouterr().out


def test_without_a_topic_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys)
    assert "security" in TOPICS
    for topic in TOPICS:
        assert re.search(rf"^  {topic} +[A-Z].*\.$", out, re.MULTILINE)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_is_a_page_for_a_terminal(
    topic: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = told(capsys, topic.upper())
    assert len(out.splitlines()) > 20
    assert max(map(len, out.splitlines())) <= 80
    assert not re.search(r"[{}]|\*\*|^#|\x1b", out, re.MULTILINE), "no markup is left"


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_names_only_what_there_is(topic: str) -> None:
    text = manual.page(topic, figures())
    options = {
        flag
        for verb in VERBS
        for option in importlib.import_module(f"sdtrace.cli.{verb}").command.params
        if isinstance(option, click.Option)
        for flag in option.opts
    } | {"--config", "--version", "--help"}
    assert set(re.findall(r"--[a-z][a-z-]+", text)) <= options
    for verb in re.findall(r"`sdtrace ([a-z]+)", text):
        assert verb in VERBS
    source = "".join(path.read_text() for path in (TOP / "sdtrace").rglob("*.py"))
    for name in re.findall(r"\b(?:SDTRACE|PROMETHEUS)_[A-Z_]+[A-Z]", text):
        assert name in source


def test_the_page_on_security_lists_every_limit_that_is_an_option() -> None:
    text = manual.page("security", figures())
    for one in fields(Limits):
        assert f"| {size(getattr(USUAL, one.name))}" in text
        assert f"`{option(one.name)}`" in text
    assert not re.search(r"\{\w+\}", text), "every figure is filled in"


def test_commands_and_checks_are_topics(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "report").startswith("Usage: sdtrace report [OPTIONS] INPUT...")
    assert told(capsys, CHECKS[0].code.lower()) == told(capsys, CHECKS[0].name)


@pytest.mark.parametrize(
    ("slip", "meant"),
    [("securty", "security"), ("reprot", "report"), ("lenient-acceptence", None), ("../../README", None)],
)
def test_a_slip(slip: str, meant: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help", slip]) == 2
    err = capsys.readouterr().err
    assert f"error: {slip}: no such topic" in err
    assert meant is None or f"did you mean {meant}?" in err
