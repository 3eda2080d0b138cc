"""Token ids as text, by the tokenizers library: only where text was asked for, since whoever reads it reads prompts and answers."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from sdtrace.errors import MissingExtraError, UsageError
from sdtrace.results.report import ViewedRequest

#: The text of one id.
Speller = Callable[[int], str]


def speller(folder: str) -> Speller:
    """The text of an id in the tokenizer of `folder` (or of a tokenizer.json); bytes that make no character alone are U+FFFD.

    Raises MissingExtraError without the extra `text`, UsageError where there is no tokenizer.
    """
    try:
        library = importlib.import_module("tokenizers")
    except ImportError as error:
        raise MissingExtraError(
            "--content text: the tokenizers library is not installed",
            "pip install 'sdtrace[text]', or --content ids for the ids alone",
        ) from error
    path = Path(folder)
    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        made = library.Tokenizer.from_file(str(file))
    except Exception as error:  # the library has one class for everything that is wrong with a file
        way = "give the folder of the model: the one with its tokenizer.json"
        raise UsageError(f"--tokenizer {folder}: {file.name} cannot be used ({error})"[:300], way) from error

    @lru_cache(maxsize=65_536)
    def spell(token: int) -> str:
        if made.id_to_token(token) is None:
            return f"<{token}: not in the vocabulary>"
        return str(made.decode([token], skip_special_tokens=False) or made.id_to_token(token))

    return spell


def with_text(step: dict[str, Any], spell: Speller) -> dict[str, Any]:
    """A step of `explain --json` with `text` beside every id."""

    def told(token: Any) -> str | None:
        return spell(token) if isinstance(token, int) and 0 <= token < 2**32 else None

    last, emitted = step["last"], step["emitted"]
    return step | {
        "tokens": [token | {"text": told(token["token"])} for token in step["tokens"]],
        "last": last and last | {"text": told(last["token"])},
        "emitted_text": None if emitted is None else [told(token) for token in emitted],
    }


def viewed_as_text(viewer: Sequence[ViewedRequest], spell: Speller) -> list[ViewedRequest]:
    """The requests of the viewer with the text of their tokens."""
    return [replace(one, steps=[with_text(step, spell) for step in one.steps]) for one in viewer]
