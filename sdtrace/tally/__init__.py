"""Sums under keys, merged by adding: what one pass keeps of the steps."""
