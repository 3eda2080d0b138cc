"""Lawful strangeness of rules that are lossy by declaration, and of draws that a key makes (watermarks)."""

import numpy as np

from sdtrace.simulate.engine import Outcome, outcome_of, play
from sdtrace.simulate.fault import Fault
from sdtrace.simulate.lawful_laws import (
    HONEST,
    asked,
    cold_half,
    greedy_columns,
    lengths_from,
    ran,
    short_drafts,
    temperatures,
)
from sdtrace.simulate.trees import under
from sdtrace.simulate.variant import Variant
from sdtrace.simulate.world import World, draft


def half_greedy_fly(world: World) -> Outcome:
    """FLy; every other request takes the argmax for the law, and defers as well."""
    draft(world, "fly")
    warm = play(world, "fly", HONEST, 1.0)
    best = np.argmax(world.p, axis=-1)
    same = Fault("", "", level=lambda w, s: np.where(w.x == best[:, :-1], np.float32(2), np.float32(-1)))
    cold, here = play(world, "fly", same, 1.0), cold_half(world)
    n_a = np.where(here, cold.n_a, warm.n_a)
    y = np.where(here, best[np.arange(len(n_a)), n_a], warm.y)
    return outcome_of(world, n_a, y)


#: Contexts that a watermark of the made world tells apart: few, so that they come again.
_CONTEXTS = 211


def _keyed(world: World) -> None:
    """Draws follow a key and the last tokens: a context that comes again draws the same numbers, in any request."""
    rng, shape = np.random.default_rng(41), world.r.shape
    coins = rng.random((_CONTEXTS, shape[1]), dtype=np.float32)
    noise = np.maximum(
        rng.standard_exponential((_CONTEXTS, *world.race.shape[1:]), dtype=np.float32), np.float32(1e-30)
    )
    context = world.rng.zipf(1.4, shape[0]) % _CONTEXTS
    world.r, world.race = coins[context], noise[context]


LAWFUL_RULES: dict[str, Variant] = {
    "fly": Variant("FLy: rejections are deferred, lossy by configuration", ("fly",)),
    "fly-parameters-unsaid": Variant("FLy without its parameters", ("fly",), run=ran(rule_params=None)),
    "fly-half-greedy": Variant(
        "FLy, every other request at temperature 0", ("fly",), play=half_greedy_fly, steps=greedy_columns, requests=temperatures
    ),
    "fly-lengths-from-0": Variant("FLy, draft lengths of 0 to k", ("fly",), remake=lengths_from(0), steps=short_drafts),
    "threshold-tree": Variant(
        "SGLang's thresholds below 1, declared", ("tree-coin",), play=under(0.6, 0.9),
        run=ran(rule_params='{"threshold_acc":0.6,"threshold_single":0.9}'),
    ),
    "watermark": Variant(
        "draws keyed by the last tokens, declared", ("ratio", "one-hot", "block", "fly"), remake=_keyed,
        run=ran(config='{"watermarking":{"algorithm":"dual_key_gumbel"}}'),
    ),
    "watermark-tagged": Variant(
        "draws keyed by the last tokens, told by the requests' tags", ("ratio",), remake=_keyed, requests=asked(tags='{"watermark":"on"}')
    ),
}  # fmt: skip
