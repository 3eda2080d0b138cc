"""Shared by all tests: nothing is written beside the sources, and a busy machine is no failure.

Workers of pytest-xdist take the whole suite file by file, so that what the tests of a file share is made once, and not by each.
"""

import atexit
import os
import shutil
import sys
import tempfile
from collections import Counter
from typing import Any

import pytest
from hypothesis import settings

os.environ.setdefault("COLUMNS", "100")

if sys.dont_write_bytecode and "PYTHONPYCACHEPREFIX" not in os.environ:
    # what the commands of the tests and the workers of pytest-xdist compile is kept until the end of the session, or each of
    # them would compile all of it again: half of the processor time of a short command
    os.environ["PYTHONPYCACHEPREFIX"] = tempfile.mkdtemp(prefix="sdtrace-bytecode-")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    atexit.register(shutil.rmtree, os.environ["PYTHONPYCACHEPREFIX"], ignore_errors=True)

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("POLARS_MAX_THREADS", "1")  # there is a worker for every core

settings.register_profile("calm", deadline=None)
settings.load_profile("calm")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a table that is marked `one_of(n)` the first of each n cases that are not slow already is run by default, all in .ci/run."""
    seen: Counter[str] = Counter()
    for item in items:
        if (turn := item.get_closest_marker("one_of")) is not None and item.get_closest_marker("slow") is None:
            table = item.nodeid.partition("[")[0]
            if seen[table] % turn.args[0]:
                item.add_marker(pytest.mark.slow)
            seen[table] += 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """By file where no file is named; a few slow ones are still spread test by test."""
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS or config.getoption("markexpr") != "not slow":
        return None
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log)
