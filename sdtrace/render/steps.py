"""Steps of `explain` on the terminal: those that part from the law in full, the others folded; requests worth a look."""

import shlex
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from sdtrace.render.tables import Cell, table
from sdtrace.render.text import clean, number, visible

#: Tokens of a step that are shown; requests that are listed, so that the command below them stands on the first screen.
TOKENS, LISTED = 200, 15


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


def explanation(document: Mapping[str, Any], *, full: bool = True, width: int = 120, color: bool = False) -> str:
    """The steps in their order, a table each, then the sentence. Not `full`: quiet neighbours are one line."""
    lines: list[str] = []
    calm: list[Mapping[str, Any]] = []
    for step in document["steps"]:
        if not full and quiet(step) and (not calm or calm[-1]["request_id"] == step["request_id"]):
            calm.append(step)
            continue
        lines += _folded(calm) + _step(step, width, color=color)
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


#: Columns of a terminal from which figures have six digits.
_WIDE = 100
#: How a decision is coloured.
_STYLES = {"accepted": "green", "rejected": "red", "undecidable": "cyan"}


def _step(step: Mapping[str, Any], width: int, *, color: bool) -> list[str]:
    lines = [f"request {clean(step['request_id'], 80)}, step {step['step']}, {clean(step['rule'], 40)} law"]
    digits = 6 if width >= _WIDE else 4
    rows: list[list[Cell]] = [
        [
            str(t["position"]),
            spelled(t["token"], t.get("text"), 24),
            *(t.get("not_finite", {}).get(k) or _value(t[k], digits) for k in ("target", "draft", "r", "ratio")),
            (clean(t["reason"], 300), "bold red" if t["agrees"] is False else _STYLES.get(t["decision"], "")),
        ]
        for t in step["tokens"][:TOKENS]
    ]
    head = ["position" if width >= _WIDE else "at", "token", "target", "draft", "r", "ratio", "decision"]
    lines += table(head, rows, width=width, color=color, wrapped=6)
    if len(step["tokens"]) > TOKENS:
        lines.append(f"  and {len(step['tokens']) - TOKENS:,} more tokens")
    if (step.get("parts") or step.get("beyond")) and step.get("emitted") is not None:
        texts = step.get("emitted_text") or [None] * len(step["emitted"])
        pairs = zip(step["emitted"][:TOKENS], texts, strict=False)
        shown = ", ".join(spelled(token, text, 24) for token, text in pairs)
        lines.append(f"  the engine appended: {shown}")
    said = clean(step["sentence"], 600)
    lines += textwrap.wrap(said, min(width, 100), initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    return [*lines, ""]


def spelled(token: object, text: str | None, limit: int) -> str:
    """A token by its id, and by its text where there is one: blanks and breaks are visible."""
    return clean(token, limit) if text is None else f"{clean(token, limit)} {visible(text, limit)}"


def _value(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}g}"


def requests(path: str, rows: Sequence[Mapping[str, Any]], *, width: int = 120, color: bool = False) -> str:
    """Requests that are worth a look, with the command that shows the first one."""
    if not rows:
        return f"{clean(path)}: no request has steps to explain. Logs and metrics only count; a trace has steps: sdtrace help recording\n"
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
    head = ["request", "steps", "contradict the law", "accepted", "findings"]
    lines += table(head, cells[:LISTED], width=width, color=color, wrapped=4)
    if len(cells) > LISTED:
        lines.append(f"  and {len(cells) - LISTED} more in --json")
    return "\n".join([*lines, "", "Show one:", f"  {clean(shlex.join(words), 1000)}"]) + "\n"
