"""Why two sources of one session do not give the same figures: a sentence for each, for people."""

from collections.abc import Sequence

from sdtrace.counters.definitions import Totals, verifications
from sdtrace.counters.sources import CounterSource

#: Counts that differ by less than this share are the same counts.
SAME = 0.005
_NAMES = (("drafts", "steps"), ("drafted", "drafted"), ("accepted", "accepted"))


def beside(one: CounterSource, other: CounterSource) -> str:
    """What `other` says beside `one`: the same counts, or how many fewer and why."""
    if (one.engine, one.surface, one.basis) == (other.engine, other.surface, other.basis):
        return "the figures above"
    told = [(label, one.counts[name], other.counts[name]) for name, label in _NAMES]
    known = [(label, a, b) for label, a, b in told if a is not None and b is not None]
    if not known:
        return _means_only(one, other)
    differ = [(label, a, b) for label, a, b in known if abs(a - b) > SAME * max(a, b)]
    if not differ:
        return f"the same {_listed([label for label, _, _ in known])}{_not_counted(told)}"
    drafted = next(((a, b) for label, a, b in known if label == "drafted"), None)
    if drafted is not None and abs(drafted[0] - drafted[1]) <= SAME * max(drafted):
        label, a, b = differ[0]
        return f"the same {drafted[1]:,.0f} drafted, and {b:,.0f} {label} where {one.surface} has {a:,.0f}: one counter is wrong"
    label, a, b = differ[0]
    change = f"{abs(a - b):,.0f} {'fewer' if b < a else 'more'} {label} ({abs(a - b) / max(a, b):.1%})"
    return f"{change}: {_why(one, other, less=b < a)}{_not_counted(told)}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _not_counted(pairs: Sequence[tuple[str, float | None, float | None]]) -> str:
    absent = [label for label, a, b in pairs if a is not None and b is None]
    return f"; does not count {' or '.join(absent)}" if absent else ""


def _means_only(one: CounterSource, other: CounterSource) -> str:
    if other.basis == "gauge":
        return "last values that the server held, no counts; they are not summed over ranks"
    if other.length is not None and one.length is not None:
        gap = other.length - one.length
        return (
            f"means without counts: the plain mean of {other.windows:,} of them is {gap:+.2f} beside the ratio of sums"
        )
    if any(v is not None for v in other.counts.values()):
        return "counts nothing that the other one counts"
    return "counts nothing of speculation"


def _why(one: CounterSource, other: CounterSource, *, less: bool) -> str:
    """The reason that the kind and the time of the two sources give."""
    small, large = (other, one) if less else (one, other)
    if (time := _time(small, large)) is not None:
        return time
    if "by request" in small.surface or (small.basis == "request" and large.basis != "request"):
        return "requests are counted when they end, and only those whose record was kept"
    if small.basis == "counter" and small.windows > 1:
        return "counting begins with the first sample of the series"
    if small.basis in ("interval", "iteration"):
        return "stretches between lines that were lost, or printed before the log begins, are not in it"
    if large.basis == "request" and small.basis in ("counter", "lifetime"):
        return "a part of the requests went to another server, or the server began anew in between"
    return "the two cover other stretches, or one of them lost records"


def _time(small: CounterSource, large: CounterSource) -> str | None:
    ends = (small.first_at, small.last_at, large.first_at, large.last_at)
    if any(t is None or t < 1e9 for t in ends):
        return None
    first, last, begin, end = (t or 0.0 for t in ends)
    late, early = first - begin, end - last
    if max(late, early) < 10 or first > end or last < begin:
        return "they speak of other times" if first > end or last < begin else None
    told = [f"begins {late:,.0f} s later" if late >= 10 else "", f"ends {early:,.0f} s earlier" if early >= 10 else ""]
    return "it " + " and ".join(t for t in told if t)


def emitted(source: CounterSource, requests: float | None) -> str | None:
    """Where the emitted tokens came from: accepted, one a drafting step, prefill, steps without a draft; what was cut."""
    c = source.counts
    tokens, drafts, accepted = c["emitted"], c["drafts"], c["accepted"]
    if tokens is None or drafts is None or accepted is None:
        return None
    whole = f"Of {tokens:,.0f} emitted tokens {accepted:,.0f} were accepted drafts and {drafts:,.0f} came with them, one a step"
    rest = tokens - drafts - accepted
    if requests is None:
        told = f"{rest:,.0f} are first tokens of requests or came from steps without a draft"
        return f"{whole}; {told}." if rest > 0 else None
    first = f"{requests:,.0f} are first tokens of requests"
    plain = max(c["steps"] - drafts, 0.0) if c["steps"] is not None else max(rest - requests, 0.0)
    cut = drafts + accepted + requests + plain - tokens
    parts = [first, f"{plain:,.0f} came from steps without a draft" if plain else ""]
    told = " and ".join(p for p in parts if p)
    return f"{whole}; {told}" + (f"; {cut:,.0f} of those were cut at the end of a request." if cut > 0 else ".")


def over_all(source: CounterSource, requests: float | None) -> tuple[float, float] | None:
    """(every verification, tokens per step over all of them); None where nothing tells of steps without a draft."""
    c = source.counts
    if (
        c["drafts"] is None
        or c["accepted"] is None
        or (c["steps"] is None and (requests is None or c["emitted"] is None))
    ):
        return None
    t = Totals(c["drafts"], c["drafted"], c["accepted"], c["emitted"], source.k, c["steps"], (), requests)
    every = verifications(t)
    return None if not every or every <= c["drafts"] else (every, (c["accepted"] + every) / every)
