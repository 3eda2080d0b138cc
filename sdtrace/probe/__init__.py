"""A running server asked and judged: prompts, answers with logprobs and seeds, the same ids scored again, counters before and after."""
