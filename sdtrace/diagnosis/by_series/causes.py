"""What counts accuse, in words: who accepts too little, how sure that is, and what to do about it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sdtrace.checks.sd433_low_acceptance import ENOUGH, LOW
from sdtrace.diagnosis.by_series.judge import Judged, Rule
from sdtrace.results.cause import Cause, Outcomes, fired, joined, make
from sdtrace.results.cause_words import WORDS
from sdtrace.results.numbers import per_step

#: What one server runs with one drafter.
_ONE = ("engine", "rank", "slot")
#: Series that a headline names.
NAMED = 3

_UNKNOWN = (
    "; a drafter that looks text up (n-gram, suffix) finds nothing in text without repetition: switch it off there"
)
_OWN = "the other engines run the same drafter: take this one out of the rotation, restart it, and compare its start-up lines with theirs"
_STEP = (
    "compare the drafter's steps before and behind that position: hidden states, position ids, cache slots; draft no further than "
    "the position before until that is mended"
)
_ONE_TOKEN = (
    "compare tokens per second with speculation off: a draft of one token cannot be shortened; see whether the drafter fits the "
    "traffic and is wired as the engine expects"
)
_LOOKUP = "the lookup finds little in this text: switch speculation off for this traffic, or use a model that drafts"
_DEAR = "switch speculation off for this traffic, or use a drafter that fits it: no draft length makes this gain pay"
_LOAD = (
    "send the same requests one at a time: if acceptance stays high there, the engine mixes up what requests of a batch hold (hidden "
    "states, cache slots, padding of captured sizes); if not, the requests that come under load are other ones"
)
_CACHE = (
    "switch prefix caching off for a test: if acceptance comes back, the drafter's own cache or hidden states are not restored with "
    "the prefix"
)


def acceptance_causes(outcomes: Outcomes, rows: Sequence[Judged]) -> list[Cause]:
    """Causes about acceptance that counts show, by whole and by series."""
    made = [_miswired(outcomes, rows), _outlier(rows), _low(outcomes, rows), _idle(rows), _decays(rows)]
    causes = joined([], [cause for cause in made if cause is not None])
    causes = [c for i, c in enumerate(causes) if c.cause not in {b.cause for b in causes[:i]}]
    if any(c.cause == "drafter-miswired" for c in causes):
        causes = [c for c in causes if c.cause != "low-acceptance" or c.checks != ("SD433",)]
    return causes


def _broken(rows: Sequence[Judged], *rules: Rule) -> list[Judged]:
    """Those that break one of the rules; a whole that does speaks for its series."""
    hit = [j for j in rows if set(rules) & set(j.broken)]
    whole = {j.tally.engine for j in hit if j.tally.by == "all"}
    return [j for j in hit if j.tally.by == "all" or j.tally.engine not in whole]


def _miswired(outcomes: Outcomes, rows: Sequence[Judged]) -> Cause | None:
    zero, dead = ([j for j in _broken(rows, rule) if not j.lookup] for rule in _MISWIRED)
    if zero:
        best = _cause("drafter-miswired", "SD434", zero, _near_zero)
        if zero[0].tally.by != "all" and len(zero) < _siblings(rows, zero[0]):
            return replace(best, advice=_OWN, blame="scheduler")
        return replace(best, advice=best.advice + _UNKNOWN)
    if dead:
        return replace(_cause("drafter-miswired", "SD435", dead, _dead), advice=_STEP)
    if fired(outcomes, "SD432") and not any(j.lookup for j in rows):
        return make("drafter-miswired", "statistical", ["SD432"], outcomes)
    return None


_MISWIRED: tuple[Rule, Rule] = ("near-zero", "dead-position")


def _siblings(rows: Sequence[Judged], one: Judged) -> int:
    return sum(j.tally.engine == one.tally.engine and j.tally.by == one.tally.by and j.enough for j in rows)


def _outlier(rows: Sequence[Judged]) -> Cause | None:
    hit = [j for j in rows if j.against is not None]
    return _cause("series-outlier", "SD436", hit, _beside) if hit else None


def _idle(rows: Sequence[Judged]) -> Cause | None:
    hit = [j for j in rows if j.idle is not None]
    if not hit:
        return None
    made = _cause("idle-speculation", "SD439", hit, _still)
    return replace(
        made, certainty="suspected" if all(j.idle.certainty == "suspected" for j in hit if j.idle) else "statistical"
    )


def _decays(rows: Sequence[Judged]) -> Cause | None:
    """Falls with the prompt; with cached tokens it is the drafter's cache, under another name."""
    hit = [j for j in rows if j.decay is not None]
    if not hit or (falls := hit[0].decay) is None:
        return None
    if falls.what in ("prompt tokens", "context tokens"):
        return replace(_cause("long-context-decay", "SD440", hit, _falls), certainty=falls.certainty)
    made = replace(_cause("low-acceptance", "SD440", hit, _falls), certainty=falls.certainty, blame="scheduler")
    return replace(made, advice=_LOAD if falls.what == "running requests" else _CACHE)


def _falls(j: Judged) -> str:
    d = j.decay
    assert d is not None
    rate = d.longest.total("drafted") is not None
    short, long = (
        f"{f'{r.value:.0%}' if rate else f'{per_step(1 + r.value)} tokens per step'} at {end:,.0f} {d.what}"
        for r, end in zip((d.short, d.long), d.ends, strict=True)
    )
    of = {
        "running requests": "emptiest and the fullest third of the records",
        "context tokens": "shortest and the longest third of the records",
    }
    return f"from {short} to {long} (medians of the {of.get(d.what, 'shortest and the longest third of the requests')})"


def _low(outcomes: Outcomes, rows: Sequence[Judged]) -> Cause | None:
    """Too little to pay, of a lookup or in all; a series that is low by itself; or a low share, which only times can judge."""
    lookup = [j for j in _broken(rows, "near-zero", "dead-position") if j.lookup]
    if lookup:
        return replace(_cause("low-acceptance", "SD434", lookup, _near_zero), advice=_LOOKUP, blame="traffic")
    if dear := [j for j in _broken(rows, "cannot-pay") if "dead-position" not in j.broken]:
        return replace(_cause("low-acceptance", "SD437", dear, _gains), advice=_DEAR)
    low = [j for j in rows if j.broken == ("series-outlier",) and j.against is not None and j.against.mine.value < LOW]
    if low:
        return replace(_cause("low-acceptance", "SD436", low, _beside), advice=_OWN, blame="scheduler")
    own = [j for j in rows if j.tally.by in _OWN_DRAFTER and j.enough and not j.lookup and not j.chosen and _small(j)]
    if not fired(outcomes, "SD433"):
        made = _cause("low-acceptance", "SD433", own, lambda j: f"{_who(j)}{_share(j)}") if own else None
        return None if made is None else replace(made, certainty="suspected")
    small = [j for j in rows if j.tally.by == "all" and _small(j)]
    made = make("low-acceptance", "suspected", ["SD433"], outcomes)
    if not small:
        return made
    says = f"{WORDS['low-acceptance'].says}: {'; '.join(_share(j) for j in small[:NAMED])}"
    one = all((j.tally.total("drafted") or 0.0) <= 1.01 * (j.tally.total("drafts") or 0.0) for j in small)
    return replace(made, says=says, advice=_ONE_TOKEN if one else made.advice)


#: Series that have a drafter, or requests, of their own: what others accept says nothing of them.
_OWN_DRAFTER = ("model", "adapter", "drafter")


def _small(j: Judged) -> bool:
    drafted, accepted = j.tally.total("drafted"), j.tally.total("accepted")
    gains = (j.tally.length or 1.0) >= ENOUGH
    return drafted is not None and accepted is not None and accepted < LOW * drafted and not gains


def _share(j: Judged) -> str:
    t = j.tally
    drafted, accepted = t.total("drafted") or 1.0, t.total("accepted") or 0.0
    gained = "" if t.length is None or t.total("drafts") is None else f", {per_step(t.length)} tokens per drafting step"
    return f"{accepted:,.0f} of {drafted:,.0f} ({accepted / drafted:.1%}){gained}"


def _cause(cause: str, code: str, hit: Sequence[Judged], words: Any) -> Cause:
    side, blame, says, advice, *_ = WORDS[cause]
    hit = _once(hit)
    told = "; ".join(words(j) for j in hit[:NAMED]) + (f"; {len(hit) - NAMED} more" if len(hit) > NAMED else "")
    headline = told if cause == "drafter-miswired" else f"{says}: {told}"
    evidence = tuple(_place(j) for j in hit[:8])
    return Cause(cause, side, "statistical", (code,), headline, evidence, advice, blame, len(hit))


def _once(hit: Sequence[Judged]) -> list[Judged]:
    """Without the series that repeat a wider one: the one engine of a pod has the pod's own records."""
    kept: list[Judged] = []
    for j in hit:
        inside = (o for o in kept if j.tally.inside(o.tally))
        if not any(o.tally.engine == j.tally.engine and j.tally.steps > 0.5 * o.tally.steps for o in inside):
            kept.append(j)
    return kept


def _place(j: Judged) -> dict[str, Any]:
    t = j.tally
    row: dict[str, Any] = {"path": t.path, "line": t.line, "engine": t.engine, "surface": t.surface}
    row["series"] = t.label or None
    if t.counted:
        row |= {"steps": t.total("drafts"), "drafted": t.total("drafted"), "accepted": t.total("accepted")}
    row["tokens_per_step"] = t.length
    return {name: value for name, value in row.items() if value is not None}


def _who(j: Judged) -> str:
    return f"{j.tally.label}: " if j.tally.label else ""


def _accepted(j: Judged) -> str:
    t = j.tally
    drafted, accepted, steps = t.total("drafted"), t.total("accepted") or 0.0, t.steps
    if not t.counted:
        return f"{per_step(t.length or 1.0)} tokens per step in about {steps:,.0f} steps"
    if drafted is None:
        return f"{accepted:,.0f} tokens accepted in {steps:,.0f} steps"
    least = "" if t.total("drafts") is not None else "at least "
    return f"{accepted:,.0f} of {drafted:,.0f} drafted tokens accepted in {least}{steps:,.0f} steps"


def _near_zero(j: Judged) -> str:
    much = "no" if not j.first.hits else "hardly any"
    bound = f"the first position in less than {j.first.bound:.1%} of them (99% confidence)"
    return f"{_who(j)}{much} drafted token is accepted: {_accepted(j)}, {bound}"


def _dead(j: Judged) -> str:
    rare = j.behind
    assert rare is not None
    last = len(j.tally.parts["positions"].drop_nulls()[0]) - 1
    many = last > rare.position
    which = f"positions {rare.position} to {last} are" if many else f"position {rare.position} is"
    never = "never" if not rare.hits else "next to never"
    told = f"{rare.hits:,.0f} of {rare.trials:,.0f} steps that accepted position {rare.position - 1}"
    return f"{_who(j)}{which} {never} accepted behind an accepted one: {told}; the drafter's state is not carried on"


def _beside(j: Judged) -> str:
    a = j.against
    assert a is not None
    rate = j.tally.total("drafted") is not None
    mine, theirs = (f"{v:.1%}" if rate else f"{per_step(v)} tokens a step" for v in (a.mine.value, a.theirs.value))
    many = f"its {a.others} siblings {theirs} in the median" if a.others > 1 else f"its sibling {theirs}"
    mine = f"{mine} of its drafted tokens" if rate else mine
    return f"{j.tally.label} accepts {mine}, {many}" + (", with the same drafter" if j.tally.by in _ONE else "")


def _gains(j: Judged) -> str:
    assert j.gain is not None
    value, most = per_step(1 + j.gain.value), per_step(1 + j.gain.high)
    return f"{_who(j)}{value} tokens per drafting step, less than {most} (99% confidence); {_accepted(j)}"


def _still(j: Judged) -> str:
    assert j.idle is not None
    return f"{j.idle.share:.0%} of {j.idle.steps:,.0f} steps of {j.tally.engine} had no draft"
