"""Planted faults: each a small change to a correct engine (of the ratio law, unless it says otherwise)."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.made import wrong_records as records
from tests.made import wrong_rules as rules
from tests.made.laws import Decide, Generator, Outcome, Table
from tests.made.world import World


@dataclass(frozen=True)
class Fault:
    """What it changes, and what it should be called.

    `world`: what the models say. `level` (or `decide`, where no level per token says it): how a token is accepted.
    `weights`: what a recovered token is drawn with. `emit`: what is appended. `write`: what is recorded.
    `cause` is the word of the vocabulary. `impossible`: shows without uniforms too, as events that cannot be.
    """

    cause: str
    law: str = "ratio"
    impossible: bool = False
    world: Callable[[World, Generator], World] | None = None
    level: Table | None = None
    decide: Decide | None = None
    weights: Table | None = None
    outcome: Callable[[World, Generator], Outcome] | None = None
    emit: Callable[[World, Outcome, Generator], Outcome] | None = None
    write: Callable[[list[records.Record], list[records.Record], Generator], None] | None = None


FAULTS: dict[str, Fault] = {
    "inverted-ratio": Fault("inverted-ratio", impossible=True, level=rules.inverted),
    "lenience-0.9": Fault("lenient-acceptance", level=rules.lenient(0.9)),
    "lenience-0.7": Fault("lenient-acceptance", level=rules.lenient(0.7)),
    "threshold-0.3": Fault("lenient-acceptance", level=rules.above(0.3)),
    "constant-rate": Fault("synthetic-acceptance", impossible=True, level=rules.constant(0.8)),
    "other-coin": Fault("synthetic-acceptance", impossible=True, decide=rules.coin(0.75)),
    "random-flips": Fault("decision-mismatch", impossible=True, decide=rules.flips(0.05)),
    "holes-skipped": Fault("accepted-past-rejection", impossible=True, emit=rules.skip_rejected),
    "holes-emitted": Fault("accepted-past-rejection", impossible=True, emit=rules.keep_rejected),
    "recovered-from-p": Fault("recovered-from-target", impossible=True, weights=lambda world: world.p[:, :-1]),
    "recovered-p-minus-x": Fault("recovered-not-residual", impossible=True, weights=rules.without_x),
    "recovered-argmax": Fault("recovered-not-residual", impossible=True, weights=rules.best),
    "recovered-from-q": Fault("recovered-not-residual", impossible=True, weights=lambda world: world.q),
    "bonus-missing": Fault("bonus-missing", impossible=True, write=records.drop_bonus),
    "bonus-twice": Fault("bonus-duplicated", impossible=True, write=records.repeat_bonus),
    "q-next-row": Fault("misaligned-draft-probs", impossible=True, level=rules.draft_row(1)),
    "q-previous-row": Fault("misaligned-draft-probs", impossible=True, level=rules.draft_row(-1)),
    "q-next-value": Fault("misaligned-draft-probs", impossible=True, decide=rules.draft_value(1)),
    "q-previous-value": Fault("misaligned-draft-probs", impossible=True, decide=rules.draft_value(-1)),
    "q-next-row-and-residual": Fault(
        "misaligned-draft-probs", impossible=True, level=rules.draft_row(1), weights=rules.draft_row_residual(1)
    ),
    "p-next-row": Fault("misaligned-target-probs", impossible=True, level=rules.target_row(1)),
    "p-previous-row": Fault("misaligned-target-probs", impossible=True, level=rules.target_row(-1)),
    "target-temperature-0.7": Fault("one-sided-sampling-params", impossible=True, level=rules.tempered(0.7)),
    "draft-temperature-0.7": Fault("one-sided-sampling-params", impossible=True, level=rules.tempered_draft(0.7)),
    "one-draw-a-step": Fault("uniforms-reused", world=rules.one_draw_a_step),
    "one-sequence": Fault("uniforms-reused", world=rules.one_sequence),
    "greedy-flips": Fault("greedy-mismatch", law="greedy", impossible=True, outcome=rules.greedy_flips),
    "greedy-samples": Fault("greedy-mismatch", law="greedy", impossible=True, outcome=rules.greedy_samples),
    "p-nan": Fault("invalid-probabilities", impossible=True, write=records.poison("target_probs", float("nan"))),
    "p-above-1": Fault("invalid-probabilities", impossible=True, write=records.poison("target_probs", 1.3)),
    "q-negative": Fault("invalid-probabilities", impossible=True, write=records.poison("draft_probs", -0.1)),
    "q-infinite": Fault("invalid-probabilities", impossible=True, write=records.poison("draft_probs", float("inf"))),
    "p-flat": Fault("degenerate-target", impossible=True, world=rules.flat_target(1.0)),
    "p-flat-sometimes": Fault("degenerate-target", impossible=True, world=rules.flat_target(0.2)),
    "p-one-hot": Fault("degenerate-target", impossible=True, world=rules.certain_target),
    "past-stop": Fault("emitted-after-stop", impossible=True, write=records.past_stop),
    "loop-1": Fault("degenerate-output", impossible=True, world=rules.loop(1), emit=rules.keep_loop),
    "loop-3": Fault("degenerate-output", impossible=True, world=rules.loop(3), emit=rules.keep_loop),
    "loop-8": Fault("degenerate-output", impossible=True, world=rules.loop(8), emit=rules.keep_loop),
    "one-token-more": Fault("token-accounting", impossible=True, write=records.append_more),
    "prefix-differs": Fault("token-accounting", impossible=True, write=records.other_prefix),
}

#: Faults that prove nothing in one token: name -> fault, and tested positions that show it.
QUIET: dict[str, tuple[Fault, int]] = {
    "lenience-0.9-unlogged": (Fault("lenient-acceptance", level=rules.lenient(0.9)), 3000),
    "one-draw-a-step-unlogged": (Fault("uniforms-reused", world=rules.one_draw_a_step), 2000),
    "one-sequence-unlogged": (Fault("uniforms-reused", world=rules.one_sequence), 2000),
    "draft-sharper": (Fault("draft-not-from-q", world=rules.draft_at(0.7)), 2000),
    "draft-flatter": (Fault("draft-not-from-q", world=rules.draft_at(1.4)), 2000),
    "draft-top-k": (Fault("draft-not-from-q", world=rules.raw_draft(20)), 1500),
    "noise-shared": (Fault("shared-noise", outcome=rules.same_noise), 16_000),
    "draws-biased": (Fault("uniforms-reused", world=rules.biased_draws(1.3)), 1500),
    "block-lenient": (Fault("lenient-acceptance", law="block", outcome=rules.block_lenient(0.8)), 6000),
    "block-draft-sharper": (Fault("draft-not-from-q", law="block", world=rules.draft_at(0.6)), 2000),
}
#: Statistical checks, and the quiet fault that fires each.
QUIETLY = {
    "SD201": "lenience-0.9-unlogged",
    "SD202": "draft-top-k",
    "SD203": "draft-flatter",
    "SD204": "noise-shared",
    "SD211": "draft-sharper",
    "SD212": "draft-sharper",
    "SD221": "draws-biased",
    "SD222": "one-draw-a-step-unlogged",
    "SD223": "one-sequence-unlogged",
    "SD231": "block-lenient",
    "SD241": "block-draft-sharper",
}

FAULTS_AND_QUIET = FAULTS | {name: fault for name, (fault, _) in QUIET.items()}
