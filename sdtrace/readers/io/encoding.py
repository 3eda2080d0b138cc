"""UTF-16 and UTF-32, as PowerShell and editors write them, read as UTF-8."""

import codecs
import io
from typing import IO, Any

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def encoding(head: bytes) -> str | None:
    """The encoding that a head shows, None for UTF-8. Without a mark every second byte of English text is 0."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    sample = head[:4096]
    even, odd = sample[0::2], sample[1::2]
    if len(odd) < 16 or b"PAR1" in head[:8]:
        return None
    if odd.count(0) > 0.7 * len(odd) and even.count(0) < 0.1 * len(even):
        return "utf-16-le"
    return "utf-16-be" if even.count(0) > 0.7 * len(even) and odd.count(0) < 0.1 * len(odd) else None


class Recoded(io.RawIOBase):
    """A stream of another encoding as UTF-8; bytes that are no text become U+FFFD, the byte order mark goes."""

    def __init__(self, raw: IO[bytes], name: str) -> None:
        self._raw, self._decoder = raw, codecs.getincrementaldecoder(name)("replace")
        self._ready, self._begun = b"", False

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        while not self._ready:
            block = self._raw.read(1 << 16)
            text = self._decoder.decode(block, final=not block)
            if not self._begun:
                text = text.removeprefix("\ufeff")
                self._begun = bool(text)
            self._ready = text.encode("utf-8", "replace")
            if not block and not self._ready:
                return 0
        given = self._ready[: len(into)]
        into[: len(given)], self._ready = given, self._ready[len(given) :]
        return len(given)
