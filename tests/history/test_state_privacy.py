"""What a state keeps of its inputs, and who may read it."""

import json
import os
import stat
from pathlib import Path

import pytest

from sdtrace.history.services import without_credentials
from sdtrace.history.state import opened
from tests.made.nights import Plan, day, write_night
from tests.made.states import nightly


@pytest.mark.slow
def test_a_state_is_its_owners(tmp_path: Path, logs: list[list[Path]]) -> None:
    before = os.umask(0o022)
    try:
        assert nightly(tmp_path / "state", logs[0][0]) == 0
    finally:
        os.umask(before)
    modes = {p.relative_to(tmp_path): stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "state").rglob("*")}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert modes.pop(Path("state/nights")) == 0o700
    assert all(mode & 0o022 == 0 for mode in modes.values())
    assert {mode for path, mode in modes.items() if len(path.parts) == 2} == {0o600}


@pytest.mark.slow
def test_of_config_only_what_is_listed_is_kept(tmp_path: Path) -> None:
    """Names and settings; no key, no address with a password, no nested value, in no file of the state and on no page."""
    secret = "canary-7391"
    config = {
        "deployment": f"https://user:{secret}@host/chat?key={secret}",
        "tensor_parallel_size": 2,
        "api_key": secret,
        "flags": f"--api-key {secret}",
        "gpu": {"name": "H100", "serial": secret},
        "image": f"https://{secret}@registry/engine:1#{secret}",
        "recorder": {"dropped": 3, secret: 1},
    }
    chat, _ = write_night(tmp_path / "logs", 0, Plan(tested=20))
    lines = chat.read_text().splitlines()
    head = json.loads(lines[0])
    assert head["kind"] == "run"
    chat.write_text("\n".join([json.dumps(head | {"config": config}), *lines[1:]]))
    assert nightly(tmp_path / "state", chat, "-o", tmp_path / "pages") == 0
    with opened(tmp_path / "state") as state:
        service = state.record(day(0))["services"]["https://host/chat"]
        assert service["parts"]["config.tensor_parallel_size"] == "2"
        assert service["parts"]["config.image"] == "https://registry/engine:1"
        audit = state.audit(day(0))
        assert audit is not None
        assert secret not in str(audit.runs)
        assert secret not in str(state.report(day(0)))
    for file in (f for f in tmp_path.rglob("*") if f.is_file() and f != chat):
        assert secret.encode() not in file.read_bytes(), file


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("prometheus://user:pass@host:9090/x?token=1#y", "prometheus://host:9090/x"),
        ("s3://key:se/cret@bucket/a.jsonl", "s3://bucket/a.jsonl"),
        ("/var/log/a?b@c#d.jsonl", "/var/log/a?b@c#d.jsonl"),
        ("http://host" + "/://@" * 500, "http://"),
    ],
    ids=lambda x: x[:20],
)
def test_an_address_is_kept_without_credentials(address: str, kept: str) -> None:
    assert without_credentials(address) == kept


def test_an_old_record_gives_away_no_more(old: Path) -> None:
    """What an older version kept of `config` is not shown, and no deploy is seen in that it is not."""
    with opened(old) as state:
        services = [record["services"]["chat"] for record in state.records()]
        assert b"sk-not-a-real-one" in next((old / "nights").glob("2026-09-06.*/record.json")).read_bytes()
    assert all("api_key" not in str(s) and s["parts"]["config.tensor_parallel_size"] == "2" for s in services)
    assert len({s["fingerprint"] for s in services}) == 1


@pytest.mark.slow
def test_a_service_of_any_name_is_a_service(tmp_path: Path) -> None:
    names = ["../../x", "a\0b/CON", "x" * 5000 + "\x1b[31m", "/etc/日本"]
    for i, name in enumerate(names):
        chat, _ = write_night(tmp_path / "logs", i, Plan(tested=20))
        lines = chat.read_text().splitlines()
        head = json.loads(lines[0]) | {"config": {"deployment": name}}
        chat.write_text("\n".join([json.dumps(head), *lines[1:]]))
        assert nightly(tmp_path / "state", chat, "-o", tmp_path / "pages") == 0, name
    with opened(tmp_path / "state") as state:
        assert all(len(name) <= 200 and name.isprintable() for r in state.records() for name in r["services"])
    pages = {f"{day(i)}.{ending}" for i in range(len(names)) for ending in ("html", "json")}
    assert {p.name for p in (tmp_path / "pages").iterdir()} == pages | {"index.html", "latest.html", ".pages.json"}
    assert {p.name for p in tmp_path.iterdir()} == {"logs", "state", "pages"}
