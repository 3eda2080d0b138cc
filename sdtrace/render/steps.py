"""Steps of `explain` on the terminal: those that part from the law in full, the others folded; requests worth a look."""

import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sdtrace.render.text import clean, number, visible

#: Tokens of a step that are shown.
TOKENS = 200


def quiet(step: Mapping[str, Any]) -> bool:
    """Whether engine and law agree on every decision of a step, and no finding points at it."""
    apart = (
        step.get("parts")
        or step.get("beyond")
        or any(t.get("agrees") is False or "not_finite" in t for t in step["tokens"])
    )
    return not apart and not step.get("note")


def met(check: Mapping[str, Any]) -> bool:
    """Whether the input held anything that the check could have looked at."""
    return check["state"] != "cannot-tell" or check["total"] > 0 or bool(check["missing"])


def explanation(document: Mapping[str, Any], *, full: bool = True) -> str:
    """The steps in their order, a table each, then the sentence. Not `full`: quiet neighbours are one line."""
    lines: list[str] = []
    calm: list[Mapping[str, Any]] = []
    for step in document["steps"]:
        if not full and quiet(step) and (not calm or calm[-1]["request_id"] == step["request_id"]):
            calm.append(step)
            continue
        lines += _folded(calm) + _step(step)
        calm = []
    return "\n".join([*lines, *_folded(calm)])


def _folded(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    if not steps:
        return []
    first, last = steps[0], steps[-1]
    which = f"step {first['step']}" if len(steps) == 1 else f"steps {first['step']} to {last['step']}"
    drafted, accepted = sum(len(s["tokens"]) for s in steps), sum(s["accepted"] for s in steps)
    unsure = sum(t["decision"] == "undecidable" for s in steps for t in s["tokens"])
    text = (
        f"request {clean(first['request_id'], 80)}, {which}: nothing contradicts the {clean(first['rule'], 40)} law; "
    )
    text += f"{accepted:,} of {drafted:,} drafted tokens accepted" + (f", {unsure:,} undecidable" if unsure else "")
    return [text, ""]


def _step(step: Mapping[str, Any]) -> list[str]:
    lines = [f"request {clean(step['request_id'], 80)}, step {step['step']}, {clean(step['rule'], 40)} law"]
    rows = [
        [
            str(t["position"]),
            spelled(t["token"], t.get("text"), 24),
            *(t.get("not_finite", {}).get(k) or _value(t[k]) for k in ("target", "draft", "r", "ratio")),
            clean(t["reason"], 300),
        ]
        for t in step["tokens"][:TOKENS]
    ]
    lines += table(["position", "token", "target", "draft", "r", "ratio", "decision"], rows)
    if len(step["tokens"]) > TOKENS:
        lines.append(f"  and {len(step['tokens']) - TOKENS:,} more tokens")
    if (step.get("parts") or step.get("beyond")) and step.get("emitted") is not None:
        texts = step.get("emitted_text") or [None] * len(step["emitted"])
        pairs = zip(step["emitted"][:TOKENS], texts, strict=False)
        shown = ", ".join(spelled(token, text, 24) for token, text in pairs)
        lines.append(f"  the engine appended: {shown}")
    lines += textwrap.wrap(clean(step["sentence"], 600), 100, initial_indent="  ", subsequent_indent="  ")
    return [*lines, ""]


def spelled(token: object, text: str | None, limit: int) -> str:
    """A token by its id, and by its text where there is one: blanks and breaks are visible."""
    return clean(token, limit) if text is None else f"{clean(token, limit)} {visible(text, limit)}"


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Aligned columns, two blanks apart."""
    cells = [list(head), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return ["  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in cells]


def requests(path: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Requests that are worth a look, with the command that shows the first one."""
    if not rows:
        return f"{clean(path)}: no request has steps to explain\n"
    cells = [
        [
            clean(r["request_id"], 60),
            number(r["steps"]),
            number(r["disagree"]),
            "-" if r["rate"] is None else f"{r['rate']:.0%}",
            ", ".join(r["causes"]) or "-",
        ]
        for r in rows
    ]
    words = ["sdtrace", "explain", path, "--request", str(rows[0]["request_id"])]
    words += [] if rows[0]["step"] is None else ["--step", str(rows[0]["step"])]
    lines = ["Requests worth a look, those that findings point at first:"]
    lines += table(["request", "steps", "contradict the law", "accepted", "findings"], cells)
    return "\n".join([*lines, "", "Show one:", f"  {clean(shlex.join(words), 1000)}"]) + "\n"
