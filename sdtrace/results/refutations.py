"""What would change our mind about a cause: one sentence on what would have to be seen, and the command that looks."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from sdtrace.results.advice import Advice
from sdtrace.results.words import Side

#: How to look: INPUT is the input of the evidence, other words in capitals are the reader's to fill in.
_EXPLAIN = "sdtrace explain INPUT --request ID --step N"
_REPLAY = "sdtrace replay INPUT --verifier MODEL"
_REPORT = "sdtrace report INPUT"
_DIFF_OFF = "sdtrace diff SPECULATION_OFF INPUT"
_DIFF_BEFORE = "sdtrace diff BEFORE INPUT"
_SLICE = "sdtrace report INPUT --where tags.task=NAME"
_DETECT = "sdtrace detect INPUT"
_TUNE = "sdtrace tune INPUT"

_ROWS: dict[str, tuple[str, str]] = {
    "invalid-probabilities": (
        "the engine's own tensors at the step named hold probabilities, and the recorder wrote them wrongly",
        _EXPLAIN,
    ),
    "degenerate-target": ("a replay of the same tokens gives the same flat or one-hot rows: the model is so", _REPLAY),
    "sampling-params-ignored": (
        "the request named did not ask for that parameter, or the recorded p is from before it is applied",
        _EXPLAIN,
    ),
    "inverted-ratio": (
        "p and q stand in each other's column: then a report on the exchanged record is clean",
        _EXPLAIN,
    ),
    "lenient-acceptance": (
        "the acceptances named follow a rule that the run may declare, under which none of them disagrees",
        _REPORT,
    ),
    "synthetic-acceptance": (
        "the setting is off in the server's configuration, and acceptance differs between easy and hard requests",
        _DETECT,
    ),
    "one-sided-sampling-params": (
        "p and q of the step named were recorded at different points, one of them before its parameters",
        _EXPLAIN,
    ),
    "misaligned-draft-probs": (
        "q of the row named is that of its own position: then only the record is shifted",
        _EXPLAIN,
    ),
    "misaligned-target-probs": ("a replay finds the recorded p at the recorded position", _REPLAY),
    "accepted-past-rejection": (
        "the accepted tokens named stand on another branch of a draft tree, which the record leaves out",
        _EXPLAIN,
    ),
    "decision-mismatch": (
        "the engine uses a law that is not declared: name it in `rule`, and the decisions agree",
        _REPORT,
    ),
    "greedy-mismatch": (
        "the two best logits of the step named are a numerical tie in the engine's own precision",
        _EXPLAIN,
    ),
    "recovered-from-target": (
        "the run's law draws after a rejection from p itself, as the match law does: declare it",
        _REPORT,
    ),
    "recovered-not-residual": ("the recorded q is not the one that drafted, so that the residual is another", _EXPLAIN),
    "bonus-missing": ("the steps named ended at a stop id or at max_tokens, where no bonus follows", _EXPLAIN),
    "bonus-duplicated": (
        "the second token is the first of the next step, which the recorder wrote into this one",
        _EXPLAIN,
    ),
    "token-accounting": ("the client received as many tokens as the steps appended", _EXPLAIN),
    "corrupt-text": ("the ids named are in the vocabulary of the model that is served", _EXPLAIN),
    "emitted-after-stop": (
        "the request named asked to ignore its stop ids, or its client never received what stands behind them",
        _EXPLAIN,
    ),
    "draft-not-from-q": (
        "the drafted token named has a chance in the q that drafted it: then another q was recorded",
        _EXPLAIN,
    ),
    "uniforms-reused": ("the recorder copied a buffer twice: draws taken at the sampler do not repeat", _REPORT),
    "shared-noise": (
        "with a drafter's seed of its own nothing changes: the recovered tokens lean to the draft all the same",
        _DIFF_BEFORE,
    ),
    "degenerate-output": ("the same prompts loop without speculation too", _DIFF_OFF),
    "text-not-from-target": (
        "the same requests without speculation show the same difference between text and logprobs",
        _DIFF_OFF,
    ),
    "verifier-differs": (
        "a replay with the served precision, quantisation and adapter agrees with the recorded p",
        _REPLAY,
    ),
    "state-not-rolled-back": ("a replay agrees behind rejected tokens as well as it does before them", _REPLAY),
    "position-off-by-one": ("a replay at the recorded positions agrees with the recorded p", _REPLAY),
    "sampling-not-preserved": ("sampled requests, measured against the target's own distribution, follow it", _REPLAY),
    "kv-corrupted": (
        "answers of the requests named equal those without speculation and without cache sharing",
        _DIFF_OFF,
    ),
    "metric-inconsistent": ("the counters named are read at one moment, without a restart between them", _DETECT),
    "metric-definition": ("the two sources differ after the conversion too", _REPORT),
    "counters-missing": (
        "a scrape of every server's /metrics shows drafted and accepted tokens",
        "sdtrace report http://SERVER/metrics INPUT",
    ),
    "record-broken": ("the engine's own counters agree with the record as it stands", "sdtrace report INPUT METRICS"),
    "record-imprecise": ("p recorded behind the last cast shows the same decisions as wrong", _REPORT),
    "speculation-off": (
        "a later line or a scrape of the same server counts drafted tokens",
        "sdtrace report INPUT METRICS",
    ),
    "idle-speculation": ("most steps of busy hours carry a draft", "sdtrace report INPUT --since START --until END"),
    "series-outlier": ("the series named accepts like its siblings when it is given the same requests", _DIFF_BEFORE),
    "low-acceptance": ("tokens per second are higher than with speculation off, on the same requests", _DIFF_OFF),
    "drafter-miswired": ("the same drafter and target accept on another build or another machine", _DIFF_BEFORE),
    "long-context-decay": ("acceptance of one task at one temperature does not fall with its context", _SLICE),
    "traffic-shift": ("acceptance fell within every slice of the traffic, not between them", _DIFF_BEFORE),
    "draft-too-slow": ("the draft's time, taken on the device, is a smaller part of the step", _REPORT),
    "verification-not-free": ("a plain step at the same batch takes as long as a verifying one", _DIFF_OFF),
    "host-overhead": ("a profile shows the device busy between the passes", _REPORT),
    "tau-too-large": ("throughput falls when fewer tokens are drafted", _TUNE),
    "tau-too-small": ("throughput falls when more tokens are drafted", _TUNE),
    "kv-pressure": ("requests wait as long with half the load: then the queue is not the cache's", _REPORT),
    "prefill-heavy": ("time between tokens, without prompts, is no better than without speculation", _DIFF_OFF),
    "graph-missed": ("step times with and without a graph are alike in a profile", _REPORT),
    "stragglers": ("steps take as long when the slow rank or request is left out", _REPORT),
}
_DEFAULT: dict[Side, tuple[str, str]] = {
    "wrong": ("a replay of the real model agrees with the record at the step named", _REPLAY),
    "slow": ("tokens per second are higher than with speculation off, on the same requests", _DIFF_OFF),
    "metric": ("the engine's own counters agree with these", "sdtrace report INPUT METRICS"),
}

#: The checks of a cause that a line of a log alone shows.
ANNOUNCED = ("SD425",)
_ANNOUNCED = ("the engine prints the same line with speculation off, on the same requests", _DIFF_OFF)


def named() -> frozenset[str]:
    """Causes that have a sentence of their own."""
    return frozenset(_ROWS)


def refutation(
    cause: str, side: Side, evidence: Sequence[Mapping[str, Any]] = (), checks: Sequence[str] = ()
) -> Advice:
    """What would refute a cause, with the command on the input of its evidence. Where an announcement alone shows it, a line of a
    log is all that there is, so that no step can be explained or run again."""
    says, command = _ROWS.get(cause, _DEFAULT[side])
    if tuple(checks) == ANNOUNCED and command in (_EXPLAIN, _REPLAY):
        says, command = _ANNOUNCED
    path = next((str(row["path"]) for row in evidence if row.get("path")), None)
    return Advice(says, command if path is None else command.replace("INPUT", shlex.quote(path)))
