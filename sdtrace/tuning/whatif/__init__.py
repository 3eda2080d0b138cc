"""What-ifs over a recorded path: policies, budget, queueing, roles, settings."""
