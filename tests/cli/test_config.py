"""sdtrace.toml: flags written once; the environment and real flags go over it."""

import importlib
import json
from pathlib import Path
from typing import Any

import click
import pytest

from sdtrace.cli import VERBS, run
from sdtrace.cli.outputs import Output, Verb

SAMPLES = Path(__file__).resolve().parents[2] / "sample_logs"
PLANTED = str(SAMPLES / "transformers-lenient-0.8.planted.jsonl.gz")


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "sdtrace.toml"


def test_flags_over_environment_over_file(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["report", PLANTED, "-q"]) == 1
    toml.write_text('[report]\nfail-on = "none"\nquiet = true\n')
    assert run(["report", PLANTED]) == 0
    monkeypatch.setenv("SDTRACE_REPORT_FAIL_ON", "any")
    assert run(["report", PLANTED]) == 1
    assert run(["report", PLANTED, "--fail-on", "none"]) == 0


@pytest.mark.slow
def test_conditions_in_the_file(toml: Path) -> None:
    toml.write_text('[report]\nfail-on = "none"\nfail-if = ["disagree > 0"]\nquiet = true\n')
    assert run(["report", PLANTED]) == 1


@pytest.mark.slow
def test_a_file_elsewhere(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = toml.with_name("other.toml")
    other.write_text('[report]\nfail-on = "none"\n')
    assert run(["--config", str(other), "report", PLANTED, "-q"]) == 0
    monkeypatch.setenv("SDTRACE_CONFIG", str(other))
    assert run(["report", PLANTED, "-q"]) == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[report]\nfail_on = "none"', "did you mean fail-on?"),
        ('[reports]\nfail-on = "none"', "did you mean report?"),
        ("[report]\nquiet = 3", "write true or false"),
        ("[report]\nfail-if = [1]", "write a list of strings"),
        ("[report]\nfail-on = {}", "as a string or a number"),
        ("fail-on = 1", "fail-on] is no command"),
        ("[report", "must be TOML"),
    ],
)
def test_what_is_not_understood_is_refused(
    toml: Path, text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    toml.write_text(text)
    assert run(["report", PLANTED, "-q"]) == 2
    assert told in capsys.readouterr().err


def test_a_missing_file(toml: Path) -> None:
    assert run(["--config", "nowhere.toml", "report", PLANTED]) == 2


def in_force(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("configuration in force")]


def test_what_a_file_sets_is_said_everywhere(toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toml.write_text('[report]\nfail-on = "none"\nwhere = ["tags.task=code", "temperature=1"]\nquiet = true\n')
    files = ["--json", "x.json", "--markdown", "x.md", "--junit", "x.xml", "--sarif", "x.sarif", "-o", "x.html"]
    assert run(["report", PLANTED, *files]) == 0
    said = "sdtrace.toml: where = tags.task=code and temperature=1, fail-on = none, quiet = True"
    assert in_force(capsys.readouterr().err) == [f"configuration in force: {said}"]
    found = json.loads(Path("x.json").read_bytes())["configuration"]
    flags = {"where": ["tags.task=code", "temperature=1"], "fail-on": "none", "quiet": True}
    assert found == {"file": "sdtrace.toml", "flags": flags}
    for name in ("x.md", "x.xml", "x.sarif", "x.html"):
        text = Path(name).read_text().replace("\\", "").replace("`", "")
        assert said in text, name


@pytest.mark.one_of(5)
@pytest.mark.parametrize(
    ("text", "flags", "said"),
    [
        ('fail-on = "none"', ["-q"], True),  # of a folder's file, what changes a verdict is never silent
        ('fail-on = "none"', ["--fail-on", "wrong", "-q"], False),
        ('json = "x.json"', ["-q"], False),
        ('json = "x.json"', [], True),
        ("", [], False),
    ],
)
def test_only_what_is_in_force_is_said(
    toml: Path, text: str, flags: list[str], said: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    toml.write_text(f"[report]\n{text}\n[diff]\nmargin = 0.5\n")
    run(["report", PLANTED, *flags])
    assert bool(in_force(capsys.readouterr().err)) == said


@pytest.mark.slow
def test_a_report_without_a_file_speaks_of_none(toml: Path) -> None:
    assert run(["report", PLANTED, "-q", "--json", "x.json"]) == 1
    assert "configuration" not in json.loads(Path("x.json").read_bytes())


@pytest.mark.parametrize(
    ("verb", "key", "value"),
    [
        ("report", "output", "ELSEWHERE/x.html"),
        ("report", "output", "../x.html"),
        ("report", "json", "link/x.json"),
        ("report", "json", "file"),
        ("report", "markdown", ".git/hooks/post-commit"),
        ("report", "prometheus", "folder/../../x.prom"),
        ("report", "sarif", "/dev/stdout"),
        ("nightly", "state", "ELSEWHERE"),
        ("nightly", "state", "link"),
        ("nightly", "output", ".."),
        ("tune", "json", "../x.json"),
        ("bundle", "output", "../x.zip"),
        ("watch", "output", "../x.html"),
        ("detect", "json", "../x.json"),
        ("explain", "json", "../x.json"),
        ("report", "engine", "ray"),
        ("report", "address", "ray://evil.example:10001"),
        ("nightly", "retention", 1),
        ("nightly", "recover", True),
        ("nightly", "acknowledge", ["cause:lenient-acceptance:code"]),
        ("replay", "verifier", "evil/model"),
    ],
)
def test_the_file_of_a_folder_reaches_nothing_outside_and_deletes_nothing(
    verb: str,
    key: str,
    value: Any,
    toml: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "mine").write_text("kept")
    Path("link").symlink_to(other)
    Path("file").symlink_to(other / "mine")
    Path("folder").mkdir()
    value = value.replace("ELSEWHERE", str(other)) if isinstance(value, str) else value
    toml.write_text(f"[{verb}]\n{key} = {json.dumps(value)}\n")
    needed = {"nightly": ["--state", "s"], "replay": ["--verifier", "x"], "bundle": ["-o", "x.zip"]}.get(verb, [])
    command = [verb, PLANTED, *(needed if key not in ("state", "verifier", "output") or verb == "nightly" else [])]
    if key == "state":
        command = [verb, PLANTED]
    assert run(command) == 2
    told = capsys.readouterr().err
    assert f"error: sdtrace.toml: {key}" in told
    assert "--config sdtrace.toml" in told
    assert [path.name for path in other.iterdir()] == ["mine"]
    assert (other / "mine").read_text() == "kept"


@pytest.mark.slow
def test_a_file_that_is_named_may_do_what_flags_may(toml: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    toml.write_text(f'[report]\njson = "{other}/x.json"\n')
    assert run(["--config", "sdtrace.toml", "report", PLANTED, "-q"]) == 1
    assert (other / "x.json").exists()
    toml.write_text('[report]\njson = "x.json"\noutput = "pages/x.html"\n')
    Path("pages").mkdir()
    assert run(["report", PLANTED, "-q"]) == 1
    assert Path("x.json").exists()
    assert Path("pages/x.html").exists()


@pytest.mark.parametrize("text", ["a = " + "[" * 20_000, "a = 1" + "0" * 6000, "x" * (1 << 20 | 1), "a = '\x00'"])
def test_a_hostile_file(toml: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    toml.write_text(text)
    assert run(["report", PLANTED, "-q"]) == 2
    assert "error: sdtrace.toml" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
def test_options_that_write_are_known_as_such(verb: str) -> None:
    """A folder's file is kept in its bounds by the type of an option: none that names a file may go without it."""
    command = importlib.import_module(f"sdtrace.cli.{verb}").command
    assert isinstance(command, Verb)
    for option in command.params:
        if isinstance(option, click.Option) and str(option.metavar).startswith(("FILE", "DIR")):
            assert isinstance(option.type, Output), option.opts
