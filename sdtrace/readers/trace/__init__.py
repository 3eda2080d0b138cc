"""Traces of steps: format 1 as JSON Lines or Parquet, SpecSpecs, a case on paper."""
