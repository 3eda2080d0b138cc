"""Text to ids by the engine's own /tokenize."""

from sdtrace.readers.io.http import Unanswered
from sdtrace.readers.responses.parameters import whole
from sdtrace.replay.engine.client import Client, Engine


def tokenize(client: Client, engine: Engine, text: str, *, special: bool = True) -> list[int] | None:
    """Ids of a text, with the model's own first token (`special`); None where the engine does not tell."""
    if engine.name == "llama.cpp":
        body = {"content": text, "add_special": special}
    else:
        body = {"model": engine.model, "prompt": text, "add_special_tokens": special}
    try:
        told = client.ask("/tokenize", body).get("tokens")
    except Unanswered:
        return None
    ids = told if isinstance(told, list) else []
    return ids if ids and all(whole(i) is not None for i in ids) else None
