"""Random streams of seeded requests: what an engine draws is a function of the seed, and numpy draws the same, bit for bit."""
