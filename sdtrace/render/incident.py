"""An incident in words: since when, how much of the traffic, what to do next. The same sentences on the page and the terminal."""

from collections.abc import Mapping
from typing import Any

from sdtrace.render.next_step import damaged
from sdtrace.results.advice import Advice
from sdtrace.results.cause import first_command
from sdtrace.results.clock import moment
from sdtrace.results.refutations import refutation
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


def advised(row: Mapping[str, Any]) -> tuple[str, str | None]:
    """What to do about a cause or an alarm, and the command that shows more, which stands on a line of its own. Documents of before have
    the advice alone."""
    step = row.get("next") or {"says": row["advice"], "command": None}
    return step["says"], step["command"]


def refuted(cause: Mapping[str, Any]) -> tuple[str, str | None]:
    """What would change our mind, and the command that looks."""
    found = refutation(cause["cause"], cause["side"], cause["evidence"], cause["checks"])
    return (found.says if found.command is None else f"{found.says}:"), found.command


def later(cause: Json, document: Mapping[str, Any]) -> Json:
    """The cause; one of speed, on a trace that is wrong, without its advice: it is judged when the fault is mended. One that is
    suspected from a damaged file is judged when the file is whole."""
    if damaged(document) is not None:
        evidence = [{k: v for k, v in row.items() if k not in ("command", "path")} for row in cause["evidence"]]
        return _instead(cause, Advice("judge this again from the whole file")) | {"evidence": evidence}
    incident = document.get("incident")
    if document["verdict"]["state"] != "wrong" or not incident or cause["side"] != "slow":
        return cause
    return _instead(
        cause, Advice(f"mend {incident['root']} first, then measure again", first_command(cause["evidence"]))
    )


def _instead(cause: Json, step: Advice) -> Json:
    return cause | {"advice": step.says, "next": step.row()}
