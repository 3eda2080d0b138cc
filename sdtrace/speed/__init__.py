"""Why it is slow: the step-time ledger, the plain baseline, cost curves, the bottleneck, and what a change consists of."""
