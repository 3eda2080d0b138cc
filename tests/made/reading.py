"""What is read of one text: rows of windows, the document, its causes and figures."""

from pathlib import Path
from typing import Any

from sdtrace.readers import open_one
from tests.made.simulate import document


def rows(folder: Path, text: str, surface: str | None = None) -> list[dict[str, Any]]:
    path = folder / "server.log"
    path.write_text(text)
    found = [row for b in open_one(str(path), None).batches() if b.windows is not None for row in b.windows.to_dicts()]
    return [row for row in found if surface in (None, row["surface"])]


def told(folder: Path, text: str) -> dict[str, Any]:
    path = folder / "server.log"
    path.write_text(text)
    return document(path)


def causes(found: dict[str, Any]) -> list[str]:
    return [cause["cause"] for cause in found["causes"]]


def figures(found: dict[str, Any]) -> tuple[Any, ...]:
    """(reader, steps, drafted, accepted, tokens per step)."""
    a = found["acceptance"] or {}
    length = a.get("tokens_per_step")
    counts = a.get("steps"), a.get("drafted"), a.get("accepted")
    return (found["inputs"][0]["format"], *counts, None if length is None else round(length, 4))
