"""A year of nights in one state: how large it grows, and what the last night costs against a report of the same input.

Outside the default run: about ten minutes. SDTRACE_NIGHTS chooses how many (365).
"""

import os
import time
from pathlib import Path

from sdtrace.api import report
from sdtrace.history.nightly import add, report_of
from sdtrace.history.state import opened
from tests.made.nights import Plan, day, write_night

NIGHTS = int(os.environ.get("SDTRACE_NIGHTS", "365"))
#: What a year may take on disk.
MOST = 50_000_000


def size(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def test_a_year_of_nights(tmp_path: Path) -> None:
    """Two services, timed and tagged; a deploy a month, a fault in a week of each quarter. Reports are at their full
    size: what they show is bounded, and these nights reach the bounds."""
    plan = Plan(
        fault=lambda s, i: "lenience-0.7" if s == "code" and i % 90 >= 83 else None,
        version=lambda s, i: f"{1 + i // 30}.0",
        tested=3000,
    )
    spent = 0.0
    for i in range(NIGHTS):
        files = [str(p) for p in write_night(tmp_path / "logs", i, plan)]
        began = time.monotonic()
        with opened(tmp_path / "state") as state:
            add(state, files)
            found = report_of(state, day(i))
        spent = time.monotonic() - began
        if i % 30 == 29 or i == NIGHTS - 1:
            began = time.monotonic()
            report(files)
            alone = time.monotonic() - began
            print(
                f"\n{i + 1} nights: {size(tmp_path / 'state') / 1e6:.1f} MB; night {spent:.2f} s, report {alone:.2f} s"
            )
        for file in files:
            os.unlink(file)
    assert found.document["history"]["nights"] == NIGHTS
    assert size(tmp_path / "state") < MOST * NIGHTS / 365 + 3_000_000
