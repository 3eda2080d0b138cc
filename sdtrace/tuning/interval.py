"""Ratios of sums over requests, with requests as clusters."""
