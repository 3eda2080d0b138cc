"""An incident in words: since when, how much of the traffic, what to do next. The same sentences on the page and the terminal."""

import shlex
from collections.abc import Mapping
from typing import Any

from sdtrace.render.next_step import damaged
from sdtrace.results.clock import moment
from sdtrace.schema.json_values import Json


def since(incident: Mapping[str, Any] | None) -> str:
    """`2026-11-28 16:15:46 UTC, and still at the end of the record`; empty where neither a clock nor the count of steps tells it."""
    if not incident:
        return ""
    if incident["since"] is None:
        steps, of = incident["affected"]["steps"], (incident.get("of") or {}).get("steps")
        return "the first step, to the last; the record has no clock" if steps and steps == of else ""
    begun, end = moment(incident["since"]), incident["until"]
    if incident.get("from_start"):
        return f"the start of the record, first seen {begun}" + (
            ", to its end" if end is None else f", until {moment(end)}"
        )
    return f"{begun}, still there at the end of the record" if end is None else f"{begun}, until {moment(end)}"


def impact(incident: Mapping[str, Any] | None) -> str:
    """`2,182 of 2,935 steps (74%), 20 of 20 requests, 5,433 tokens`; empty where the record does not count it."""
    if not incident:
        return ""
    touched, of = incident["affected"], incident.get("of") or {"requests": None, "steps": None}
    parts = []
    for name in ("steps", "requests"):
        if touched[name] is None:
            continue
        many = f"{touched[name]:,}" + ("" if of[name] is None else f" of {of[name]:,}")
        one = (of[name] if of[name] is not None else touched[name]) == 1
        share = f" ({touched['share']:.0%})" if name == "steps" and touched["share"] is not None else ""
        parts.append(f"{many} {name.removesuffix('s') if one else name}{share}")
    if touched["tokens"] is not None:
        parts.append(f"{touched['tokens']:,} token{'' if touched['tokens'] == 1 else 's'}")
    return ", ".join(parts)


def advised(cause: Mapping[str, Any]) -> tuple[str, str | None]:
    """What to do, and the command that shows more: the curve of draft lengths, else the first witness. It stands on a line of its own."""
    command = next((row["command"] for row in cause["evidence"] if row.get("command")), None)
    says = cause["advice"].removesuffix(f"; {command}") if command else cause["advice"]
    path = next((row["path"] for row in cause["evidence"] if row.get("path")), None)
    if path is not None and "sdtrace tune" in says:  # the answer is there, and not in a step
        command = shlex.join(["sdtrace", "tune", str(path)])
    return says, command


def commanded(text: str) -> tuple[str, str | None]:
    """A sentence, and the command at its end, which stands on a line of its own."""
    for mark, kept in ((": sdtrace ", ":"), ("; sdtrace ", "")):
        says, found, command = text.rpartition(mark)
        if found and "; " not in command:
            return f"{says}{kept}", f"sdtrace {command}"
    return text, None


def later(cause: Json, document: Mapping[str, Any]) -> Json:
    """The cause; one of speed, on a trace that is wrong, without its advice: it is judged when the fault is mended. One that is
    suspected from a damaged file is judged when the file is whole."""
    if damaged(document) is not None:
        evidence = [{k: v for k, v in row.items() if k not in ("command", "path")} for row in cause["evidence"]]
        return cause | {"advice": "judge this again from the whole file", "evidence": evidence}
    incident = document.get("incident")
    if document["verdict"]["state"] != "wrong" or not incident or cause["side"] != "slow":
        return cause
    return cause | {"advice": f"mend {incident['root']} first, then measure again"}
