"""sdtrace.toml: flags written once; the environment and real flags go over it."""

from pathlib import Path

import pytest

from sdtrace.cli import run

SAMPLES = Path(__file__).resolve().parents[1] / "sample_logs"
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


def test_conditions_in_the_file(toml: Path) -> None:
    toml.write_text('[report]\nfail-on = "none"\nfail-if = ["disagree > 0"]\nquiet = true\n')
    assert run(["report", PLANTED]) == 1


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
