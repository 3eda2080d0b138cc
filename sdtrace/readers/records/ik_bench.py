"""The markdown table of ik_llama.cpp's llama-spec-bench: one row a run, counts as accepted/drafted, rates by position."""

import re
from collections.abc import Iterator
from typing import Any

from sdtrace.readers.io.source import Source, segments
from sdtrace.schema.counters import from_rows
from sdtrace.schema.trace import OTHER, Batch, Loss, empty

_NEEDED = {"rounds", "accepted", "a.len"}


def sniff(head: bytes) -> str | None:
    """None where the head holds the table's header."""
    for line in head.split(b"\n"):
        if line.startswith(b"|") and set(_cells(line)) >= _NEEDED:
            return None
    return "no table with rounds, accepted and a.len"


def batches(src: Source) -> Iterator[Batch]:
    """One window a run; a stage without a draft (a baseline) gives its tokens and time only."""
    names: list[str] = []
    rows: list[dict[str, Any]] = []
    losses: list[Loss] = []
    total = records = 0
    for segment in segments(src):
        with segment.file.open("rb") as lines:
            for number, line in enumerate(lines, start=segment.first):
                total += 1
                cells = _cells(line) if line.startswith(b"|") else []
                if set(cells) >= _NEEDED:
                    names = cells
                elif not names or not cells or set("".join(cells)) <= set("-: "):
                    continue
                elif len(cells) != len(names):
                    losses.append(Loss(src.path, number, "a row that does not fit the header", 1, "it was cut"))
                    continue
                else:
                    rows.append(_row(dict(zip(names, cells, strict=True)), number))
                records += 1
    other = total - records - len(losses)
    if other:
        losses.append(Loss(src.path, None, OTHER, other, "expected around a table"))
    tables = empty("run"), empty("request"), empty("step")
    yield Batch(src.path, total, *tables, losses, [], from_rows(src.path, rows), records=records)


def _cells(line: bytes) -> list[str]:
    return [cell.strip() for cell in line.decode("utf-8", "replace").strip().strip("|").split("|")]


def _row(cells: dict[str, str], number: int) -> dict[str, Any]:
    counts = re.fullmatch(r"(\d{1,15})/(\d{1,15})", cells["accepted"])
    rates = [float(n) / 100 for n in re.findall(r"(\d{1,3}(?:\.\d{1,9})?)%", cells.get("pos accept", ""))]
    rounds = _number(cells["rounds"])
    time, rate = _number(cells.get("time(s)")), _number(cells.get("rate"))
    return {
        "line": number,
        "engine": "ik_llama.cpp",
        "surface": "llama-spec-bench",
        "basis": "run",
        "series": f"{cells.get('task', '')} {cells.get('stage', '')} run {cells.get('run', '')}"[:120],
        "drafts": rounds,
        "accepted_by_position": [r * rounds for r in rates] if rates and rounds else None,
        "accepted": float(counts[1]) if counts else None,
        "drafted": float(counts[2]) if counts else None,
        "emitted": _number(cells.get("tokens")),
        "busy_ms": None if time is None else time * 1e3,
        "generation_tps": _number(cells.get("tok/s")),
        "said_length": _number(cells["a.len"]),
        "said_rate": None if rate is None else rate / 100,
        "said_positions": rates or None,
        "said": {n: cells[n] for n in ("rounds", "accepted", "rate", "a.len") if n in cells},
    }


def _number(text: str | None) -> float | None:
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)%?", text or "")
    return float(found[1]) if found else None
