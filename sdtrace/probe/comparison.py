"""Two servers that were asked the same: where greedy answers part and by how much, whether sampled ones are alike, which is faster."""

import math
from dataclasses import dataclass, field
from typing import Any

from sdtrace.probe.ask import Answers, by_number
from sdtrace.probe.two_sample import LEVEL, SURE, two_sample
from sdtrace.responses.judge import TIE


@dataclass
class Comparison:
    """`url` of the other server. Greedy pairs: how many, how many part, of those within a near tie and beyond; `gaps` in nats.

    `p`: of `sampled` pairs of answers being drawn alike, by all statistics together; `each` of them alone; `loudest`: which tells most.
    `z`: difference of the mean surprisal of sampled answers over its deviation, responses as units. `speed`: of the first over the other.
    """

    url: str
    pairs: int = 0
    parted: int = 0
    ties: int = 0
    untold: int = 0
    gaps: list[dict[str, Any]] = field(default_factory=list)
    z: float | None = None
    speed: float | None = None
    other_speed: float | None = None
    sampled: int = 0
    p: float | None = None
    loudest: str = ""
    each: dict[str, float] = field(default_factory=dict)

    @property
    def differ(self) -> bool:
        """Whether sampled answers are not drawn alike."""
        return self.p is not None and self.p <= LEVEL

    @property
    def suspected(self) -> bool:
        """Whether that is worth a cause: once in a thousand comparisons of servers that draw alike."""
        return self.p is not None and self.p <= SURE


def compared(one: Answers, other: Answers, url: str) -> Comparison:
    """The answers of the probed server against those of the other one."""
    found, mine, theirs = Comparison(url), by_number(one), by_number(other)
    for n in sorted(mine.keys() & theirs.keys()):
        if not mine[n]["temperature"]:
            _part(found, mine[n], theirs[n])
    pairs = [(mine[n], theirs[n]) for n in sorted(mine.keys() & theirs.keys()) if mine[n]["temperature"]]
    found.sampled, told = len(pairs), two_sample(pairs)
    if told is not None:
        found.p, found.loudest, found.each = told.p, told.loudest, told.each
    found.z = _z(
        [_surprisal(row) for row in one.rows if row["temperature"]],
        [_surprisal(row) for row in other.rows if row["temperature"]],
    )
    fast, slow = one.speed(), other.speed()
    found.other_speed = slow
    found.speed = fast / slow if fast and slow else None
    return found


def as_document(against: Comparison) -> dict[str, Any]:
    """Plain values."""
    return {
        "url": against.url, "greedy_pairs": against.pairs, "parted": against.parted, "near_ties": against.ties, "untold": against.untold,
        "gaps": against.gaps, "surprisal_z": against.z, "tokens_per_second_per_request": against.other_speed,
        "sampled_pairs": against.sampled, "sampled_differ": None if against.p is None else against.differ, "sampled_p": against.p,
        "sampled_by": against.loudest or None, "sampled_each": against.each,
    }  # fmt: skip


def _part(against: Comparison, mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    against.pairs += 1
    both = zip(mine["token_ids"], theirs["token_ids"], strict=False)
    at = next((i for i, (a, b) in enumerate(both) if a != b), None)
    if at is None:
        return
    against.parted += 1
    listed = dict(zip(mine["top_ids"][at], mine["top_logprobs"][at], strict=True))
    gap, best, token = None, mine["logprobs"][at], theirs["token_ids"][at]
    if best is not None and listed:
        # a token that is not listed lies below all that are
        gap = abs(best - listed.get(token, min(listed.values())))
    untold = gap is None or (token not in listed and gap <= TIE)
    against.ties += gap is not None and gap <= TIE and not untold
    against.untold += untold
    place = {"request_id": mine["request_id"], "token_at": at, "gap": None if untold else gap}
    against.gaps.append(place | ({} if token in listed or untold else {"gap_is": "at least"}))


def _surprisal(row: dict[str, Any]) -> float:
    known = [-v for v in row["logprobs"] if v is not None and math.isfinite(v)]
    mean: float = sum(known) / max(len(known), 1)
    return mean


def _z(one: list[float], other: list[float]) -> float | None:
    if min(len(one), len(other)) < 5:
        return None
    means = [sum(x) / len(x) for x in (one, other)]
    spread = [sum((v - m) ** 2 for v in x) / (len(x) - 1) / len(x) for x, m in zip((one, other), means, strict=True)]
    return (means[0] - means[1]) / math.sqrt(sum(spread)) if sum(spread) > 0 else None
