"""What it does to the text that block verification of vLLM 0.32 draws by position alone: a simulation without vLLM.

    python tests/vllm/twice.py [--tokens 120000]

Block verification (Sun et al. 2024) looks at the uniforms of all drafted positions. Where they are kept by position, those behind the
accepted block are compared again in the next step, and are known to be large. Prints the share of each token among first tokens of
steps, drawn afresh and kept, beside p, and how many standard errors it is off.
"""

import argparse

import numpy as np

P, Q, K = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.1, 0.2, 0.3, 0.4]), 4


def first_tokens(tokens: int, *, kept: bool) -> tuple[np.ndarray, int]:
    """Share of each token among the first ones of steps, and the number of steps."""
    rng, uniforms, first = np.random.default_rng(1), dict[int, float](), np.zeros(len(P))
    at, steps = 0, 0
    while at < tokens:
        x = rng.choice(len(P), size=K, p=Q)
        reach, n_a = [1.0], 0
        for token in x:
            reach.append(min(reach[-1] * P[token] / Q[token], 1.0))
        for i in range(1, K + 1):
            left = np.maximum(reach[i] * P - Q, 0.0).sum()
            level = reach[i] if i == K else left / (left + 1.0 - reach[i]) if left + 1.0 > reach[i] else 1.0
            u = uniforms.setdefault(at + i, rng.random()) if kept else rng.random()
            n_a = i if u <= level else n_a
        weights = P if n_a == K else np.maximum(reach[n_a] * P - Q, 0.0)
        y = rng.choice(len(P), p=weights / weights.sum())
        first[x[0] if n_a else y] += 1
        at, steps = at + n_a + 1, steps + 1
        uniforms = {place: u for place, u in uniforms.items() if place > at}
    return first / steps, steps


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int, default=120_000)
    given = parser.parse_args()
    for kept in (False, True):
        share, steps = first_tokens(given.tokens, kept=kept)
        off = (share - P) / np.sqrt(P * (1 - P) / steps)
        told = ", ".join(f"{s:.4f} for {p} ({z:+.1f})" for s, p, z in zip(share, P, off, strict=True))
        print(f"{'kept by position' if kept else 'drawn afresh'}, {steps:,} steps: {told}")


if __name__ == "__main__":
    main()
