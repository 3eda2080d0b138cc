"""The audit on many machines without any: a stand-in for Ray runs each task at once.

tests/ray does the same with Ray itself.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sdtrace.api import report
from sdtrace.audit.cluster import Ray
from sdtrace.errors import MissingExtraError, UsageError
from sdtrace.render.json import dumps
from tests.ray.parts import write_parts


def remote(num_returns: int = 1, **_: Any) -> Callable[[Callable[..., Any]], Any]:
    """A task's references are its results."""
    return lambda work: SimpleNamespace(remote=lambda *given: work(*given))


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    made = SimpleNamespace(init=lambda **_: None, remote=remote, put=lambda one: one, get=lambda refs: refs)
    real = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", lambda name: made if name == "ray" else real(name))
    return made


def test_workers_say_what_one_machine_says(ray: SimpleNamespace, tmp_path: Path) -> None:
    """Also of steps whose run and request lines stand in another file."""
    (whole,) = write_parts(tmp_path / "whole", 1, 200)
    lines = whole.read_bytes().splitlines(keepends=True)
    steps = next(i for i, line in enumerate(lines) if b'"kind":"step"' in line.replace(b" ", b""))
    for i, part in enumerate((lines[:steps], lines[steps::2], lines[steps + 1 :: 2])):
        (tmp_path / f"part-{i}.jsonl").write_bytes(b"".join(part))
    whole.unlink()
    found = report(tmp_path, machines=Ray(workers=2).audit)
    assert dumps(found) == dumps(report(tmp_path))
    assert found.document["audit"]["tested"] > 100


def test_no_ray_and_no_cluster_are_said(ray: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: Any) -> None:
        raise ConnectionError("nobody is there")

    ray.init = refused
    with pytest.raises(UsageError, match="nobody is there"):
        Ray("ray://nowhere:10001")
    monkeypatch.setattr(importlib, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    with pytest.raises(MissingExtraError, match="Ray is not installed"):
        Ray()
