"""Credentials reach no artefact, wherever they were met."""

import zipfile
from pathlib import Path

import polars as pl
import pytest
import zstandard

from sdtrace.cli import run
from sdtrace.redaction import nameless, redacted
from tests.made.simulate import Scenario, Shape, simulate

SECRET = "C4N4RY"

#: (text, the same without its secret); what is no secret stays.
TEXTS = [
    (f"prometheus://user:{SECRET}@host:9090/x", "prometheus://***@host:9090/x"),
    (f"http://{SECRET}@host", "http://***@host"),
    (f"https://a:p@{SECRET}@host/b@c", "https://***@host/b@c"),
    (f"s3://b/k?X-Amz-Signature={SECRET}&X-Amz-Date=1&X-Amz-Credential={SECRET}", None),
    (f"x.jsonl?sig={SECRET}&se=2026", "x.jsonl?sig=***&se=2026"),
    (f"http://h/metrics?access_token={SECRET}#top", "http://h/metrics?access_token=***#top"),
    (f"http://h/?a=1&apiKey={SECRET} and more", "http://h/?a=1&apiKey=*** and more"),
    (f"Authorization: Bearer {SECRET}abcdef.x", "Authorization: Bearer ***"),
    (f"hf_{SECRET}abcdefghijklmnop", "***"),
    (f"sk-proj-{SECRET}abcdefghijk", "***"),
    ("http://host:9090/metrics?job=a@b", "http://host:9090/metrics?job=a@b"),
    ("tokens=5, key=3, a@b", "tokens=5, key=3, a@b"),
    ("task-sk-abcdefghijklmnopqrst", "task-sk-abcdefghijklmnopqrst"),
    ("request chatcmpl-0123456789abcdef", "request chatcmpl-0123456789abcdef"),
]


@pytest.mark.parametrize(("text", "shown"), TEXTS)
def test_credentials(text: str, shown: str | None) -> None:
    assert SECRET not in redacted(text)
    assert shown is None or redacted(text) == shown
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/alice/t.jsonl:3", "/home/USER/t.jsonl:3"),
        ("sdtrace explain /Users/bob/t --request 1", "sdtrace explain /Users/USER/t --request 1"),
        (r"C:\Users\John Smith\t.jsonl", r"C:\Users\USER\t.jsonl"),
        (r"'C:\\Users\\eve\\t.jsonl'", r"'C:\\Users\\USER\\t.jsonl'"),
        ("file:///home/dan", "file:///home/USER"),
        ("/data/models/m", "/data/models/m"),
    ],
)
def test_names_of_users(text: str, shown: str) -> None:
    assert nameless(text) == shown


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trace that was fetched with a presigned address and kept under its whole name, from an engine that says where from."""

    def marked(run: dict, requests: list, steps: list, rng: object) -> None:
        run.update(target_model=f"https://u:{SECRET}@hub/m", engine_version=f"1 (http://h/?token={SECRET}&x)")
        run["config"] = {
            "gpu": f"from s3://k:{SECRET}@b",
            "deployment": f"http://u:{SECRET}@d",
            "api": f"Bearer {SECRET}1234",
        }

    made = simulate(Scenario(fault="lenience-0.7", shape=Shape(tested=300), edit=marked))
    return made.write(tmp_path_factory.mktemp("secret") / f"t?X-Amz-Signature={SECRET}&token={SECRET}.jsonl")


@pytest.mark.slow
def test_no_artefact_of_a_report(trace: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    flags = [
        x for name in ("json", "junit", "sarif", "prometheus", "markdown") for x in (f"--{name}", f"{tmp_path}/{name}")
    ]
    assert run(["report", str(trace), "-v", "-o", str(tmp_path / "x.html"), *flags]) == 1
    assert run(["bundle", str(trace), "-o", str(tmp_path / "none.zip")]) == 0
    assert run(["detect", str(trace), "--why", "--json", str(tmp_path / "detect")]) == 0
    assert run(["detect", str(trace)]) == 0
    assert run(["tune", str(trace), "--json", str(tmp_path / "tune")]) == 0
    assert (
        run(["diff", str(trace), str(trace), "-o", str(tmp_path / "diff.html"), "--json", str(tmp_path / "diff")]) == 0
    )
    state = ["nightly", str(trace), "--state", str(tmp_path / "state"), "-o", str(tmp_path / "pages")]
    assert run(state) == 1
    assert run(state) == 1  # counted already
    out = capfd.readouterr()
    assert SECRET not in out.out + out.err
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 12
    for path in files:
        for name, data in contents(path):
            assert SECRET.encode() not in data, (path, name)


def contents(path: Path) -> list[tuple[str, bytes]]:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return [(name, archive.read(name)) for name in archive.namelist()]
    data = path.read_bytes()
    if path.suffix == ".parquet":
        return [("", pl.read_parquet(path).write_json().encode())]
    return [("", zstandard.ZstdDecompressor().decompress(data) if path.suffix == ".zst" else data)]


@pytest.mark.one_of(3)
@pytest.mark.parametrize(
    "command",
    [
        ["report", f"prometheus://127.0.0.1:1?token={SECRET}"],
        ["report", f"prometheus://u:{SECRET}@127.0.0.1:1"],
        ["report", f"nowhere?sig={SECRET}"],
        ["diff", f"nowhere?sig={SECRET}", "x"],
        ["watch", f"http://u:{SECRET}@127.0.0.1:1", "--for", "0.1s", "--every", "0.1s"],
        ["watch", f"127.0.0.1:1?token={SECRET}", "--for", "0.1s", "--every", "0.1s"],
        ["convert", f"https://u:{SECRET}@h/x.jsonl", "x.jsonl"],
        ["report", "x", "-o", f"/nowhere/x?token={SECRET}"],
    ],
)
def test_no_error(command: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(command) in (2, 3)
    out = capfd.readouterr()
    assert out.err
    assert SECRET not in out.out + out.err
