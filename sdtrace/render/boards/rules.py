"""Alert rules for Prometheus: what speculative decoding does when it breaks, as conditions on the engines' own metrics.

Each rule asks for evidence enough: a share of 1,000 draft tokens that is below 1% is not chance (upper bound of 0 of
1,000 at 99%: 0.5%). A rule that a lawful engine can meet is a warning, and its description says how it could.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sdtrace.history.usual import Usual
from sdtrace.render.boards import figures
from sdtrace.render.boards.figures import ENGINES, Engine, Names
from sdtrace.render.html import templates

WINDOW = "15m"
#: Draft tokens in a window below which nothing is said.
TOKENS = 1000
#: Below this share nothing is accepted; above that share everything is.
NOTHING, EVERYTHING = 0.01, 0.995
#: Tokens per drafting step below which drafting cannot pay for itself.
PAYS = 1.15
#: A fall against the day before, and a series against the median of its siblings, as shares.
FALL, APART = 0.75, 0.5
#: Siblings that make a comparison.
SIBLINGS = 3

Severity = Literal["critical", "warning"]


@dataclass(frozen=True)
class Rule:
    """One alert: when, for how long, and what is said; `engine` is the label that tells rules of one name apart."""

    alert: str
    expr: str
    wait: str
    severity: Severity
    summary: str
    description: str
    engine: str | None = None


def groups(names: Names, engines: Sequence[Engine] = ENGINES, usual: Usual | None = None) -> Mapping[str, list[Rule]]:
    """Name of the group -> its rules: one group an engine, and one for the textfile of `sdtrace nightly`."""
    made = {
        f"speculation-{e.name}": [replace(rule, engine=e.name) for rule in _engine(names, e, usual)] for e in engines
    }
    return made | {"sdtrace-nightly": list(_nightly())}


def dumps(names: Names, engines: Sequence[Engine] = ENGINES, usual: Usual | None = None) -> str:
    """The rules file of Prometheus (YAML)."""
    made = Environment(
        loader=FileSystemLoader(templates()),
        autoescape=False,  # YAML: every value from outside the rules is `quoted`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["quoted"] = partial(json.dumps, ensure_ascii=False)  # a string of JSON is one of YAML
    return made.get_template("alerts.yml").render(groups=groups(names, engines, usual), usual=usual)


def _engine(names: Names, engine: Engine, usual: Usual | None) -> Iterator[Rule]:
    rate, length = figures.acceptance(names, engine, WINDOW), figures.tokens_per_step(names, engine, WINDOW)
    enough = figures.enough(names, engine, TOKENS, WINDOW)
    if rate is None or enough is None:
        return
    yield Rule(
        "SpeculationAcceptsNothing",
        f"({rate}) < {NOTHING} and {enough}",
        "5m",
        "critical",
        "No draft token is accepted",
        "{{ $value | humanizePercentage }} of the draft tokens of the last "
        + WINDOW
        + " were accepted. The drafter or its "
        "state is broken (weights, vocabulary, cache), or its input is not the target's. Run: sdtrace report on the log.",
    )
    if length is not None:
        yield Rule(
            "SpeculationDoesNotPay",
            f"({length}) < {PAYS} and {enough}",
            "30m",
            "warning",
            "Speculation gains almost nothing",
            "{{ $value | humanize }} tokens per drafting step: drafting costs more than it gains. "
            "Run: sdtrace tune on a trace or log.",
        )
    yield _fall(rate, enough, usual)
    yield Rule(
        "SpeculationSeriesApart",
        f"({rate}) / on (job) group_left () quantile by (job) (0.5, {rate}) < {APART}"
        f" and on (job) count by (job) ({rate}) >= {SIBLINGS} and {enough}",
        "15m",
        "warning",
        "One engine accepts half of what its siblings accept",
        "Its acceptance is {{ $value | humanizePercentage }} of the median of its job. With the same drafter and the same "
        "traffic the engine is at fault; with traffic of its own (routing by tenant) it need not be.",
    )
    if engine.drafted and engine.accepted:
        yield from _counters(names, engine, rate, enough)


def _fall(rate: str, enough: str, usual: Usual | None) -> Rule:
    """Acceptance below what the history calls usual, or below the day before where there is no history."""
    if usual is not None:
        return Rule(
            "SpeculationAcceptanceFell",
            f"({rate}) < {usual.least:.4g} and {enough}",
            "15m",
            "warning",
            "Acceptance is below its usual range",
            f"{{{{ $value | humanizePercentage }}}} of the draft tokens are accepted; usual are {usual.median:.1%} over "
            f"{usual.nights} nights. Another traffic or a deploy does this too. Run: sdtrace diff on a log before and after.",
        )
    return Rule(
        "SpeculationAcceptanceFell",
        f"({rate}) < {FALL} * avg_over_time(({rate})[1d:15m] offset 1h) and {enough}",
        "15m",
        "warning",
        "Acceptance fell by a quarter against the day before",
        "{{ $value | humanizePercentage }} of the draft tokens are accepted. Another traffic or a deploy does this too. "
        "Run: sdtrace diff on a log before and after.",
    )


def _counters(names: Names, engine: Engine, rate: str, enough: str) -> Iterator[Rule]:
    """What only counters tell."""
    assert engine.drafted is not None
    yield Rule(
        "SpeculationAcceptsEverything",
        f"({rate}) > {EVERYTHING} and ({rate}) <= 1.001 and {enough}",
        "15m",
        "warning",
        "Every draft token is accepted",
        "{{ $value | humanizePercentage }} of the draft tokens are accepted. Too high is as suspicious as too low: forced "
        "or synthetic acceptance, or a drafter that is the target. Copied text does this too. Record a trace and run: sdtrace report.",
    )
    yield Rule(
        "SpeculationCountersImpossible",
        f"({rate}) > 1.001 and {enough}",
        "5m",
        "warning",
        "More tokens accepted than drafted",
        "{{ $value | humanizePercentage }} of the draft tokens are said to be accepted. The metric is wrong, not the engine's "
        "text. Do not use it.",
    )
    if engine.emitted:
        drafted = names.of(engine, engine.drafted)
        yield Rule(
            "SpeculationStopped",
            f"increase({drafted}[{WINDOW}]) == 0 and increase({names.of(engine, engine.emitted)}[{WINDOW}]) > {TOKENS}"
            f" and increase({drafted}[1d] offset {WINDOW}) > 0",
            "15m",
            "warning",
            "Speculation stopped",
            "Tokens are generated, and none is drafted since {{ $labels.instance }} drafted last. A switch by load or an n-gram "
            "drafter without matches does this too.",
        )


def _nightly() -> Iterator[Rule]:
    yield Rule(
        "SdtraceWrong",
        'sdtrace_verdict{state="wrong"} == 1',
        "0m",
        "critical",
        "sdtrace: the text of the last night is wrong",
        "The last report has the verdict WRONG. Open latest.html of the nightly pages.",
    )
    yield Rule(
        "SdtraceAlarm",
        "sdtrace_alarm == 1",
        "0m",
        "warning",
        "sdtrace: alarm {{ $labels.alarm }}",
        "Service {{ $labels.service }}, side {{ $labels.side }}. Open the nightly pages; acknowledge with "
        "sdtrace nightly --acknowledge.",
    )
    yield Rule(
        "SdtraceNightMissing",
        'time() - node_textfile_mtime_seconds{file=~".*sdtrace.*"} > 36 * 3600',
        "0m",
        "warning",
        "sdtrace: no night for 36 hours",
        "The textfile of sdtrace nightly was last written {{ $value | humanizeDuration }} ago.",
    )
