"""Answers that are known by their text: what was asked, what came back, and how many tokens the engine counted of each.

Texts go to the engine that is asked, and nowhere else.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sdtrace.readers import Opened
from sdtrace.readers.io.source import begun, lines, whole
from sdtrace.readers.json_value import parsed
from sdtrace.readers.responses import body, responses
from sdtrace.readers.responses.parameters import parameters
from sdtrace.readers.responses.parameters import whole as integer
from sdtrace.readers.responses.stream import chunks
from sdtrace.schema.responses import RESPONSE

Node = Mapping[str, Any]
#: What stands in an answer beside its text, so that the text is not all that was emitted.
_MORE = ("tool_calls", "function_call", "reasoning_content", "reasoning", "refusal")


@dataclass(frozen=True)
class Written:
    """`row`: of RESPONSE, its lists those of the logprobs that came along, or empty. `prompt`: ids, a text, or messages of a chat, with
    what else its template is given (`template`). `prompt_tokens`, `tokens`: as the engine counted them, None where it did not."""

    row: dict[str, Any]
    prompt: Any
    template: dict[str, Any]
    text: str
    prompt_tokens: int | None
    tokens: int | None


def written(source: Opened) -> Iterator[Written]:
    """Answers of a file of {"request": ..., "response": ...} whose ids, or those of their prompts, are not recorded."""
    src = source.source
    if src.file is None or src.is_folder or src.head.lstrip()[:1] not in (b"{", b"["):
        return
    found = False
    for number, line in lines(begun(src)):
        value = parsed(line)
        found = found or isinstance(value, dict | list)
        yield from _inside(value, source.path, number)
    if not found and (text := whole(src, src.limits.max_line)) is not None:
        yield from _inside(parsed(text), source.path, 1)


def _inside(value: Any, path: str, line: int) -> Iterator[Written]:
    for one in value if isinstance(value, list) else (value,):
        if isinstance(one, Mapping) and isinstance(one.get("request"), Mapping) and "response" in one:
            yield from _answers(one, body(one["request"]), {"path": path, "line": line})


def _answers(value: Node, asked: Node, place: dict[str, Any]) -> Iterator[Written]:
    told = {row["choice"]: row for row in responses(value)}
    prompt = asked.get("messages", asked.get("prompt", asked.get("text", asked.get("input_ids"))))
    template = {
        k: asked[k]
        for k in ("tools", "chat_template_kwargs", "add_generation_prompt", "continue_final_message")
        if k in asked
    }
    response = value["response"]
    parts = list(chunks(response)) or [response]
    texts, (read, counted) = _texts(parts), _counts(parts)
    for choice, (text, more) in texts.items():
        base: dict[str, Any] = dict.fromkeys(RESPONSE) | {
            "token_ids": [],
            "logprobs": [],
            "engine": "openai",
            "choice": choice,
        }
        row = base | (told.get(choice) or parameters(asked) | _about(parts) | _ids(parts, choice))
        ids, given = row["token_ids"], row["prompt_token_ids"] or prompt
        if more or given is None or (choice in told and row["prompt_token_ids"] and min(ids) >= 0):
            continue  # more than its text was emitted; or its ids are recorded
        yield Written(row | place, given, template, text, read, len(ids) or (counted if len(texts) == 1 else None))


def _texts(parts: list[Any]) -> dict[int, tuple[str, bool]]:
    """The text of each choice, and whether something else was emitted beside it."""
    found: dict[int, tuple[str, bool]] = {}
    for part in parts:
        if not isinstance(part, Mapping):
            continue
        choices = part.get("choices")
        if not isinstance(choices, list):
            text = part.get("content", part.get("text"))
            if isinstance(text, str):
                found[0] = (found.get(0, ("", False))[0] + text, False)
            continue
        for n, choice in enumerate(choices):
            if not isinstance(choice, Mapping):
                continue
            held = choice.get("message", choice.get("delta", choice))
            held = held if isinstance(held, Mapping) else {}
            text = held.get("content", held.get("text"))
            index = integer(choice.get("index")) if "index" in choice else n
            before, more = found.get(index or 0, ("", False))
            found[index or 0] = (
                before + (text if isinstance(text, str) else ""),
                more or any(held.get(k) for k in _MORE),
            )
    return {index: (text, more) for index, (text, more) in found.items() if text}


def _ids(parts: list[Any], choice: int) -> dict[str, Any]:
    """Ids that came without logprobs (vLLM's return_token_ids)."""
    found: dict[str, Any] = {}
    for part in parts:
        choices = part.get("choices") if isinstance(part, Mapping) else None
        for n, one in enumerate(choices if isinstance(choices, list) else ()):
            if isinstance(one, Mapping) and one.get("index", n) == choice:
                found["token_ids"] = found.get("token_ids", []) + integers(one.get("token_ids"))
                prompt = integers(one.get("prompt_token_ids", part.get("prompt_token_ids")))
                found |= {"prompt_token_ids": prompt} if prompt else {}
    return found


def integers(value: Any) -> list[int]:
    """A list of ids; empty where it is none."""
    return value if isinstance(value, list) and all(integer(i) is not None for i in value) else []


def _counts(parts: list[Any]) -> tuple[int | None, int | None]:
    """Tokens of the prompt and of the answer, by what counts them last."""
    prompt = tokens = None
    for part in parts:
        if not isinstance(part, Mapping):
            continue
        for told in (part.get("usage"), part.get("meta_info")):
            if isinstance(told, Mapping):
                prompt = integer(told.get("prompt_tokens")) if "prompt_tokens" in told else prompt
                tokens = integer(told.get("completion_tokens")) if "completion_tokens" in told else tokens
        prompt = integer(part.get("tokens_evaluated")) if "tokens_evaluated" in part else prompt
        tokens = integer(part.get("tokens_predicted")) if "tokens_predicted" in part else tokens
    return prompt, tokens


def _about(parts: list[Any]) -> dict[str, Any]:
    """What an answer without logprobs tells of itself."""
    found: dict[str, Any] = {}
    for part in parts:
        if not isinstance(part, Mapping):
            continue
        found |= {"request_id": part.get("id"), "model": part.get("model")}
        choices = part.get("choices")
        first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], Mapping) else {}
        meta = part.get("meta_info")
        ended = (
            meta.get("finish_reason")
            if isinstance(meta, Mapping)
            else first.get("finish_reason", part.get("stop_type"))
        )
        ended = ended.get("type") if isinstance(ended, Mapping) else ended
        found |= {"finish_reason": {"limit": "length"}.get(ended, ended)} if isinstance(ended, str) else {}
    return {name: value if isinstance(value, str) else None for name, value in found.items()}
