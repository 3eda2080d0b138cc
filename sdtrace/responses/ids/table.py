"""A tokenizer's table: the bytes of every id, and which ids no model writes into the middle of an answer.

Read from `tokenizer.json` (Hugging Face), as its format stands: `model.vocab` is an object (BPE, WordPiece) or a list of
[token, score] (Unigram); `added_tokens` have id, content, special. Byte-level vocabularies write bytes as the printable
characters of GPT-2's table; SentencePiece writes a blank as U+2581 and a lone byte as <0xNN>.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdtrace.errors import UsageError

#: Size up to which a table is read; the largest known are under 40 MB.
_LARGEST = 256 << 20
_FALLBACK = re.compile(r"<0x([0-9A-Fa-f]{2})>\Z")
#: Words for ids that begin or pad an input, or that were never trained. The end of a document is none of them: it may stand
#: in the middle where a request ignores it.
_NEVER = re.compile(
    r"\A(<s>|<bos>|\[BOS\]|<\|begin_of_text\|>|<\|startoftext\|>|<\|begin▁of▁sentence\|>|<｜begin▁of▁sentence｜>|\[CLS\]"
    r"|<pad>|\[PAD\]|<\|pad\|>|<\|finetune_right_pad_id\|>"
    r"|<\|?reserved[_ ]?(special[_ ]?token)?[_ ]?\d+\|?>|<unused\d+>|\[unused\d+\])\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Table:
    """`bytes_of` an id; ids that are not in it have no entry. `never`: ids that no answer holds in its middle."""

    name: str
    bytes_of: dict[int, bytes]
    special: frozenset[int]
    never: frozenset[int]
    names: dict[int, str]


def read_table(folder: str) -> Table:
    """The table of a folder with `tokenizer.json`, or of that file. UsageError where there is none, or it is not one."""
    path = Path(folder)
    file = path / "tokenizer.json" if path.is_dir() else path
    way = "give the folder of the model: the one with its tokenizer.json"
    try:
        if file.stat().st_size > _LARGEST:
            raise UsageError(f"--tokenizer {folder}: {file.name} is larger than any tokenizer", way)
        found = json.loads(file.read_bytes())
    except OSError as error:
        raise UsageError(f"--tokenizer {folder}: {error.strerror or error}", way) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--tokenizer {folder}: {file.name} is no JSON", way) from error
    vocab = _vocab(found)
    if not vocab:
        raise UsageError(f"--tokenizer {folder}: {file.name} holds no vocabulary", way)
    added = [a for a in found.get("added_tokens") or [] if isinstance(a, dict) and isinstance(a.get("id"), int)]
    wide = _byte_level(found)
    bytes_of = {i: _bytes(token, wide) for i, token in vocab.items()}
    for one in added:
        bytes_of[one["id"]] = str(one.get("content", "")).encode("utf-8", "replace")
    special = {one["id"] for one in added if one.get("special")}
    names = {one["id"]: str(one.get("content", "")) for one in added}
    named = vocab | names
    never = {i for i in (special | {i for i in named if i < 8}) if i in named and _NEVER.match(named[i])}
    never |= {i for i, name in names.items() if _NEVER.match(name)}
    return Table(str(folder), bytes_of, frozenset(special), frozenset(never), names)


def _vocab(value: Any) -> dict[int, str]:
    model = value.get("model") if isinstance(value, dict) else None
    vocab = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocab, dict):
        return {i: str(token) for token, i in vocab.items() if isinstance(i, int) and i >= 0}
    if isinstance(vocab, list):
        return {i: str(entry[0]) for i, entry in enumerate(vocab) if isinstance(entry, list) and entry}
    return {}


def _byte_level(document: dict[str, Any]) -> bool:
    """Whether tokens are written as bytes in GPT-2's characters."""
    parts = [document.get("pre_tokenizer"), document.get("decoder")]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            if part.get("type") == "ByteLevel":
                return True
            parts += [held for held in part.values() if isinstance(held, dict | list)]
        elif isinstance(part, list):
            parts += part
    return False


def _gpt2() -> dict[str, int]:
    """Printable bytes stand for themselves, the others for the characters from 256 on, in order (GPT-2, encoder.py)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(rest)}


_GPT2 = _gpt2()


def _bytes(token: str, wide: bool) -> bytes:
    if wide:
        return bytes(_GPT2[c] for c in token) if all(c in _GPT2 for c in token) else token.encode("utf-8", "replace")
    lone = _FALLBACK.match(token)
    if lone:
        return bytes([int(lone.group(1), 16)])
    return token.replace("\u2581", " ").encode("utf-8", "replace")
