"""What can go wrong on the user's side, each with a slug and a way out.

Caught once, in the commands, which print the message and the hint and choose the exit code.
"""

from collections.abc import Iterable

from sdtrace.redaction import redacted


def nearest(name: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """The hint for a word that is not known: the one that looks most like it, else `otherwise`, else all of them."""
    from difflib import get_close_matches  # only where somebody slipped

    words = list(known)
    begun = [word for word in words if len(name) > 3 and word.lower().startswith(name.lower())]
    near = begun or get_close_matches(name.lower(), words, 1, 0.6)
    if near:
        return f"did you mean {near[0]}?" + (f" {otherwise}" if otherwise else "")
    return otherwise or "known: " + ", ".join(words)


class SdtraceError(Exception):
    """Base of every error that a user may see: what happened (`reason`), to which input or file (`place`, where that is known), both
    in one sentence (`message`), what to do (`hint`).
    """

    slug = "error"
    exit_code = 2

    def __init__(self, reason: str, hint: str, place: str | None = None) -> None:
        self.reason, self.hint = redacted(reason), redacted(hint)  # they quote addresses
        self.place = None if place is None else redacted(place)
        self.message = self.reason if place is None else f"{self.place}: {self.reason}"
        super().__init__(self.message)
        self.add_note(f"hint: {self.hint}")  # a traceback in a program shows the way out too

    def __reduce__(self) -> tuple[type["SdtraceError"], tuple[str, str, str | None]]:
        return type(self), (self.reason, self.hint, self.place)  # an error of a worker reaches the command whole

    def of(self, path: str) -> str:
        """What happened, told of an input: its own place is left out."""
        return self.reason if self.place == redacted(path) else self.message


class UsageError(SdtraceError):
    """The command was called with something that cannot be meant."""

    slug = "usage"


class NoInputError(SdtraceError):
    """Nothing was given, nothing was found, or nothing that was found is recognised."""

    slug = "no-input"
    exit_code = 3


class OutputError(SdtraceError):
    """A result could not be written where it was asked for."""

    slug = "output"


class MissingExtraError(SdtraceError):
    """An optional dependency is needed for what was asked."""

    slug = "missing-extra"


class StateError(SdtraceError):
    """A state folder cannot be used: damaged, of a newer version, or not one."""

    slug = "state"


class StateHeldError(SdtraceError):
    """Another run holds the state folder."""

    slug = "state-held"
    exit_code = 6
