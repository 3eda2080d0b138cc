"""Text to ids by the engine's own /tokenize, and back again to see that nothing was lost."""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from sdtrace.readers.io.http import Unanswered
from sdtrace.readers.responses.parameters import whole
from sdtrace.replay.engine.client import Client, Engine
from sdtrace.replay.engine.score import Text, recorded
from sdtrace.replay.engine.written import Written

_NO_COUNT = "how many tokens the prompt and the answer had is not recorded: keep `usage`"
_PROMPT = "the engine makes another number of tokens of the prompt: another template, or tools"
_COUNT = "the engine makes another number of tokens of the text: it was emitted in other tokens, or cut at a stop"
_ROUND = "the text that the engine makes of its tokens is not the recorded one"
#: What a template's own token spells, and how many of a prompt's are looked at.
_SPECIAL, _LOOKED_AT = re.compile(r"<[^<>\s]{1,60}>|\[/?[A-Z_]{2,30}\]"), 400
_NONE = "the engine makes no tokens of the text (/tokenize, /detokenize)"


def tokenize(client: Client, engine: Engine, text: str, *, special: bool = True) -> list[int] | None:
    """Ids of a text, with the model's own first token (`special`); None where the engine does not tell."""
    if engine.name == "llama.cpp":
        return _ids(client, {"content": text, "add_special": special})
    return _ids(client, {"model": engine.model, "prompt": text, "add_special_tokens": special})


def _ids(client: Client, body: dict[str, Any]) -> list[int] | None:
    try:
        told = client.ask("/tokenize", body).get("tokens")
    except Unanswered:
        return None
    ids = told if isinstance(told, list) else []
    return ids if ids and all(whole(i) is not None for i in ids) else None


def spelled(client: Client, engine: Engine, answers: Sequence[Written]) -> list[Text | str]:
    """Each answer with ids, or why it has none: as many as were counted, and back to the very text. They need not be those that
    were emitted: what they show is suspected, where the answer's own ids are not known."""
    return list(client.together(lambda one: _spelled(client, engine, one), answers))


def _spelled(client: Client, engine: Engine, one: Written) -> Text | str:
    prompt = one.prompt if isinstance(one.prompt, list) and all(whole(i) is not None for i in one.prompt) else None
    if one.tokens is None or (prompt is None and one.prompt_tokens is None):
        return _NO_COUNT
    if prompt is None:
        prompt = _prompt(client, engine, one)
        if prompt is None:
            return _NONE
        if len(prompt) != one.prompt_tokens:
            return _PROMPT
    row, known = dict(one.row), one.row["token_ids"]
    if known and min(known) >= 0:
        tokens = known
    else:
        found = tokenize(client, engine, one.text, special=False)
        back = None if found is None else _text(client, engine, found)
        if found is None or back is None:
            return _NONE
        # the end of a text is counted and not written
        if one.tokens - len(found) not in ((0, 1) if row["finish_reason"] == "stop" else (0,)):
            return _COUNT
        if back != one.text:
            return _ROUND
        tokens, row["tokenised"] = found, True
    row["prompt_token_ids"] = prompt
    # of which tokens recorded log probabilities are is known where their ids are
    told = row["logprobs"] if not row["tokenised"] and len(row["logprobs"]) == len(tokens) else ()
    return Text([*prompt, *tokens], len(prompt), row, recorded(row, told, len(prompt)))


def _prompt(client: Client, engine: Engine, one: Written) -> list[int] | None:
    """Ids of a prompt that is a text, or messages under the engine's own template."""
    if isinstance(one.prompt, str):
        return tokenize(client, engine, one.prompt)
    if not isinstance(one.prompt, list) or not all(isinstance(m, dict) for m in one.prompt):
        return None
    body = {"messages": one.prompt, **one.template}
    if engine.name != "llama.cpp":
        return _ids(client, {"model": engine.model, **body})
    try:
        text = client.ask("/apply-template", body).get("prompt")
    except Unanswered:
        return None
    return tokenize(client, engine, text) if isinstance(text, str) else None


def _text(client: Client, engine: Engine, ids: Sequence[int]) -> str | None:
    body: dict[str, Any] = {"tokens": list(ids)} | ({} if engine.name == "llama.cpp" else {"model": engine.model})
    try:
        told = client.ask("/detokenize", body)
    except Unanswered:
        return None
    text = told.get("content", told.get("prompt", told.get("text")))
    return text if isinstance(text, str) else None


def special(client: Client, engine: Engine, ids: AbstractSet[int]) -> frozenset[int]:
    """Which of them a chat template puts in, by what the engine says that each spells (`<|im_start|>`, `[INST]`)."""
    some = sorted(ids)[:_LOOKED_AT]
    words = list(client.together(lambda one: _text(client, engine, [one]), some))
    return frozenset(one for one, word in zip(some, words, strict=True) if word and _SPECIAL.fullmatch(word.strip()))
