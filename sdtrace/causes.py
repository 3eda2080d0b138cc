"""From fired checks to named causes: what is wrong, whom it points at, what to do next.

The order of `_TABLE` is the order of strength among equals: a proof beats a statistic, a statistic beats a suspicion,
and a fault that explains another one's symptoms stands before it and takes its checks.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sdtrace.finding import Outcome
from sdtrace.wrong import Explanation

Outcomes = Mapping[str, Outcome]


@dataclass(frozen=True)
class Cause:
    """A row of `causes` in the document, with whom it blames."""

    cause: str
    side: str
    certainty: str
    checks: tuple[str, ...]
    headline: str
    evidence: tuple[dict[str, Any], ...]
    advice: str
    blame: str
    weight: int = 0
    effect: str | None = None


#: cause -> (side, blame, what it says, what to do)
_WORDS: dict[str, tuple[str, str, str, str]] = {
    "invalid-probabilities": (
        "wrong",
        "verifier",
        "recorded values are no probabilities: NaN, infinite or outside [0, 1]",
        "look for NaN rows in the logits of the step named; a kernel or a cast produced them before the sampler ran",
    ),
    "degenerate-target": (
        "wrong",
        "verifier",
        "the target's distribution is flat or one-hot where a model's cannot be",
        "compare the target's logits with a run without speculation; suspect an uninitialised or zeroed buffer",
    ),
    "inverted-ratio": (
        "wrong",
        "sampler",
        "the ratio is upside down: accepted when r <= q/p",
        "swap target and draft probabilities in the acceptance test",
    ),
    "lenient-acceptance": (
        "wrong",
        "sampler",
        "the sampler accepts too much: lenient acceptance",
        "look for an acceptance threshold in the engine's flags and set it to its lossless value",
    ),
    "synthetic-acceptance": (
        "wrong",
        "config",
        "acceptance does not look at the models: a coin decides",
        "a benchmark setting is on (synthetic or simulated acceptance); remove it from production",
    ),
    "one-sided-sampling-params": (
        "wrong",
        "sampler",
        "sampling parameters are applied to one side of the ratio only",
        "apply temperature, top-k and top-p to the target before the test, as to the distribution that the draft was drawn from",
    ),
    "misaligned-draft-probs": (
        "wrong",
        "scheduler",
        "decisions used the draft probabilities of another row",
        "check how draft rows are gathered after batching, reordering and padding",
    ),
    "misaligned-target-probs": (
        "wrong",
        "verifier",
        "decisions used the target probabilities of another row",
        "check the index of the target's logits: position j is decided by the row before token j",
    ),
    "accepted-past-rejection": (
        "wrong",
        "sampler",
        "tokens were accepted after the first rejection of their step",
        "the accepted block must end at the first rejection: use the cumulative product of the decisions, not their sum",
    ),
    "decision-mismatch": (
        "wrong",
        "sampler",
        "accept/reject decisions are wrong and fit no known wrong rule",
        "compare one of the decisions below with the sampler's inputs; a replay with the real verifier tells whether p is right",
    ),
    "greedy-mismatch": (
        "wrong",
        "sampler",
        "tokens kept at temperature 0 are not the target's most probable ones",
        "the gap to the best token is too wide for a numerical tie; check the comparison of ids and the row it reads",
    ),
    "recovered-from-target": (
        "wrong",
        "sampler",
        "after a rejection the token is drawn from the target itself, not from the residual",
        "draw the recovered token from norm(max(0, p - q)) (Leviathan et al. 2023)",
    ),
    "recovered-not-residual": (
        "wrong",
        "sampler",
        "after a rejection the token cannot come from the residual distribution",
        "draw the recovered token from norm(max(0, p - q)), with q the distribution that the draft was drawn from",
    ),
    "draft-not-from-q": (
        "wrong",
        "drafter",
        "drafted tokens have draft probability 0: they were not drawn from the recorded q",
        "hand the verifier the draft distribution after temperature, top-k and top-p, the one that was sampled",
    ),
    "bonus-missing": (
        "wrong",
        "sampler",
        "the bonus token is missing where every drafted token was accepted",
        "append the token drawn from the target after a fully accepted block; without it each such step loses a token",
    ),
    "bonus-duplicated": (
        "wrong",
        "sampler",
        "the bonus token is appended twice",
        "append one token after a fully accepted block",
    ),
    "token-accounting": (
        "wrong",
        "scheduler",
        "appended tokens do not add up with the decisions",
        "compare output_token_ids of the step named with its draft and num_accepted",
    ),
    "emitted-after-stop": (
        "wrong",
        "scheduler",
        "tokens were kept after a stop id",
        "cut the accepted block at the first stop id before it is appended",
    ),
    "uniforms-reused": (
        "wrong",
        "sampler",
        "uniform draws repeat where they must be independent",
        "draw a fresh uniform for every tested position; check seeds of generators across requests, ranks and graph replays",
    ),
    "degenerate-output": (
        "wrong",
        "verifier",
        "outputs run in loops",
        "run the same prompts without speculation; if they do not loop there, suspect the state after rejected tokens",
    ),
    "metric-inconsistent": (
        "metric",
        "metric",
        "counts of a step contradict each other",
        "do not trust figures built on these counters until the recorder is mended",
    ),
}


def _one(code: str, cause: str, certainty: str = "proved") -> Callable[[Outcomes], list[Cause]]:
    """The usual row: one check fired, one cause."""

    def read(found: Outcomes) -> list[Cause]:
        return [make(cause, certainty, [code], found)] if fired(found, code) else []

    return read


def fired(found: Outcomes, code: str) -> bool:
    """Whether the check of that code fired."""
    return code in found and found[code].state == "fired"


def make(cause: str, certainty: str, codes: Sequence[str], found: Outcomes, label: str | None = None) -> Cause:
    """A cause from the checks that showed it; evidence and weight are theirs, words are the table's."""
    side, blame, says, advice = _WORDS[cause]
    live = [code for code in codes if fired(found, code)]
    evidence = tuple(_shown(w) for code in live for w in found[code].witnesses)[:8]
    headline = f"{label or says}: {found[live[0]].headline}" if live else label or says
    weight = max((found[code].faults for code in live), default=0)
    return Cause(cause, side, certainty, tuple(live), headline, evidence, _next(advice, evidence), blame, weight)


def _shown(witness: Mapping[str, Any]) -> dict[str, Any]:
    row = {k: v for k, v in witness.items() if v is not None}
    p, q = row.get("p"), row.get("q")
    if isinstance(p, float) and isinstance(q, float) and q > 0:
        row["ratio"] = p / q
    if row.get("request_id") is not None and row.get("path"):
        row["command"] = command(row)
    return row


def command(row: Mapping[str, Any]) -> str:
    """The command that shows a witness, quoted for a shell."""
    words = ["sdtrace", "explain", str(row["path"]), "--request", str(row["request_id"])]
    if row.get("step") is not None:
        words += ["--step", str(row["step"])]
    return shlex.join(words)


def _next(advice: str, evidence: Sequence[Mapping[str, Any]]) -> str:
    shown = next((row["command"] for row in evidence if "command" in row), None)
    return f"{advice}; {shown}" if shown else advice


def _decisions(explained: Sequence[Explanation], found: Outcomes) -> list[Cause]:
    """Wrong decisions, under the name of the wrong rule that explains them best."""
    codes = ["SD101", "SD102", "SD104"]
    if not any(fired(found, code) for code in codes):
        return []
    if not explained:
        return [make("decision-mismatch", "proved", codes, found)]
    best = explained[0]
    row = make(best.cause, "proved", codes, found, None if best.cause == "decision-mismatch" else _label(best))
    return [replace(row, advice=_next(best.advice, row.evidence)) if best.advice else row]


def _label(best: Explanation) -> str:
    says = _WORDS[best.cause][2]
    return says if best.label in says else f"{says.split(':')[0]}: {best.label}"


def _recovery(emitted: Explanation | None, found: Outcomes) -> list[Cause]:
    codes = ["SD111", "SD112"]
    if not any(fired(found, code) for code in codes):
        return []
    cause = emitted.cause if emitted is not None else "recovered-not-residual"
    return [make(cause, "proved", codes, found)]


def _loops(found: Outcomes) -> list[Cause]:
    """One looping request may have been asked to repeat itself; a share of them was not."""
    if not fired(found, "SD181"):
        return []
    outcome = found["SD181"]
    many = outcome.faults >= max(2, 0.05 * outcome.examined)
    return [make("degenerate-output", "statistical" if many else "suspected", ["SD181"], found)]


def _accounting(found: Outcomes) -> list[Cause]:
    """Totals that are off because of a fault that has a name of its own are no second cause."""
    codes = ["SD131", "SD132"] if fired(found, "SD103") is False else []
    if not any(fired(found, c) for c in ("SD121", "SD122", "SD161", "SD103")):
        codes.append("SD133")
    live = [c for c in codes if fired(found, c)]
    return [make("token-accounting", "proved", live, found)] if live else []


def causes(
    found: Outcomes, explained: Sequence[Explanation], emitted: Explanation | None, configured: Sequence[Cause] = ()
) -> list[Cause]:
    """Every cause that the outcomes support, strongest first."""
    rows: list[Cause] = list(configured)
    for row in (_one("SD106", "invalid-probabilities"), _one("SD107", "invalid-probabilities")):
        rows += [c for c in row(found) if c.cause not in {r.cause for r in rows}]
    rows += [make("degenerate-target", "proved", ["SD151", "SD152"], found)] if _degenerate(found) else []
    rows += _one("SD103", "accepted-past-rejection")(found)
    rows += _decisions(explained, found)
    rows += [make("greedy-mismatch", "proved", ["SD141", "SD142"], found)] if _greedy(found) else []
    rows += _recovery(emitted, found)
    for code, cause in (
        ("SD121", "bonus-missing"),
        ("SD122", "bonus-duplicated"),
        ("SD161", "emitted-after-stop"),
        ("SD105", "draft-not-from-q"),
        ("SD171", "uniforms-reused"),
    ):
        rows += _one(code, cause)(found)
    rows += _accounting(found) + _loops(found)
    rows += [make("metric-inconsistent", "proved", ["SD134", "SD135"], found)] if _counts(found) else []
    order = {"proved": 0, "statistical": 1, "suspected": 2}
    sides = {"wrong": 0, "slow": 1, "metric": 2}
    return sorted(rows, key=lambda c: (order[c.certainty], sides[c.side]))


def _degenerate(found: Outcomes) -> bool:
    return fired(found, "SD151") or fired(found, "SD152")


def _greedy(found: Outcomes) -> bool:
    return fired(found, "SD141") or fired(found, "SD142")


def _counts(found: Outcomes) -> bool:
    return fired(found, "SD134") or fired(found, "SD135")
