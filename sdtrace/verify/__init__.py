"""Decisions recomputed: positions, bands, precision, scope, and the laws themselves."""
