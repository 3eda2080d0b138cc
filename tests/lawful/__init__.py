"""Correct engines, however strange, against every law, log level and rounding. SYNTHETIC."""
