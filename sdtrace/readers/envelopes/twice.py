"""A text in which every line stands twice, or that stands in the file twice as a whole: a shipper sent it again, or it was
pasted again. Of three different lines and more this is no chance; below that nothing is taken away.
"""

from sdtrace.readers.envelopes.text import Bare, Envelope, Lines

#: Different lines that a text must have.
DIFFERENT = 3


def lines_twice(lines: Lines) -> Bare | None:
    """Every line followed by itself, an even number of times."""
    known = [(n, text) for n, text in lines if text.strip()]
    once = known[::2]
    if len(known) % 2 or [text for _, text in once] != [text for _, text in known[1::2]]:
        return None
    return _without(lines, once)


def text_twice(lines: Lines) -> Bare | None:
    """The first half once more."""
    known = [(n, text) for n, text in lines if text.strip()]
    half = len(known) // 2
    if len(known) % 2 or [text for _, text in known[:half]] != [text for _, text in known[half:]]:
        return None
    return _without(lines, known[:half])


def _without(lines: Lines, once: Lines) -> Bare | None:
    if len({text for _, text in once}) < DIFFERENT:
        return None
    return Bare(once, len(lines) - 2 * len(once), len(once))


ENVELOPES = (
    Envelope("every line twice", lambda text: True, lines_twice),
    Envelope("a text that stands twice", lambda text: True, text_twice),
)
