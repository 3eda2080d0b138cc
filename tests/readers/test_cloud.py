"""s3:// and gs:// inputs: the report is that of the same files on disk, whatever their kind; errors have a way out."""

import importlib
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sdtrace.api import explain, report
from sdtrace.cli import run
from sdtrace.errors import NoInputError, UsageError
from sdtrace.history.nightly import add
from sdtrace.history.state import opened
from sdtrace.readers import open_inputs
from sdtrace.readers.detection import detect
from sdtrace.readers.io import cloud
from sdtrace.render.json import dumps
from sdtrace.writers.convert import convert
from tests.made.bucket import bucket

SAMPLES = Path(__file__).resolve().parents[2] / "sample_logs"


@pytest.fixture
def objects(tmp_path: Path) -> dict[str, bytes]:
    """A packed trace, a Parquet folder, a case on paper, a log, and what is to be left alone."""
    convert([SAMPLES / "transformers-greedy.jsonl.gz"], tmp_path / "tables")
    held = {f"nights/tables/{p.name}": p.read_bytes() for p in (tmp_path / "tables").rglob("*.parquet")}
    log = next(p for p in sorted((SAMPLES / "engines").rglob("*.log")) if "vllm" in p.name)
    return held | {
        "nights/a.jsonl.gz": (SAMPLES / "transformers-lenient-0.8.planted.jsonl.gz").read_bytes(),
        "nights/deep/vllm.log": log.read_bytes(),
        "nights/.hidden": b"x",
        "nights/deep/": b"",
        "case (1).csv": (SAMPLES / "paper-case.csv").read_bytes(),
    }


@pytest.fixture(params=["s3", "gs"])
def address(
    request: pytest.FixtureRequest, objects: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The bucket `logs` of a store that the environment names."""
    cloud._store.cache_clear()
    with bucket("logs", objects) as (url, _):
        for key, value in {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}.items():
            monkeypatch.setenv(key, value)
        key_file = tmp_path / "key.json"
        account = {
            "gcs_base_url": url,
            "disable_oauth": True,
            "client_email": "",
            "private_key": "",
            "private_key_id": "",
        }
        key_file.write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(key_file))
        monkeypatch.setenv("GOOGLE_ALLOW_HTTP", "true")
        yield f"{request.param}://logs"
    cloud._store.cache_clear()


def on_disk(objects: dict[str, bytes], top: Path) -> Path:
    for key, data in objects.items():
        if not key.endswith("/"):
            (top / key).parent.mkdir(parents=True, exist_ok=True)
            (top / key).write_bytes(data)
    return top


@pytest.mark.slow
@pytest.mark.one_of(2)
def test_a_report_is_that_of_the_files(address: str, objects: dict[str, bytes], tmp_path: Path) -> None:
    top = on_disk(objects, tmp_path / "disk")
    told = dumps(report(f"{address}/nights/"))
    assert json.loads(told)["verdict"]["state"] == "wrong"
    assert {i["format"] for i in json.loads(told)["inputs"]} == {"trace-jsonl", "trace-parquet", "vllm-log"}
    assert told.replace(f"{address}/".encode(), f"{top}/".encode()) == dumps(report(top / "nights"))


@pytest.mark.one_of(2)
def test_addresses_expand_as_paths_do(address: str) -> None:
    whole = [f"{address}/nights/{name}" for name in ("a.jsonl.gz", "deep/vllm.log", "tables")]
    for asked in ("nights", "nights/", "night*"):
        assert cloud.expand(f"{address}/{asked}") == whole
    assert cloud.expand(f"{address}/nights/tables") == whole[2:]
    assert cloud.expand(f"{address}/nights/*.gz") == whole[:1]
    assert cloud.expand(f"{address}/**/*.log") == whole[1:2]
    assert cloud.expand(address) == [f"{address}/case (1).csv", *whole]
    assert cloud.expand(f"{address}/case (1).csv") == [f"{address}/case (1).csv"]


@pytest.mark.slow
def test_every_verb_reads_objects(address: str, tmp_path: Path) -> None:
    case = f"{address}/case (1).csv"
    assert explain(case)["steps"][0]["tokens"] == explain(SAMPLES / "paper-case.csv")["steps"][0]["tokens"]
    assert [d["format"] for d in detect([f"{address}/nights"])] == ["trace-jsonl", "vllm-log", "trace-parquet"]
    done = convert([f"{address}/nights/tables"], tmp_path / "back.jsonl")
    assert done.steps == convert([SAMPLES / "transformers-greedy.jsonl.gz"], tmp_path / "again.jsonl").steps
    with opened(tmp_path / "state") as state:
        assert add(state, [f"{address}/nights"]).added
        assert len(add(state, [f"{address}/nights/a.jsonl.gz"]).known) == 1


@pytest.mark.slow
@pytest.mark.parametrize("key", ["nights/a.jsonl", "nights/tables/steps.parquet", "nights/deep/vllm.log"])
def test_a_large_object_is_told_by_samples(
    key: str, objects: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening it takes a small part of it; reading takes it in pieces."""
    for name in ("_HEAD", "_SAMPLE", "SMALL", "PIECE"):
        monkeypatch.setattr(cloud, name, {"_SAMPLE": 256, "PIECE": 20_000}.get(name, 9_000))
    convert([SAMPLES / "transformers-sampled.jsonl.gz"], tmp_path / "a.jsonl")
    held = {**objects, "nights/a.jsonl": (tmp_path / "a.jsonl").read_bytes()}
    cloud._store.cache_clear()
    with bucket("logs", held) as (url, asked):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
        (source,) = open_inputs([f"s3://logs/{key}"])
        assert source.format == open_inputs([str(on_disk(held, tmp_path / "disk") / key)])[0].format
        spans = [a.partition("bytes=")[2].split("-") for a in asked if "bytes=" in a]
        if key.endswith(".jsonl"):
            assert sum(int(last) + 1 - int(first) for first, last in spans) < len(held[key]) / 4
        steps = sum(b.steps.height for b in source.batches())
        local = open_inputs([str(tmp_path / "disk" / key)])[0]
        assert steps == sum(b.steps.height for b in local.batches())
    cloud._store.cache_clear()


@pytest.mark.slow
@pytest.mark.one_of(2)
def test_an_object_that_changes_is_refused(
    address: str, objects: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud, "PIECE", 1_000)
    key = "nights/a.jsonl.gz"
    (source,) = open_inputs([f"{address}/{key}"])
    pieces = cloud._bytes(f"{address}/{key}", cloud._meta(f"{address}/{key}") or {}, 0, 5_000)
    next(pieces)
    objects[key] = b"another"
    with pytest.raises(NoInputError, match="changed while it was read"):
        next(pieces)
    del objects[key]
    (gone,) = source.batches()
    assert "no such object" in gone.losses[0].what


@pytest.mark.one_of(2)
def test_what_is_not_there_is_told(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    scheme = address.partition("://")[0]
    for path, said in (
        (f"{address}/other/", "nothing below it"),
        (f"{address}/*.gz", "nothing below it"),
        (f"{scheme}://elsewhere/x", "No such bucket. (NoSuchBucket)"),
    ):
        assert run(["report", path]) == 3
        assert said in capsys.readouterr().err
    with pytest.raises(UsageError, match="which bucket"):
        open_inputs([f"{scheme}://"])


def test_without_the_library_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = importlib.import_module

    def without(name: str, *rest: Any) -> Any:
        if name == "obstore":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    assert run(["report", "s3://logs/a"]) == 2
    assert "sdtrace[cloud]" in capsys.readouterr().err


def test_an_error_travels_whole() -> None:
    """A worker's error keeps its way out."""
    error = pickle.loads(pickle.dumps(NoInputError("what", "way")))
    assert (error.message, error.hint, error.exit_code) == ("what", "way", 3)
