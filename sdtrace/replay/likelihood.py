"""How likely recorded log probabilities are under a known way to be wrong, and the words for ways that every replay knows.

A way is judged by the likelihood of the distances d = recorded log p - its log p: Laplace noise of a fitted width that
is never below the band's, mixed with 5% of anything (a fault may begin late, or spare some steps). The width is fitted
for each way, so that one which explains most of a distance (another precision) is worth more than none.
"""

import numpy as np

from sdtrace.schema.arrays import Floats

#: Log odds over the healthy engine, and over the best way of another name, before a way is named.
OVER_HEALTHY, OVER_RIVAL = 20.0, 6.0
#: Share of positions inside the band from which a way explains the bulk of them.
BULK = 0.8
_KEPT = "rejected tokens stay in the target's context"
#: What a way is, for the headline.
SAYS = {
    "temperature-ignored": "the temperature is not applied",
    "temperature-twice": "the temperature is applied twice",
    "top-k-ignored": "top-k is not applied",
    "top-p-ignored": "top-p is not applied",
    "min-p-ignored": "min-p is not applied",
    "truncation-ignored": "neither top-k nor top-p nor min-p is applied",
    "parameters-ignored": "no sampling parameter is applied",
    "row-before": "p is the row of the position before",
    "row-after": "p is the row of the position behind",
    "not-rolled-back": f"{_KEPT}, later tokens stand behind them",
    "stale-entries": f"{_KEPT}, visible at old positions",
    "positions-shifted": "p is right behind the prompt alone: generated tokens stand at wrong positions",
    "positions-drift": "p is off from the second step on: positions move with every step",
    "positions-drift-on-rejection": "p is off from the first rejection on: positions move with every rejection",
    "template-dropped": "the special tokens of the prompt (its template) were dropped",
    "precision-bfloat16": "the target computed in bfloat16",
    "precision-float16": "the target computed in float16",
    "other-weights": "p is off from the first token on: other weights (checkpoint, adapter, quantised), another prompt, or another row",
    "first-token-dropped": "the first token of the prompt was dropped",
    "first-token-twice": "the first token of the prompt was there twice",
}


def likelihood(d: Floats, least: float, interval: Floats | None = None) -> float:
    """Largest log-likelihood over the Laplace width b >= least, with 5% of Laplace(3) mixed in. `interval`: how wide log p is known, in
    nats, None for exactly; any value inside (d = 0) is as likely as another: a way which tells little gains little by being right."""
    widths = np.geomspace(least, 3.0, 40)[:, None]
    near = np.exp(-np.abs(d) / widths) / (2 * widths + (0.0 if interval is None else interval))
    far = np.exp(-np.abs(d) / 3.0) / 6.0
    return float(np.log(0.95 * near + 0.05 * far).sum(axis=1).max())


def early(d: Floats, width: Floats) -> float:
    """Log-likelihood of distances that should be none: Laplace noise of a known width each, with 5% of Laplace(3)."""
    near = np.exp(-np.abs(d) / width) / (2 * width)
    return float(np.log(0.95 * near + 0.05 * np.exp(-np.abs(d) / 3.0) / 6.0).sum())
