"""From sums to causes and a verdict: law choice, outcomes, signatures, witnesses, acceptance."""
