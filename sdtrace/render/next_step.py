"""What to do with an input in which nothing is accused: one sentence and one command, the same on the page and the terminal."""

import shlex
from collections.abc import Mapping
from typing import Any

from sdtrace.render.text import clean


def next_step(document: Mapping[str, Any]) -> tuple[str, str | None] | None:
    """(what to do, command); None where a cause says it, or nothing is left to do."""
    if (cut := damaged(document)) is not None:
        return (
            f"get {clean(cut, 120)} again: the compressed file is damaged; only what stands before the damage was read",
            None,
        )
    if document["causes"]:
        return None
    if (told := document.get("diff")) is not None:
        return _compared(told)
    inputs = document["inputs"]
    state = document["verdict"]["state"]
    if inputs and all(i["format"] == "chrome-trace" for i in inputs):
        return "add the engine's log or a trace: a profile counts no tokens", "sdtrace help profiles"
    if state == "healthy" and document["audit"]:
        return "run the target model again to check the recorded probabilities", "sdtrace help replay"
    path = inputs[0]["path"] if inputs else "-"
    look = "sdtrace help recording" if path == "-" else shlex.join(["sdtrace", "detect", clean(path, 400)])
    if path.startswith(("http://", "https://")):
        watched = shlex.join(["sdtrace", "watch", clean(path, 400), "--for", "60s"])
        return "one scrape counts since the engine started; to see what it does now:", watched
    if state == "healthy":
        return "to check correctness, record more; what to record:", look
    logs = all(i["engine"] and i["format"].endswith("-log") for i in inputs)
    if inputs and logs and not any(i[name] for i in inputs for name in _RECORDS):
        return (
            "give a log that covers some minutes of traffic; if it does, the engine's statistics are off; what to log:",
            look,
        )
    return "give more of this traffic, or log more; what to log:", look


def damaged(document: Mapping[str, Any]) -> str | None:
    """The packed input that ends in damage, where no cause is more than suspected: the rest of it may say something else."""
    if any(cause["certainty"] != "suspected" for cause in document["causes"]):
        return None
    inputs = document["inputs"]
    return next((i["path"] for i in inputs if any(n["kind"] == "damaged" for n in i["notices"])), None)


#: Records of an input that hold figures.
_RECORDS = ("requests", "steps", "windows")


def _compared(record: Mapping[str, Any]) -> tuple[str, str | None] | None:
    if record["answer"] != "inconclusive":
        return None
    if any(row["low"] is not None for row in record["metrics"]):
        return "compare more requests, the same ones on both sides", "sdtrace help speed"
    return "compare more requests; traces tell more than logs", "sdtrace help recording"
