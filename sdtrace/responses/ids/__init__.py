"""Corrupt text without its text: emitted ids against a tokenizer's table, and against the same prompts without speculation."""
