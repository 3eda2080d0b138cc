"""What to do, or how to look, as a value: a sentence, and the command beside it, which pages print on a line of its own."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Advice:
    """`command`: what to type, quoted for a shell; None where the sentence says it all."""

    says: str
    command: str | None = None

    def in_line(self, between: str = "; ") -> str:
        """Both in one line."""
        return self.says if self.command is None else f"{self.says}{between}{self.command}"

    def row(self) -> dict[str, str | None]:
        """As the document has it."""
        return asdict(self)
