"""Sections of a comparison: figures side by side, the attribution as a waterfall, slices, what was configured differently."""

from math import expm1

from sdtrace.comparison.compare import Change
from sdtrace.results.numbers import PER_STEP
from sdtrace.results.report import Chart, Section, Value
from sdtrace.results.words import is_share


def change_sections(change: Change) -> list[Section]:
    """In reading order; empty ones are left out."""
    made = [_settled(change), _figures(change), _waterfall(change), _slices(change), _configured(change)]
    return [section for section in made if section is not None]


_FATES = {"fixed": "FIXED", "still": "STILL THERE", "new": "NEW", None: "not recorded by the candidate"}


def _settled(change: Change) -> Section | None:
    """A row a cause."""
    if not change.settled:
        return None
    rows: list[list[Value]] = [[_FATES[r.change], r.cause, r.was, r.now, r.headline] for r in change.settled]
    counts = {fate: sum(r.change == fate for r in change.settled) for fate in _FATES}
    says = ", ".join(f"{n} {_FATES[fate].lower()}" for fate, n in counts.items() if n)
    columns = ["change", "cause", "base", "candidate", "finding"]
    return Section("settled", "What became of each cause", f"{says[0].upper()}{says[1:]}.", columns, rows)


def _figures(change: Change) -> Section:
    rows: list[list[Value]] = []
    for one in change.metrics:
        known = one.change
        ends = [_percent(v) for v in (known.value, known.low, known.high)] if known else [None, None, None]
        share = is_share(one.name)
        sides: list[Value] = [_share(v) if share else v for v in (one.base, one.candidate)]
        rows.append([_spoken(one.name), *sides, *ends])
    columns = ["figure", "base", "candidate", "change", "low (95%)", "high (95%)"]
    says = f"{change.answer.word.capitalize()}: {change.answer.says}."
    per_step = [_spoken(one.name) for one in change.metrics if one.name in PER_STEP]
    return Section("diff", "What changed", says, columns, rows, per_step=per_step)


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{value:+.1%}"


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.1%}"


def _spoken(name: str) -> str:
    """A figure with its unit behind it."""
    for ending, unit in (("_ms", ", ms"), ("_s", ", s")):
        if name.endswith(ending):
            name = name.removesuffix(ending) + unit
    return name.replace("_", " ")


def _waterfall(change: Change) -> Section | None:
    """The terms as bars of their own: a negative one is a loss."""
    if change.attribution is None:
        return None
    terms = change.attribution.terms
    rows: list[list[Value]] = [
        [t.name, *(_percent(None if v is None else expm1(v)) for v in (t.change.value, t.change.low, t.change.high))]
        for t in terms
    ]
    total = sum(t.change.value for t in terms)
    rows.append(["all", _percent(expm1(total)), None, None])
    least = min(terms, key=lambda t: t.change.value)
    says = f"Together the terms change throughput by {expm1(total):+.1%}"
    says += f"; {least.name} costs most, {expm1(least.change.value):+.1%}." if least.change.value < 0 else "."
    if change.attribution.strata:
        says += f" The mix of traffic is split by {' and '.join(change.attribution.strata)}."
    chart = Chart(
        "bars",
        "term",
        "change of throughput",
        [t.name for t in terms],
        {
            "loss": [max(-expm1(t.change.value), 0.0) for t in terms],
            "gain": [max(expm1(t.change.value), 0.0) for t in terms],
        },
        share=True,
    )
    columns = ["term", "change of throughput", "low (95%)", "high (95%)"]
    return Section("attribution", "What caused the change", says, columns, rows, chart)


def _slices(change: Change) -> Section | None:
    if not change.slices:
        return None
    rows: list[list[Value]] = []
    for s in change.slices:
        where = " and ".join(f"{k}={v}" for k, v in s.where.items()) or "everything else"
        told = s.contribution
        sure = None if s.confirmed is None else "yes" if s.confirmed else "no"
        rows.append([where, s.base, s.candidate, told.value, told.low, told.high, sure])
    says = "Contributions to the change of tokens per step; they add up. Found on one half of the requests, confirmed on the other."
    columns = ["where", "base", "candidate", "contribution", "low (95%)", "high (95%)", "confirmed"]
    return Section("slices", "Where it changed", says, columns, rows)


def _configured(change: Change) -> Section | None:
    if not change.configured:
        return None
    rows: list[list[Value]] = [[name, _shown(a), _shown(b)] for name, (a, b) in change.configured.items()]
    says = "Recorded settings in which the two sides differ."
    return Section("configured", "Configured differently", says, ["setting", "base", "candidate"], rows)


def _shown(value: object) -> str | int | None:
    return value if isinstance(value, str | int) or value is None else str(value)
