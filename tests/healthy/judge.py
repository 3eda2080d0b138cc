"""A made log through the report: what it accuses."""

from pathlib import Path
from typing import Any

from sdtrace.api import report
from tests.healthy.worlds import SECONDS, WINDOW, World, windows
from tests.healthy.writers import WRITERS


def documented(world: World, engine: str, folder: Path) -> dict[str, Any]:
    """The document of a world's log in the words of an engine."""
    name, text = WRITERS[engine](windows(world))
    path = folder / name
    path.write_text(text + "\n")
    found: dict[str, Any] = report(str(path)).document
    return found


def accused(document: dict[str, Any], side: str) -> list[str]:
    """Causes of a side, with their headline."""
    return [f"{c['cause']} ({c['certainty']}): {c['headline']}" for c in document["causes"] if c["side"] == side]


def named(document: dict[str, Any], engine: int) -> bool:
    """Whether that engine, and no other, is told apart from its siblings."""
    series = document["acceptance"]["series"]
    places = [e.get("series", "") for c in document["causes"] if c["cause"] == "series-outlier" for e in c["evidence"]]
    wanted = [f"{row['by']} {row['name']}" for row in series if row["name"].lstrip("0") == str(engine).lstrip("0")]
    return bool(places) and set(places) <= set(wanted)


def dated(document: dict[str, Any], window: int) -> bool:
    """Whether a fall of acceptance is dated within two windows of the one from which on it fell."""
    right = WINDOW + SECONDS * window
    times = [
        c["at"]
        for c in document["changes"]
        if c["what"] in ("acceptance", "tokens_per_step") and c["after"] < c["before"] and c["at"] is not None
    ]
    return any(abs(at - right) <= 2 * SECONDS for at in times)
