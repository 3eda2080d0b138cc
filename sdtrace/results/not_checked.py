"""What a report did not check: codes with their facts, which stages add and take away; the words come once, at the end."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

#: Stages that are no part of a plain report.
Stage = Literal["time", "replay", "history", "comparison"]
Code = Literal[
    "target-p", "not-replayed", "partly-replayed", "draws", "bias", "target-probs", "other-law", "unknown-rule", "tree",
    "watermark",
    "inferred", "undeclared", "rivals", "requests", "distrusted", "columns", "durations", "parts", "speed-bounds",
    "tuning", "said", "logprobs", "counts-decisions", "counts-target-p", "means", "lifetime", "in-order", "apart", "both-rules",
    "everything",
]  # fmt: skip
#: The stages have their words together, below.
WORDS: dict[Code | Stage, str] = {
    **dict.fromkeys(get_args(Stage), ""),
    "target-p": "whether p is the target model's own: a consistent trace can still be wrong, and only a replay would tell",
    "not-replayed": "whether p is the target model's own: no request could be run again ({why})",
    "partly-replayed": "whether p is the target model's own in {left:,} of {of:,} requests: not run again",
    "draws": "single decisions where p < q: the uniform draws are not logged, so only impossible events show",
    "bias": "a bias of acceptance under {visible:.2%}: {examined:,} tested positions show no less",
    "target-probs": "decisions: no target probabilities are logged",
    "other-law": "the declared law of run {run!r} does not fit; {law} does, and was used instead",
    "unknown-rule": "unknown rule: not judged (run {run!r} declares {rule!r}, which is none of the laws known here)",
    "tree": "how often run {run!r} should accept: of a draft tree ({law}) the record holds one token a node",
    "watermark": "draws, and means over many tokens, of run {run!r}: its verification is watermarked, and a key draws the same "
    "numbers in the same contexts; single decisions were recomputed",
    "inferred": "run {run!r} declares no law; {law} fits best{odds}",
    "undeclared": "means over many tokens of run {run!r}: they hold an engine to a law that it declares; record `rule`",
    "rivals": "{law} and {rivals} cannot be told apart on run {run!r}: neither was used to accuse",
    "requests": "sampling parameters, seeds and stop ids of {steps:,} steps: their request has no line",
    "distrusted": "what is left open by the record: the input cannot be read twice, so no law was used to accuse",
    "columns": "checks that need {columns} (not recorded)",
    "durations": "time: no step has a duration; record step_ms, draft_ms, verify_ms",
    "parts": "time: {columns} not recorded, and part of what is unattributed",
    "speed-bounds": "speed-up: bounds only ({why}); {ask}, or give --baseline-ms",
    "tuning": "tuning: {why}",
    "said": "{says}",
    "logprobs": "whether the logprobs themselves are the target model's: sdtrace replay --verifier tells",
    "counts-decisions": "single decisions: counts say how many tokens were accepted, not whether rightly; record a trace to see",
    "counts-target-p": "whether p is the target model's own: only a replay would tell",
    "means": "{source} prints means without counts: the figure is the plain mean of {windows:,} of them",
    "lifetime": "what the engine does now: one scrape of {source} counts since the engine started; two scrapes tell, or sdtrace watch",
    "in-order": "whether the scrapes of {source} are of one server: their names hold no time, and no counter fell from one to the next, so "
    "what was added between them is counted; a Unix time or the server in the file names tells",
    "apart": "whether the scrapes of {source} are of one server: they were added up as those of several; a Unix time or the server in "
    "the file names tells",
    "both-rules": "the accept rate of {source} fits both rules: {since:.1%} of drafted at k={k_since} (from 0.5.11 on) or {before:.1%} at "
    "k={k_before} (to 0.5.10, which counted the bonus); --speculative-num-draft-tokens, or the version, tells",
    "everything": "everything: no step and no figure was read",
}
_STAGES: dict[Stage, str] = {
    "time": "time",
    "replay": "replay",
    "history": "history",
    "comparison": "comparison with another trace",
}


@dataclass(frozen=True)
class NotChecked:
    """One thing that was not checked: a stage, or a code of WORDS with the facts that its sentence names."""

    code: Code | Stage
    facts: Mapping[str, str | int | float | None] = field(default_factory=dict)


#: What no plain report does.
STAGES = tuple(NotChecked(stage) for stage in _STAGES if stage != "time")


def without(notes: Iterable[NotChecked], *codes: Code | Stage) -> list[NotChecked]:
    """What is left when a stage has done its part."""
    return [note for note in notes if note.code not in codes]


def sentences(notes: Iterable[NotChecked]) -> list[str]:
    """The notes in words; stages that are missing share one sentence, where the first of them stands."""
    notes = list(notes)
    stages = [name for stage, name in _STAGES.items() if any(note.code == stage for note in notes)]
    shared = f"{', '.join(stages[:-1])} and {stages[-1]}" if len(stages) > 1 else "".join(stages)
    told = [WORDS[note.code].format(**note.facts) or f"{shared}: not part of this report" for note in notes]
    return list(dict.fromkeys(told))
