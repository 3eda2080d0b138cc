"""Signs of corrupt text weighed: by themselves they are suspected; the same prompts without speculation, or of siblings, prove them.

A comparison is by prompt: of each prompt that both sides answered under the same parameters, as many answers of one as of the
other; under a correct engine either side is as likely to have more of a sign, so of the prompts that differ half go either way
(sign test). Prompts are independent; copies of one prompt are not, and count once.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sdtrace.responses.ids.signs import ALONE, Answer, Found, Sign, signs
from sdtrace.responses.ids.table import Table
from sdtrace.stats.binomial import at_least

#: Chance of a false alarm of one comparison.
LEVEL = 1e-6
#: Share of tokens without an entry from which the table is not this model's.
FOREIGN = 0.02
#: Witnesses of a sign.
_SHOWN = 5


@dataclass(frozen=True)
class Compared:
    """Prompts that differ: `more` where `here` has more of the sign, `fewer` where the other side has; `chance` under the law."""

    here: str
    other: str
    more: int
    fewer: int
    prompts: int
    chance: float


@dataclass
class Weighed:
    """One sign over all answers."""

    sign: Sign
    known: int = 0
    answers: int = 0
    count: int = 0
    suspicious: int = 0
    witnesses: list[tuple[Answer, int | None]] = field(default_factory=list)
    compared: list[Compared] = field(default_factory=list)
    slices: list[tuple[str, int, int]] = field(default_factory=list)  #: name, answers with the sign, answers

    @property
    def proved(self) -> Compared | None:
        """The comparison that shows it, if one does."""
        return min((c for c in self.compared if c.chance <= LEVEL), key=lambda c: c.chance, default=None)


@dataclass(frozen=True)
class Judged:
    """What the ids show; `foreign`: the share of tokens that the table lacks is that of another model's table."""

    answers: int
    tokens: int
    signs: dict[Sign, Weighed]
    foreign: bool
    matched: int  #: prompts answered with speculation and without


def judge(answers: Sequence[Answer], table: Table | None) -> Judged:
    """All signs over all answers."""
    found = [signs(one, table) for one in answers]
    tokens = sum(f.tokens for f in found)
    foreign = sum(f.counts.get("no-entry", 0) for f in found) > FOREIGN * max(tokens, 1)
    sides = _sides(answers)
    names: list[Sign] = (
        ["length"] if foreign or table is None else ["control", "no-entry", "script", "broken", "copy", "length"]
    )
    weighed = {name: _weigh(name, answers, found, sides) for name in names}
    matched = next((len(pairs) for one, other, pairs in sides if one == "speculation"), 0)
    return Judged(len(answers), tokens, weighed, foreign, matched)


#: (name of a side, name of the other, pairs of answers by prompt: as many here as there).
Sides = list[tuple[str, str, list[tuple[list[int], list[int]]]]]


def _sides(answers: Sequence[Answer]) -> Sides:
    by_prompt: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for i, one in enumerate(answers):
        if one.key:
            by_prompt[one.key].append(i)
    groups = list(by_prompt.values())
    known = [[i for i in group if answers[i].speculation is not None] for group in groups]
    found: Sides = [("speculation", "the same prompts without", _pairs(known, lambda i: bool(answers[i].speculation)))]
    runs = sorted({one.run_id for one in answers})
    if 1 < len(runs) <= 32:
        found += [(f"run {run}", "its siblings", _of_run(groups, answers, run)) for run in runs]
    return [side for side in found if side[2]]


def _of_run(groups: Sequence[list[int]], answers: Sequence[Answer], run: str) -> list[tuple[list[int], list[int]]]:
    """Pairs of one run against the others that have speculation as it has."""
    modes = {answers[i].speculation for group in groups for i in group if answers[i].run_id == run}
    alike = [[i for i in group if answers[i].speculation in modes] for group in groups]
    return _pairs(alike, lambda i: answers[i].run_id == run)


def _pairs(groups: Sequence[list[int]], here: Callable[[int], bool]) -> list[tuple[list[int], list[int]]]:
    found = []
    for group in groups:
        mine, other = [i for i in group if here(i)], [i for i in group if not here(i)]
        n = min(len(mine), len(other))
        if n:
            found.append((mine[:n], other[:n]))
    return found


def _weigh(sign: Sign, answers: Sequence[Answer], counted: Sequence[Found], sides: Sides) -> Weighed:
    row = Weighed(sign)
    most = ALONE.get(sign)
    marked = []
    for one, f in zip(answers, counted, strict=True):
        n = f.counts.get(sign, 0)
        row.known += sign in f.known
        row.answers += n > 0
        row.count += n
        marked.append(n > 0)
        if most is not None and n >= most:
            row.suspicious += 1
            if len(row.witnesses) < _SHOWN:
                row.witnesses.append((one, f.first.get(sign)))
    for here, other, pairs in sides:
        both = [(a, b) for a, b in pairs if all(sign in counted[i].known for i in (*a, *b))]
        score = [(sum(_of(counted[i], sign) for i in a), sum(_of(counted[i], sign) for i in b)) for a, b in both]
        more, fewer = sum(a > b for a, b in score), sum(a < b for a, b in score)
        row.compared.append(Compared(here, other, more, fewer, len(both), at_least(more, more + fewer)))
    if (proof := row.proved) is not None and not row.witnesses:
        row.witnesses = [
            (one, f.first.get(sign))
            for one, f, is_ in zip(answers, counted, marked, strict=True)
            if is_ and _here(one, proof)
        ][:_SHOWN]
    row.slices = _slices(answers, counted, sign)
    return row


def _here(one: Answer, proof: Compared) -> bool:
    return bool(one.speculation) if proof.here == "speculation" else proof.here == f"run {one.run_id}"


def _of(signs: Found, sign: Sign) -> float:
    """How much of a sign an answer has: for copies, the share that is wrong."""
    n = signs.counts.get(sign, 0)
    return n / (n + signs.copies) if sign == "copy" and n else float(n)


def _slices(answers: Sequence[Answer], counted: Sequence[Found], sign: Sign) -> list[tuple[str, int, int]]:
    """Answers with the sign, by speculation, prefix hit, batch size and place of the first one."""
    sizes = sorted(one.batch for one in answers if one.batch is not None)
    middle = sizes[len(sizes) // 2] if sizes else None
    told: dict[str, tuple[int, int]] = {}
    for one, f in zip(answers, counted, strict=True):
        if sign not in f.known:
            continue
        here = f.counts.get(sign, 0) > 0
        names = [] if one.speculation is None else ["with speculation" if one.speculation else "without speculation"]
        if one.cached is not None:
            names.append("prefix in the cache" if one.cached else "no prefix in the cache")
        if middle is not None and one.batch is not None and sizes[0] < sizes[-1]:
            names.append(f"batches of {middle:g} and more" if one.batch >= middle else f"batches under {middle:g}")
        if here and sign in f.first:
            names.append("first in the first quarter" if 4 * f.first[sign] < f.tokens else "first later than a quarter")
        for name in names:
            with_, of = told.get(name, (0, 0))
            told[name] = (with_ + here, of + 1)
    return [(name, with_, of) for name, (with_, of) in sorted(told.items())]
