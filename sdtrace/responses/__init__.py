"""Stock responses against their own logprobs and seeds: bounds, e-values, sums that add up."""
