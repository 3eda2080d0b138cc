"""A real S3 server (moto), on one machine and on a Ray cluster: the JSON of a report is that of the files on disk.

Outside the default run: needs moto[server] and, for the second half, the extra ray. Memory is printed by -s.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sdtrace.api import report
from sdtrace.cli import run
from sdtrace.readers.io import cloud
from sdtrace.render.json import dumps
from sdtrace.writers.convert import convert
from tests.made.nights import Plan, write_night

boto3 = pytest.importorskip("boto3", reason="pip install 'moto[server]'")
server = pytest.importorskip("moto.server", reason="pip install 'moto[server]'")
SAMPLES = Path(__file__).resolve().parents[2] / "sample_logs"


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plain and packed traces, a Parquet folder of parts, logs of engines."""
    top = tmp_path_factory.mktemp("disk")
    for night in range(6):
        write_night(top / "plain", night, Plan(tested=300, fault=lambda s, i: "lenience-0.7" if i == 3 else None))
    (top / "packed").mkdir()
    for sample in sorted(SAMPLES.glob("*.jsonl.gz")):
        (top / "packed" / sample.name).write_bytes(sample.read_bytes())
    convert([SAMPLES / "transformers-sampled.jsonl.gz"], top / "tables")
    (top / "tables" / "steps").mkdir()
    (top / "tables" / "steps.parquet").rename(top / "tables" / "steps" / "0.parquet")
    (top / "logs").mkdir()
    for log in sorted((SAMPLES / "engines").rglob("*.log")):
        (top / "logs" / log.name).write_bytes(log.read_bytes())
    return top


@pytest.fixture(scope="module", autouse=True)
def store(disk: Path) -> Iterator[None]:
    """A bucket `traces` with what is on disk; the environment names the server, as an operator's would."""
    running = server.ThreadedMotoServer(port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    os.environ.update(
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        AWS_REGION="eu-central-1",
        AWS_ENDPOINT_URL=f"http://{host}:{port}",
    )
    client = boto3.client("s3")
    client.create_bucket(Bucket="traces", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    for file in sorted(disk.rglob("*")):
        if file.is_file():
            client.upload_file(str(file), "traces", str(file.relative_to(disk)))
    cloud._store.cache_clear()
    yield
    cloud._store.cache_clear()
    running.stop()


ASKED = [
    "plain/",
    "plain/*-2020-09-0[1-4].jsonl",
    "packed",
    "tables",
    "tables/steps/0.parquet",
    "logs/*.log",
    "**/*.gz",
]


@pytest.mark.parametrize("asked", ASKED)
def test_one_machine(asked: str, disk: Path) -> None:
    found = dumps(report(f"s3://traces/{asked}"))
    assert found.replace(b"s3://traces/", f"{disk}/".encode()) == dumps(report(disk / asked))


def test_ray(disk: Path) -> None:
    # the folder tests/ray would do for a package of that name
    pytest.importorskip("ray.remote_function", reason="pip install 'sdtrace[ray]'")
    import ray

    from sdtrace.audit.cluster import Ray

    machines = Ray(workers=2)
    try:
        for asked in ("plain/", "packed", "tables", "logs/*.log"):
            paths = f"s3://traces/{asked}"
            assert dumps(report(paths, machines=machines.audit)) == dumps(report(paths))
    finally:
        ray.shutdown()


def test_what_cannot_be_read_has_a_way_out(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for path, said in (
        ("s3://traces/nothing/here.jsonl", "no such object, and nothing below it"),
        ("s3://elsewhere/x.jsonl", "(NoSuchBucket)"),
    ):
        assert run(["report", path]) == 3
        assert said in capsys.readouterr().err
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    cloud._store.cache_clear()
    assert run(["report", "s3://traces/plain/"]) == 3
    told = capsys.readouterr().err
    assert "AWS_ENDPOINT_URL" in told
    cloud._store.cache_clear()


def test_memory_does_not_grow_with_the_object(disk: Path) -> None:
    """One object of 200 MB against the same file on disk: the peak is higher by a few pieces, not by the object."""
    line = (disk / "plain" / "chat-2020-09-01.jsonl").read_bytes()
    big = disk / "big.jsonl"
    big.write_bytes(line * (200_000_000 // len(line)))
    boto3.client("s3").upload_file(str(big), "traces", "big.jsonl")
    code = (
        "import sys; from sdtrace.readers import open_inputs\n"
        "for b in open_inputs(sys.argv[1:])[0].batches(): pass\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    peaks = [
        int(subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True).stdout)
        for path in (str(big), "s3://traces/big.jsonl")
    ]
    print(f"\npeak on disk {peaks[0] / 1e3:.0f} MB, from the bucket {peaks[1] / 1e3:.0f} MB")
    assert peaks[1] < peaks[0] + 120_000
