"""What a report is about, in a few named facts, and the title of its page."""

from collections.abc import Mapping
from typing import Any

from sdtrace.render.incident import impact
from sdtrace.render.text import clean, number
from sdtrace.results.clock import LATEST, WALL, formatted, moment
from sdtrace.results.words import TITLES

#: What each engine calls the draft length.
OWN_WORD = {
    "vllm": "num_speculative_tokens",
    "sglang": "speculative_num_steps",
    "llama.cpp": "--draft-max",
    "transformers": "num_assistant_tokens",
    "tensorrt-llm": "max_draft_len",
}


def facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, text) of everything that the inputs say of themselves; documents of before say nothing."""
    a = document.get("about")
    if not a:
        return []
    found = [
        ("Engine", engines(a)),
        ("Target model", _target(a)),
        ("Drafter", _drafter(a)),
        ("Draft length (k)", _length(a)),
        ("Sampling", "; ".join(f"{n} {', '.join(f'{v:g}' for v in values)}" for n, values in a["sampling"].items())),
        ("Host", ", ".join(a["hosts"])),
        ("Period", period(a)),
        ("Traffic", _traffic(a)),
        ("Affected", impact(document.get("incident"))),
    ]
    return [(name, clean(text, 300)) for name, text in found if text]


def engines(a: Mapping[str, Any]) -> str:
    """`vllm 0.32.0 and sglang`."""
    return " and ".join(f"{e['engine']} {e['version'] or ''}".strip() for e in a["engines"])


def _target(a: Mapping[str, Any]) -> str:
    models = " and ".join(a["target_models"]) or ("not named" if a["precision"] else "")
    return " ".join([models, *(f"({p})" for p in a["precision"])])


def _drafter(a: Mapping[str, Any]) -> str:
    models, methods = " and ".join(a["draft_models"]), " and ".join(a["methods"])
    return f"{models} ({methods})" if models and methods else models or methods


def _length(a: Mapping[str, Any]) -> str:
    own = [OWN_WORD[e["engine"]] for e in a["engines"] if e["engine"] in OWN_WORD]
    text = ", ".join(str(k) for k in a["draft_lengths"])
    return f"{text} ({own[0]})" if text and len(own) == 1 else text


def period(a: Mapping[str, Any]) -> str:
    """`2026-11-28 16:00:00 to 16:40:12 UTC`."""
    begin, end = a["from"], a["to"]
    if begin is None:
        return ""
    if begin < WALL or end >= LATEST:
        return f"{number(round(begin, 1))} to {number(round(end, 1))} s of the log's own clock"
    day = formatted(begin, "%Y-%m-%d")
    last = formatted(end, "%H:%M:%S UTC") if formatted(end, "%Y-%m-%d") == day else moment(end)
    return f"{formatted(begin, '%Y-%m-%d %H:%M:%S')} to {last}"


def _traffic(a: Mapping[str, Any]) -> str:
    told = [(a[name], name) for name in ("requests", "steps", "tokens") if a[name] is not None]
    return ", ".join(f"{n:,} {name if n != 1 else name.removesuffix('s')}" for n, name in told)


def title(document: Mapping[str, Any]) -> str:
    """`Wrong: lenient-acceptance, vllm 0.32.0, 2026-11-28`."""
    verdict, incident, a = document["verdict"], document.get("incident"), document.get("about")
    parts = [TITLES[verdict["state"]] + (f": {incident['root']}" if incident else "")]
    if a and engines(a):
        parts.append(engines(a))
    if a and a["from"] is not None and WALL <= a["from"] < LATEST:
        parts.append(formatted(a["from"], "%Y-%m-%d"))
    return clean(", ".join(parts), 120)
