def explain_steps(steps, run): return []
