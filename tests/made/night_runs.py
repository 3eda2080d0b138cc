"""One call of `nightly` on the state of a folder, and what it left there: document, alarms, nights."""

import json
from pathlib import Path
from typing import Any

from sdtrace.cli import run
from sdtrace.history.state import opened


def nightly(tmp: Path, *args: str | Path) -> int:
    return run(["nightly", *map(str, args), "--state", str(tmp / "state"), "-q", "--json", str(tmp / "night.json")])


def document(tmp: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tmp / "night.json").read_text())
    return found


def alarms(tmp: Path) -> list[str]:
    return [alarm["id"] for alarm in document(tmp)["history"]["alarms"]]


def nights(tmp: Path) -> list[str]:
    with opened(tmp / "state") as state:
        return state.nights()
