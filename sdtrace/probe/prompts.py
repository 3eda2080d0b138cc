"""Prompts to ask a server with, where the user brings none: prose, code, lists, arithmetic, copies, several languages."""

from pathlib import Path

from sdtrace.errors import NoInputError

BUILT_IN = (
    "Write a short story about a lighthouse keeper who finds a letter.",
    "def merge_sort(items):\n    \"\"\"Return the items in ascending order.\"\"\"\n",
    "List ten rivers in Europe with the country in which each begins.",
    "The three laws of thermodynamics are, in plain words:",
    "Translate into French: The train leaves at half past nine from platform four.",
    "SELECT name, count(*) FROM orders JOIN customers ON",
    "Explain to a child why the sky is blue.",
    "Q: What is 17 times 23? A: Let us work it out step by step.",
    "Dear Sir or Madam, I am writing to complain about",
    "Repeat this line five times: the quick brown fox jumps over the lazy dog.",
    "Es war einmal ein Müller, der hatte drei Söhne,",
    "{\"name\": \"sensor-12\", \"readings\": [",
    "A recipe for lentil soup. Ingredients:",
    "In the year 2150 the first city on the moon",
    "#include <stdio.h>\n\nint main(void) {\n",
    "The main differences between TCP and UDP are",
    "Un día de lluvia en la ciudad de México,",
    "Give three arguments for and three against working from home.",
    "Abstract. We study the convergence of stochastic gradient methods",
    "Once upon a midnight dreary, while I pondered,",
)  # fmt: skip


def prompts(file: str | None) -> list[str]:
    """The built-in ones, or a prompt a line of a file. Raises NoInputError where it holds none."""
    if file is None:
        return list(BUILT_IN)
    try:
        found = [line for line in Path(file).read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise NoInputError(
            f"{file}: {getattr(error, 'strerror', None) or 'no UTF-8 text'}", "one prompt a line"
        ) from None
    if not found:
        raise NoInputError(f"{file}: no prompt in it", "one prompt a line")
    return found
