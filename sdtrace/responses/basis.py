"""What the logprobs of a server are of: the same prompt at two temperatures lists the same values, or it does not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from sdtrace.schema.responses import Response

#: Temperatures further apart than this tell.
_APART = 1.15
#: Values this close are the same; further apart than the other they are not.
_SAME, _OTHER = 0.01, 0.5
#: Prompts that are remembered.
_KEPT = 2_000

Group = tuple[str, str]


@dataclass
class Basis:
    """First positions of responses by prompt, and what pairs of them said of their server: raw, or not raw."""

    first: dict[tuple[Group, bytes], dict[float, dict[int, float]]] = field(default_factory=dict)
    raw: dict[Group, int] = field(default_factory=dict)
    shaped: dict[Group, int] = field(default_factory=dict)

    def see(self, row: Response) -> None:
        """Compare the first position of a response with those of its prompt at other temperatures."""
        t, prompt = row["temperature"], row["prompt_token_ids"]
        if not prompt or t is None or t < 0.1 or not row["top_ids"] or len(row["top_ids"][0]) < 2 or row["steered"]:
            return
        group = row["engine"], row["model"] or ""
        key = group, blake2b(repr(prompt).encode(), digest_size=8).digest()
        if key not in self.first and len(self.first) >= _KEPT:
            return
        mine = dict(zip(row["top_ids"][0], row["top_logprobs"][0], strict=True))
        others = self.first.setdefault(key, {})
        for other, values in others.items():
            if max(t, other) / min(t, other) > _APART:
                self._compare(group, mine, values)
        others.setdefault(t, mine)

    def _compare(self, group: Group, one: Mapping[int, float], other: Mapping[int, float]) -> None:
        both = [abs(one[i] - other[i]) for i in one.keys() & other.keys() if min(one[i], other[i]) > -50]
        if len(both) < 2:
            return
        wide = max(one.values()) - min(v for v in one.values() if v > -50) > _OTHER
        if max(both) < _SAME and wide:
            self.raw[group] = self.raw.get(group, 0) + 1
        elif max(both) > _OTHER:
            self.shaped[group] = self.shaped.get(group, 0) + 1

    def known(self, group: Group) -> str | None:
        """raw, shaped (scaled or processed), or None where nothing tells or pairs contradict each other."""
        raw, shaped = self.raw.get(group, 0), self.shaped.get(group, 0)
        return None if bool(raw) == bool(shaped) else "raw" if raw else "shaped"

    def join(self, other: "Basis") -> None:
        """Add what another part saw."""
        for mine, theirs in ((self.raw, other.raw), (self.shaped, other.shaped)):
            for group, n in theirs.items():
                mine[group] = mine.get(group, 0) + n
        for key, values in other.first.items():
            if key in self.first or len(self.first) < _KEPT:
                self.first.setdefault(key, {}).update(values)
