"""False alarms of corrupt text by its ids: python tests/bench/ids.py [--requests 10000] [--tokenizer FOLDER]; exit code 1 above one.

Clean answers in many languages (translated messages of installed programs, gettext's .mo files) and code (Python's own library),
tokenized by a made tokenizer, or by FOLDER's through the `tokenizers` library. Half of them have speculation, and each has the
same prompt as one without. Counted: answers that are suspected, and comparisons that prove something.
"""

import argparse
import gettext
import importlib
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sdtrace.responses.ids.judge import judge
from sdtrace.responses.ids.signs import Answer
from sdtrace.responses.ids.table import read_table
from tests.made.tokens import Tokenizer


def texts(rng: random.Random, count: int) -> list[str]:
    """Code and messages, a few hundred characters each, in no order."""
    held: list[str] = []
    for file in sorted(Path(random.__file__).parent.glob("*.py")):
        source = file.read_text("utf-8", "replace")
        held += [source[at : at + 600] for at in range(0, len(source) - 600, 2400)]
    code = len(held)
    for folder in ("/usr/share/locale", "/usr/share/vim"):
        for file in sorted(Path(folder).rglob("*.mo")):
            try:
                with file.open("rb") as stream:
                    messages = [
                        m for m in vars(gettext.GNUTranslations(stream))["_catalog"].values() if isinstance(m, str)
                    ]
            except (OSError, UnicodeError, ValueError, LookupError):
                continue
            rng.shuffle(messages)
            held += [" ".join(messages[at : at + 8]) for at in range(0, min(len(messages), 2000) - 8, 8)]
    print(f"{code:,} pieces of code, {len(held) - code:,} of messages")
    rng.shuffle(held)
    return [held[i % len(held)] for i in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--tokenizer")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    folder, made = given.tokenizer, Tokenizer(given.seed)
    if folder:
        real = importlib.import_module("tokenizers").Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))

        def encode(text: str) -> list[int]:
            return list(real.encode(text, add_special_tokens=False).ids)

    else:
        encode = made.encode
    answers = []
    for i, text in enumerate(texts(rng, given.requests)):
        half = len(text) // 3
        ids = encode(text[half:])
        cut = rng.randint(max(1, len(ids) // 2), max(1, len(ids)))
        answers.append(
            Answer(
                "r",
                f"a{i}",
                stretches=[ids[:cut]],
                prompt=encode(text[:half]),
                speculation=i % 2 == 0,
                finish="length" if rng.random() < 0.3 else "stop",
                key=("m", i // 2),
            )
        )
    if not folder:
        folder = str(made.write(Path(tempfile.mkdtemp())))
    found = judge(answers, read_table(folder))
    alarms = sum(row.suspicious + (row.proved is not None) for row in found.signs.values())
    for row in found.signs.values():
        print(
            f"{row.sign:<9} in {row.answers:>6,} answers, {row.suspicious} suspected, {'PROVED' if row.proved else 'not proved'}"
        )
    print(f"{alarms} false alarms on {found.answers:,} clean answers of {found.tokens:,} tokens")
    raise SystemExit(1 if alarms > 1 else 0)


if __name__ == "__main__":
    main()
