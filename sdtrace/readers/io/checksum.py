"""Whether an input carries a checksum over its content: only then is a single odd record the recorder's and no flipped bit's."""

import zstandard

from sdtrace.readers.io.source import Source

#: Containers that always carry one: CRC-32 (RFC 1952), CRC of each block (bzip2), CRC-32 or CRC-64 (xz), CRC-32 (zip).
_ALWAYS = frozenset({"gz", "bz2", "xz", "zip"})


def has_checksum(src: Source) -> bool:
    """By the container; a zst frame says in its header whether it has one (RFC 8878 3.1.1.1.1). Plain files have none."""
    if src.packing != "zst" or src.file is None:
        return src.packing in _ALWAYS
    try:
        with src.file.open("rb") as raw:
            return bool(zstandard.get_frame_parameters(raw.read(18)).has_checksum)
    except (OSError, zstandard.ZstdError):
        return False
