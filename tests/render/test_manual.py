"""The manual: every topic is shown, says only what there is, and a slip is answered with what was meant."""

import importlib
import json
import re
import shlex
import shutil
from dataclasses import fields
from functools import cache
from pathlib import Path

import click
import pytest

from sdtrace.checks import CHECKS
from sdtrace.cli import VERBS, group, run
from sdtrace.cli.help import command as help_command
from sdtrace.cli.help import figures, pages
from sdtrace.limits import USUAL, Limits, option, size
from sdtrace.readers.registry import registered
from sdtrace.render import manual, site
from sdtrace.render.pages import Page
from sdtrace.results.cause_words import WORDS
from sdtrace.verify.laws import LAWS

TOP = Path(__file__).resolve().parents[2]
TOPICS = sorted(path.stem for path in (TOP / "templates" / "manual").glob("*.md"))


def told(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert run(["help", *args]) == 0
    return capsys.readouterr().out


def test_without_a_topic_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys)
    assert "security" in TOPICS
    for topic in TOPICS:
        assert re.search(rf"^  {topic} +[A-Z].*", out, re.MULTILINE)


@pytest.mark.one_of(12)
@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_is_a_page_for_a_terminal(
    topic: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = told(capsys, topic.upper())
    assert len(out.splitlines()) > 7
    code = {f"    {line}" for line in re.findall(r"^    (.*)", manual.page(topic, figures()), re.MULTILINE)}
    fenced = {
        f"    {line}"
        for part in re.findall(r"```\w*\n(.*?)```", manual.page(topic, figures()), re.DOTALL)
        for line in part.splitlines()
    }
    assert max(len(line) for line in out.splitlines() if line not in code | fenced) <= 80
    assert not re.search(r"\{[a-z_]+\}|\*\*|^#|\x1b", out, re.MULTILINE), "no markup is left"


def options_of(verb: str) -> set[str]:
    known = importlib.import_module(f"sdtrace.cli.{verb}").command.params
    return {flag for option in known if isinstance(option, click.Option) for flag in option.opts} | {"--help"}


@cache
def source() -> str:
    """All of the package's text."""
    return "".join(path.read_text() for path in (TOP / "sdtrace").rglob("*.py"))


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_names_only_what_there_is(topic: str) -> None:
    text = manual.page(topic, figures())
    for command in re.findall(r"(?:`|^    |\| )sdtrace ([a-z]+[^`\n]*)", text, re.MULTILINE):
        verb, *rest = command.split()
        assert verb in VERBS, command
        assert set(re.findall(r"(?<!\w)--?[a-z][a-z-]*", " ".join(rest).partition("||")[0])) <= options_of(verb), (
            command
        )
    for name in re.findall(r"\b(?:SDTRACE|PROMETHEUS)_[A-Z_]+[A-Z]", text):
        verb, _, option = name.removeprefix("SDTRACE_").lower().partition("_")
        assert name in source() or f"--{option.replace('_', '-')}" in options_of(verb), name


#: What a command of a page needs that a test has not: an engine, a model, a cluster, a machine's own folders.
ELSEWHERE = re.compile(r"sample_logs|https?://|s3://|prometheus://|--verifier|--engine ray|/var/|\[")


def commands() -> dict[str, list[str]]:
    """Every command of the pages that needs no more than files -> the pages that it stands on."""
    found: dict[str, list[str]] = {}
    for topic in TOPICS:
        for line in re.findall(r"^    (sdtrace .*)", manual.page(topic, figures()), re.MULTILINE):
            if not ELSEWHERE.search(line):
                found.setdefault(line, []).append(topic)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the pages speak of."""
    made = tmp_path_factory.mktemp("pages")
    samples = TOP / "sample_logs"
    shutil.copy(next((samples / "engines").glob("vllm*.log")), made / "engine.log")
    (made / "trace").mkdir()
    shutil.copy(samples / "transformers-greedy.jsonl.gz", made / "trace")
    draft = {"numDraftTokens": 24, "numAcceptedTokens": 13, "numRequestsWithDraftTokens": 8, "acceptanceLength": 2.625}
    iterations = [
        {"iter": i, "iterLatencyMS": 41.9, "numActiveRequests": 8, "specDecodingStats": draft} for i in range(60)
    ]
    (made / "metrics.json").write_text(json.dumps(iterations))
    shutil.copy(samples / "engines" / "vllm-responses.jsonl", made / "responses.jsonl")
    shutil.copy(samples / "profiles" / "transformers-assisted.json.gz", made / "profile.json.gz")
    return made


@pytest.mark.slow
def test_every_command_of_the_pages_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(commands()) > 8
    monkeypatch.chdir(folder)
    log = (folder / "engine.log").read_text()
    for number in range(1, 6):
        (folder / "night.log").write_text(log.replace("INFO 11-", f"INFO 0{number}-"))
        assert run(["nightly", "night.log", "--state", "STATE", "--night", f"2026-11-0{number}", "-q"]) in (0, 1)
    for command in commands():
        words = shlex.split(command.replace("--service chat", "--service vllm").replace("ID", "code-100"))[1:]
        code = run(words)
        assert code in (0, 1), (command, code, capsys.readouterr().err)


def test_the_page_on_security_lists_every_limit_that_is_an_option() -> None:
    text = manual.page("security", figures())
    for one in fields(Limits):
        assert f"| {size(getattr(USUAL, one.name))}" in text
        assert f"`{option(one.name)}`" in text
    assert not re.search(r"\{\w+\}", text), "every figure is filled in"


def test_commands_and_checks_are_topics(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "report").startswith("Usage: sdtrace report [OPTIONS] INPUT...")
    assert told(capsys, CHECKS[0].code.lower()) == told(capsys, CHECKS[0].name)


@pytest.mark.slow
def test_everything_that_has_a_name_has_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    """One look at all of them; one of each kind as it is shown."""
    ctx = click.Context(help_command, parent=click.Context(group))
    known = {name: page.markdown for page in pages(ctx) for name in (page.name, page.also)}
    kinds = WORDS, LAWS, registered(), VERBS, [check.name for check in CHECKS]
    for name in (name for names in kinds for name in names):
        assert len(known[name.lower()]) > 40, name
    for names in kinds:
        assert len(told(capsys, list(names)[-1])) > 40


@pytest.mark.one_of(12)
@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("SD204", "residual"),
        ("lenient-acceptance", "threshold"),
        ("block", "longest prefix"),
        ("vllm-log", "SpecDecoding metrics"),
        ("start-sglang", "--speculative-algorithm"),
        ("start-llama-cpp", "-lv 4"),
        ("start-tensorrt-llm", "enable_iter_perf_stats"),
        ("start-transformers", "recording("),
        ("recording", "SDTRACE_RECORD"),
        ("exit-codes", "no input"),
        ("nightly", "--retention"),
        ("boards", "SpeculationStopped"),
        ("reading-a-report", "Accepted of tested"),
        ("statistics", "e-BH"),
        ("formats", "Parquet"),
        ("responses", "n_probs"),
        ("security", "Threat model"),
        ("contributing", "entry-point"),
        ("troubleshooting", "missing-extra"),
        ("probe", "--against"),
        ("api", "report.verdict.state"),
    ],
)
def test_questions(question: str, answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer in told(capsys, question)


@pytest.mark.slow
def test_the_site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every page is there, every link leads to one, nothing is loaded, and what is searched is what the pages say."""
    assert run(["manual", "-o", str(tmp_path / "site")]) == 0
    there = {path.name: path.read_text() for path in (tmp_path / "site").iterdir()}
    assert len(there) == int(re.findall(r"(\d+) pages", capsys.readouterr().out)[0]) + 1
    for name, page in there.items():
        assert set(re.findall(r'href="([^"#]*)"', page)) <= set(there) | {""}, name
        assert not re.search(r'(?:src|href)="(?:https?:)?//', page), name
        assert "default-src 'none'" in page
    index = json.loads(re.findall(r'id="words">(.*?)</script>', there["index.html"], re.DOTALL)[0])
    assert set(index) == set(there) - {"index.html"}
    assert "residual" in index["check-sd204.html"]
    assert '<a href="check-sd' in there["cause-lenient-acceptance.html"] or WORDS["lenient-acceptance"].check is None
    linked = next(name for name, words in WORDS.items() if words.check)
    assert f'<a href="check-{(WORDS[linked].check or "").lower()}.html">' in there[f"cause-{linked}.html"]


def test_html_in_a_page_is_text() -> None:
    page = Page("topic", "evil", "<script>", "# x\n\n<script>alert(1)</script> [a](javascript:alert(1))\n")
    made = dict(site.files([page]))
    for content in made.values():
        assert content.count(b"<script>") <= 1
        assert b'href="javascript' not in content
        assert b"alert(1)</script>" not in content


@pytest.mark.one_of(12)
@pytest.mark.parametrize(
    ("question", "page", "holds"),
    [
        ("what does SD204 mean", "sd204", "residual"),
        ("how do I record from SGLang", "questions", "SDTRACE_RECORD"),
        ("why does it say cannot tell", "questions", "sdtrace detect"),
        ("is 40% acceptance good", "questions", "tokens per step"),
        ("how do I silence a finding", "questions", "--acknowledge"),
        ("how do I get rid of an alarm", "questions", "--acknowledge"),
        ("what is tau", "questions", "draft length"),
        ("what is a bonus token", "questions", "accepted"),
        ("p q r", "questions", "uniform"),
        ("why is speculation slower", "questions", "sdtrace diff"),
        ("NaN probabilities", "invalid-probabilities", "logits"),
        ("bf16 tolerance", "questions", "rounded"),
        ("what does metric suspect mean", "questions", "METRIC"),
        ("how do I switch speculation off", "questions", "--speculative-config"),
        ("can I send a trace to the vendor", "questions", "sdtrace bundle"),
        ("fail a CI job", "questions", "--fail-on"),
        ("open it in perfetto", "exports", "--chrome"),
        ("docker logs", "formats", "docker"),
        ("llama.cpp log verbosity", "start-llama-cpp", "-lv 4"),
        ("does it run without a gpu", None, ""),
        ("compare two versions", "questions", "REGRESSED"),
        ("is any text in a report", "questions", "--content ids"),
    ],
)
def test_a_newcomers_question(question: str, page: str | None, holds: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, *question.split())
    assert holds in " ".join(out.split())
    assert page is None or f"From: sdtrace help {page}\n" in out


def test_a_question_of_words_that_no_page_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help", "zqxv", "vqzx"]) == 2
    assert "no such topic" in capsys.readouterr().err


@pytest.mark.one_of(3)
@pytest.mark.parametrize(
    ("slip", "meant"),
    [("securty", "security"), ("reprot", "report"), ("lenient-acceptence", None), ("../../README", None)],
)
def test_a_slip(slip: str, meant: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help", slip]) == 2
    err = capsys.readouterr().err
    assert f"error: {slip}: no such topic" in err
    assert meant is None or f"did you mean {meant}?" in err
