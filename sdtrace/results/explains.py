"""Which cause explains which: one fault has many signs, and a report names the fault.

A row says that where both are found, the second is a sign of the first. A row stands here only where the first by itself makes
the second; causes that merely come together are two causes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sdtrace.results.words import Side


class Edge(NamedTuple):
    """`root` explains `sign`; `why` is the sentence for it."""

    root: str
    sign: str
    why: str


_NAN = "a comparison with NaN is decided by chance"
_FLAT = "a flat target accepts at random and recovers at random"
_OTHER_P = "the decision and the draw used another p than the model's"
_NOT_ACCEPTED = "what is accepted is decided by the fault, not by the drafter"

EDGES: tuple[Edge, ...] = (
    *(Edge("invalid-probabilities", sign, why) for sign, why in (
        ("degenerate-target", "rows of NaN that are laundered into zeros are flat"),
        ("recovered-not-residual", "a residual of NaN can give any token"),
        ("recovered-from-target", "a residual of NaN can give any token"),
        ("decision-mismatch", _NAN), ("lenient-acceptance", _NAN), ("synthetic-acceptance", _NAN),
        ("greedy-mismatch", "the argmax of NaN is any token"),
        ("misaligned-target-probs", _NAN), ("misaligned-draft-probs", _NAN), ("one-sided-sampling-params", _NAN),
        ("draft-not-from-q", _NAN),
        ("degenerate-output", "tokens drawn from NaN rows repeat"),
    )),
    *(Edge("degenerate-target", sign, _FLAT) for sign in (
        "recovered-not-residual", "recovered-from-target", "decision-mismatch", "lenient-acceptance", "greedy-mismatch",
        "one-sided-sampling-params", "misaligned-target-probs", "degenerate-output", "emitted-after-stop",
    )),
    Edge("accepted-past-rejection", "lenient-acceptance", "tokens behind a rejection count as accepted"),
    Edge("accepted-past-rejection", "token-accounting", "the block is longer than its accepted prefix"),
    Edge("accepted-past-rejection", "metric-inconsistent", "the block is longer than its accepted prefix"),
    *(Edge("misaligned-draft-probs", sign, "the residual subtracts the other row, too") for sign in (
        "recovered-from-target", "recovered-not-residual", "draft-not-from-q",
    )),
    *(Edge("misaligned-target-probs", sign, "the residual is made of the other row, too") for sign in (
        "recovered-from-target", "recovered-not-residual", "greedy-mismatch", "verifier-differs",
    )),
    *(Edge("one-sided-sampling-params", sign, "the residual is made of the other distribution, too") for sign in (
        "recovered-from-target", "recovered-not-residual",
    )),
    *(Edge("inverted-ratio", sign, "wrongly accepted tokens leave another residual") for sign in (
        "recovered-from-target", "recovered-not-residual",
    )),
    Edge("draft-not-from-q", "recovered-not-residual", "the residual subtracts a q that drew nothing"),
    Edge("draft-not-from-q", "decision-mismatch", "the test divides by a q that drew nothing"),
    *(Edge("bonus-missing", sign, "the block is one token short") for sign in ("token-accounting", "metric-inconsistent")),
    *(Edge("bonus-duplicated", sign, "the block is one token long") for sign in ("token-accounting", "metric-inconsistent")),
    Edge("token-accounting", "metric-inconsistent", "the context grows by another number of tokens than is recorded"),
    Edge("emitted-after-stop", "token-accounting", "the output goes on behind its end"),
    Edge("corrupt-text", "token-accounting", "ids that do not exist stand in the block"),
    *(Edge("state-not-rolled-back", sign, _OTHER_P) for sign in (
        "verifier-differs", "degenerate-output", "greedy-mismatch", "text-not-from-target", "position-off-by-one",
    )),
    *(Edge("position-off-by-one", sign, _OTHER_P) for sign in (
        "verifier-differs", "degenerate-output", "greedy-mismatch", "text-not-from-target",
    )),
    *(Edge("sampling-params-ignored", sign, _OTHER_P) for sign in ("verifier-differs", "text-not-from-target")),
    *(Edge("kv-corrupted", sign, "the model reads another request's state") for sign in (
        "degenerate-output", "verifier-differs", "text-not-from-target", "greedy-mismatch", "corrupt-text",
    )),
    *(Edge("sampling-not-preserved", sign, "the engine says that it verifies otherwise") for sign in (
        "text-not-from-target", "lenient-acceptance", "greedy-mismatch", "decision-mismatch",
    )),
    *(Edge(root, "text-not-from-target", "the text follows the wrong rule") for root in (
        "lenient-acceptance", "synthetic-acceptance", "recovered-from-target", "recovered-not-residual",
    )),
    *(Edge("series-outlier", sign, "one of the siblings has it, the others do not") for sign in (
        "low-acceptance", "drafter-miswired",
    )),
    *(Edge("drafter-miswired", sign, "nothing that is drafted is of use") for sign in (
        "low-acceptance", "tau-too-large", "draft-too-slow", "verification-not-free", "long-context-decay",
    )),
    *(Edge("long-context-decay", sign, "it is the long contexts that lower the mean") for sign in (
        "low-acceptance", "tau-too-large",
    )),
    Edge("traffic-shift", "low-acceptance", "the new traffic is harder to draft, the drafter is as it was"),
    Edge("low-acceptance", "tau-too-large", "fewer drafted tokens are worth their price"),
    Edge("low-acceptance", "draft-too-slow", "drafting is dear for what is accepted of it"),
    Edge("low-acceptance", "verification-not-free", "verifying is dear for what is accepted of it"),
    Edge("speculation-off", "idle-speculation", "speculation that is off drafts nothing"),
    Edge("speculation-off", "tau-too-small", "speculation that is off drafts nothing"),
    Edge("record-broken", "metric-inconsistent", "the record counts lines twice, or leaves them out"),
)  # fmt: skip

#: Causes of speed that a fault of correctness explains: what is accepted, and what that is worth.
OF_ACCEPTANCE = (
    "low-acceptance", "drafter-miswired", "long-context-decay", "traffic-shift", "series-outlier", "tau-too-large",
    "tau-too-small",
)  # fmt: skip
#: Faults of side wrong that leave what is accepted alone.
_APART = ("bonus-missing", "bonus-duplicated", "token-accounting", "emitted-after-stop")

_SIGNS: dict[str, dict[str, str]] = {}
for _edge in EDGES:
    _SIGNS.setdefault(_edge.root, {})[_edge.sign] = _edge.why


class Named(NamedTuple):
    """What is asked of a cause here."""

    cause: str
    side: Side
    certainty: str


def why(root: Named, sign: Named) -> str | None:
    """Why `root` explains `sign`; None where it does not."""
    told = _SIGNS.get(root.cause, {}).get(sign.cause)
    if told is None and root.side == "wrong" and root.cause not in _APART and sign.cause in OF_ACCEPTANCE:
        return _NOT_ACCEPTED
    return told


def incident_of(rows: Sequence[Named]) -> tuple[str, list[str]] | None:
    """(root, its signs in the order of `rows`) of the worst incident; None where nothing is more than suspected.

    The root is the first of the worst side that no other one explains. Signs of its signs are its own.
    """
    sure = [row for row in rows if row.certainty != "suspected"]
    sides: tuple[Side, ...] = ("wrong", "slow", "metric")
    for side in sides:
        mine = [row for row in sure if row.side == side]
        free = [row for row in mine if not any(_explains(other, row) for other in sure if other is not row)]
        if mine:
            root = (free or mine)[0]
            return root.cause, [row.cause for row in _signs(root, rows)]
    return None


def _explains(root: Named, sign: Named) -> bool:
    """Two causes that explain each other are told apart by their order."""
    return why(root, sign) is not None and why(sign, root) is None


def _signs(root: Named, rows: Sequence[Named]) -> list[Named]:
    found, left = [root], [row for row in rows if row.cause != root.cause]
    while more := [row for row in left if any(why(one, row) is not None for one in found)]:
        found += more
        left = [row for row in left if row not in more]
    return [row for row in rows if row in found[1:]]


def with_incident(document: dict[str, Any], spoken: str | None = None) -> dict[str, Any]:
    """The document with the incident of its causes, after a stage has added some; what was measured stays where the root does.

    `spoken`: the cause that the stage's headline speaks of; None where it left the headline to the root that was.
    """
    rows = [Named(c["cause"], c["side"], c["certainty"]) for c in document["causes"]]
    found, known = incident_of(rows), document.get("incident")
    if found is None:
        return document | {"incident": None}
    made = {**UNKNOWN, **(known if known and known["root"] == found[0] else {})}
    verdict, root = document["verdict"], next(c for c in document["causes"] if c["cause"] == found[0])
    if verdict["state"] == root["side"] and found[0] != (spoken or (known or {}).get("root")):
        verdict = verdict | {"headline": root["headline"]}
    return document | {"verdict": verdict, "incident": made | {"root": found[0], "consequences": found[1]}}


#: An incident of which nothing but its causes is known.
UNKNOWN: dict[str, Any] = {
    "root": None,
    "since": None,
    "until": None,
    "affected": {"requests": None, "steps": None, "tokens": None, "share": None},
    "consequences": [],
    "from_start": True,
    "of": {"requests": None, "steps": None},
    "change": None,
}


def nested(document: Mapping[str, Any]) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The causes as people read them: (cause, its signs), the incident's root first. Documents of before have no incident."""
    causes = document["causes"]
    incident = document.get("incident")
    if not incident:
        return [(cause, []) for cause in causes]
    signs = [c for c in causes if c["cause"] in incident["consequences"]]
    root = [c for c in causes if c["cause"] == incident["root"]][:1]
    others = [c for c in causes if c not in signs and c not in root]
    return [*((cause, signs) for cause in root), *((cause, []) for cause in others)]
