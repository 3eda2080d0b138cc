"""A tokenizer made from texts: words cut into pieces at random, rare characters as lone bytes, and its tokenizer.json."""

import json
import random
import re
from pathlib import Path

_WORD = re.compile(r" ?[^\W_]+|\s|.", re.DOTALL)
NEVER, ENDS, TOOL = "<s>", "<|im_end|>", "<|tool_call|>"


class Tokenizer:
    """Ids in order of first use, behind the special ones and the 256 bytes; `tokenizer.json` is that of SentencePiece BPE."""

    def __init__(self, seed: int = 0) -> None:
        self.special = [NEVER, ENDS, TOOL]
        self.ids = {token: i for i, token in enumerate([*self.special, *(f"<0x{b:02X}>" for b in range(256))])}
        self.rng = random.Random(seed)

    def encode(self, text: str, lone: float = 0.02) -> list[int]:
        """Ids of a text; a share `lone` of its characters beyond ASCII is written as bytes."""
        found = []
        for word in _WORD.findall(text.replace("\u2581", "_")):
            left = word
            while left:
                if not left[0].isascii() and self.rng.random() < lone:
                    found += [self.ids[f"<0x{b:02X}>"] for b in left[0].encode("utf-8", "replace")]
                    left = left[1:]
                    continue
                n = min(len(left), self.rng.randint(2, 7))
                piece = left[:n].replace(" ", "\u2581")
                found.append(self.ids.setdefault(piece, len(self.ids)))
                left = left[n:]
        return found

    def write(self, folder: Path) -> Path:
        """The folder, with its tokenizer.json."""
        folder.mkdir(parents=True, exist_ok=True)
        added = [{"id": self.ids[name], "content": name, "special": True} for name in self.special]
        whole = {"model": {"type": "BPE", "vocab": self.ids}, "added_tokens": added}
        (folder / "tokenizer.json").write_text(json.dumps(whole))
        return folder
