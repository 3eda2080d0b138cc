"""What the audit asks of an opened input."""

from collections.abc import Iterator
from typing import Protocol

from sdtrace.schema.trace import Batch


class OpenInput(Protocol):
    """What the audit asks of an opened input."""

    @property
    def path(self) -> str:
        """As the user named it."""

    @property
    def format(self) -> str:
        """The reader that claims it."""

    @property
    def engine(self) -> str | None:
        """Which engine wrote it, where the format tells."""

    @property
    def verified(self) -> bool:
        """A checksum stands over its content."""

    def batches(self) -> Iterator[Batch]:
        """The input from its beginning."""
